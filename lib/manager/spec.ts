/** From a definition as people write it to one as C wants it. */
import { join, resolve } from 'node:path';
import { publicly, ValueError } from '../errors.js';
import { type NativeSpec, native } from '../native.js';
import { checkName } from '../process/name.js';
import { show } from '../show.js';
import { boolean, integerFrom, milliseconds, numberFrom, oneOf, onlyKeys, record, refuse, text } from './check.js';
import { toEnvironment } from './environment.js';
import { toLimits, toSignal, toUmask } from './limits.js';
import { toArgv } from './run.js';
import type { ProcessSpec } from './types.js';

/** What a definition is read against. */
export interface SpecDefaults {
  /** Folder of the log files, absolute; '' throws the output away. */
  logDir: string;
  /** What a relative or missing `cwd` counts from; the present directory unless given. */
  cwd?: string;
  /** The environment that `env` lies over; the present one unless given. */
  env?: Readonly<Record<string, string | undefined>>;
}

const BACKOFF_KEYS = ['firstMs', 'fromMs', 'factor', 'maxMs', 'jitter', 'resetAfterMs'];
const SIGTERM = 15;
const HEARTBEAT_MIN_MS = 10; // as hf_spec_check
const HEARTBEAT_MAX_MS = 24 * 3600 * 1000;
const LOG_BYTES = 10 * 1024 * 1024;
/** The manager writes its own lines to holdfastd.log, beside those of the processes. */
const RESERVED_NAMES: readonly string[] = ['holdfastd'];

/** Every option, so that one more in ProcessSpec can't be forgotten here. */
const KNOWN: Readonly<Record<keyof ProcessSpec, true>> = {
  name: true,
  run: true,
  cwd: true,
  env: true,
  envFile: true,
  user: true,
  umask: true,
  nice: true,
  limits: true,
  start: true,
  instances: true,
  dependsOn: true,
  ready: true,
  startTimeoutMs: true,
  aliveForMs: true,
  restart: true,
  backoff: true,
  limit: true,
  heartbeatMs: true,
  stopped: true,
  stopSignal: true,
  stopTimeoutMs: true,
  enabled: true,
  log: true,
};

/** Refuses what is no definition, a bad name, and options that nobody would read. */
export function checkShape(spec: unknown): asserts spec is ProcessSpec {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
    throw new ValueError(`a definition must be an object, and is ${show(spec)}: write { name: 'web', run: 'server.js' }`);
  }
  const { name } = spec as { name?: unknown };
  if (name === undefined) throw new ValueError("a definition must have a name: add name: 'web'");
  checkName(name);
  if (RESERVED_NAMES.includes(name))
    throw new ValueError(`${name}: this name is taken by the manager itself: choose another`);
  onlyKeys(name, '', spec, Object.keys(KNOWN));
}

function startAndRestart(spec: ProcessSpec): Pick<NativeSpec, 'start' | 'restart'> {
  const start = oneOf({ process: spec.name, option: 'start' }, spec.start, 'auto', ['auto', 'on-demand']);
  const place = { process: spec.name, option: 'restart' };
  if (start === 'auto') return { start, restart: oneOf(place, spec.restart, 'always', ['always', 'on-failure', 'never']) };
  if (spec.restart === undefined || spec.restart === 'never') return { start, restart: 'never' };
  throw refuse(place, "'never' with start: 'on-demand'", spec.restart, 'take restart out: it runs to completion');
}

function readiness({
  name,
  ready,
  startTimeoutMs,
  aliveForMs,
  heartbeatMs,
}: ProcessSpec): Pick<NativeSpec, 'ready' | 'startTimeoutMs' | 'aliveForMs'> {
  const chosen = oneOf({ process: name, option: 'ready' }, ready, 'auto', ['auto', 'call', 'alive']);
  const isTimed = chosen === 'call' || heartbeatMs !== undefined;
  if (startTimeoutMs !== undefined && !isTimed) {
    throw new ValueError(
      `${name}: startTimeoutMs counts only with ready: 'call' or heartbeatMs, and ready is '${chosen}': set one of them, or take startTimeoutMs out`,
    );
  }
  const place = { process: name, option: 'startTimeoutMs' };
  if (startTimeoutMs === 0 && heartbeatMs !== undefined)
    throw refuse(place, 'above 0 with heartbeatMs', startTimeoutMs, 'write by when somebody must beat, such as 60000');
  return {
    ready: chosen,
    startTimeoutMs: isTimed ? milliseconds(place, startTimeoutMs, 60_000) : 0,
    aliveForMs: milliseconds({ process: name, option: 'aliveForMs' }, aliveForMs, 1000),
  };
}

function heartbeat({ name, heartbeatMs, stopped }: ProcessSpec): Pick<NativeSpec, 'heartbeatMs' | 'stopped'> {
  const place = { process: name, option: 'heartbeatMs' };
  return {
    heartbeatMs: heartbeatMs === undefined ? 0 : integerFrom(place, heartbeatMs, 5000, HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS),
    stopped: oneOf({ process: name, option: 'stopped' }, stopped, 'wait', ['wait', 'fail']),
  };
}

function backoff(process: string, value: unknown): NativeSpec['backoff'] {
  const given = record({ process, option: 'backoff' }, value, BACKOFF_KEYS);
  const at = (key: string) => ({ process, option: `backoff.${key}` });
  const ms = (key: string, fallback: number) => milliseconds(at(key), given[key], fallback);
  const result = {
    firstMs: ms('firstMs', 0),
    fromMs: ms('fromMs', 100),
    maxMs: ms('maxMs', 30_000),
    factor: numberFrom(at('factor'), given.factor, 2, 1, 1000),
    jitter: numberFrom(at('jitter'), given.jitter, 0.1, 0, 1),
    resetAfterMs: ms('resetAfterMs', 60_000),
  };
  if (result.fromMs <= result.maxMs) return result;
  throw refuse(at('fromMs'), `at most maxMs (${result.maxMs})`, result.fromMs, 'raise backoff.maxMs');
}

function limit(process: string, value: unknown): NativeSpec['limit'] {
  if (value === undefined) return null;
  const { count, withinMs } = record({ process, option: 'limit' }, value, ['count', 'withinMs']);
  if (count === undefined || withinMs === undefined) {
    throw refuse(
      { process, option: 'limit' },
      'given with count and withinMs',
      value,
      'write { count: 5, withinMs: 60000 }',
    );
  }
  const place = { process, option: 'limit.withinMs' };
  const within = milliseconds(place, withinMs, 60_000);
  if (within === 0) throw refuse(place, 'above 0', within, 'write one such as 60000');
  const max = native().constants.limitCountMax;
  return { count: integerFrom({ process, option: 'limit.count' }, count, 5, 1, max), withinMs: within };
}

function log(process: string, value: unknown, logDir: string): NativeSpec['log'] {
  const { maxBytes, keep } = record({ process, option: 'log' }, value, ['maxBytes', 'keep']);
  return {
    file: logDir === '' ? '' : join(logDir, `${process}.log`),
    maxBytes: integerFrom({ process, option: 'log.maxBytes' }, maxBytes, LOG_BYTES, 1, 2 ** 50),
    keep: integerFrom({ process, option: 'log.keep' }, keep, 5, 0, 1000),
  };
}

/** The names of `dependsOn`, checked and each once. */
export function dependencies({ name, dependsOn }: Pick<ProcessSpec, 'name' | 'dependsOn'>): string[] {
  if (dependsOn === undefined) return [];
  const all: unknown = typeof dependsOn === 'string' ? [dependsOn] : dependsOn;
  if (!Array.isArray(all))
    throw refuse({ process: name, option: 'dependsOn' }, 'a list of names', dependsOn, "write ['db']");
  for (const other of all) checkName(other);
  return [...new Set(all as string[])];
}

function user(process: string, value: unknown): NativeSpec['user'] {
  if (value === undefined) return null;
  const name = text({ process, option: 'user' }, value, "write a name such as 'www-data'");
  try {
    return native().resolveUser(name);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ValueError(`${process}: user: ${reason}`, { cause: error });
  }
}

/** Checks one definition (of one process: see expandInstances) and resolves all that it leaves open. ValueError in a sentence. */
export function toNativeSpec(spec: ProcessSpec, defaults: SpecDefaults): NativeSpec {
  checkShape(spec);
  const { name } = spec;
  const base = defaults.cwd ?? process.cwd();
  const cwdPlace = { process: name, option: 'cwd' };
  const cwd = spec.cwd === undefined ? base : resolve(base, text(cwdPlace, spec.cwd, "write a path such as '/srv/app'"));
  if ((spec.instances ?? 1) !== 1) throw new ValueError(`${name}: instances must be expanded first: call expandInstances`);
  return publicly(() => ({
    name,
    ...startAndRestart(spec),
    ...readiness(spec),
    ...heartbeat(spec),
    enabled: boolean({ process: name, option: 'enabled' }, spec.enabled, true),
    stopSignal: toSignal(name, 'stopSignal', spec.stopSignal, SIGTERM),
    stopTimeoutMs: milliseconds({ process: name, option: 'stopTimeoutMs' }, spec.stopTimeoutMs, 10_000),
    backoff: backoff(name, spec.backoff),
    limit: limit(name, spec.limit),
    user: user(name, spec.user),
    umask: toUmask(name, spec.umask),
    nice: spec.nice === undefined ? null : integerFrom({ process: name, option: 'nice' }, spec.nice, 0, -20, 19),
    limits: toLimits(name, spec.limits),
    log: log(name, spec.log, defaults.logDir),
    cwd,
    argv: toArgv(name, spec.run),
    env: toEnvironment(name, spec, cwd, defaults.env ?? process.env),
    dependsOn: dependencies(spec),
  }));
}
