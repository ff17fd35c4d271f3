import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { dependenciesFirst } from '../config/depends.js';
import { inheritedEnvironment } from '../config/environment.js';
import type { Config } from '../config/load.js';
import { expandInstances } from '../manager/instances.js';
import { defaultLogDir } from '../manager/log-dir.js';
import { toNativeSpec } from '../manager/spec.js';
import type { NativeOperator, NativeSpec } from '../native.js';
import { isValidName } from '../process/name.js';
import { CliError, EXIT } from './fail.js';
import type { Target } from './target.js';

/** A file made ready: everything that can be refused has been looked at, and nothing has been changed yet. */
export interface Plan {
  readonly file: string;
  readonly logDir: string;
  /** Each after those that it depends on, so that no order in between has a circle. */
  readonly specs: readonly NativeSpec[];
}

/** Those keys of which only the system knows whether they can be had, and those that are read further than the schema does. */
const KEYS = ['run', 'user', 'envFile', 'env', 'limits'];

/** The error of a definition, at its place in the file; the message begins with the process, which the place says already. */
function placed(config: Config, name: string, error: Error): Error {
  const [, text = error.message] = error.message.split(new RegExp(`^${name.replaceAll('.', '\\.')}(?:\\.\\d+)?: `));
  const key = KEYS.find((one) => new RegExp(`^${one}\\b`).test(text));
  const path = key === undefined ? ['processes', name] : ['processes', name, key];
  return config.errorAt(path, key === undefined ? text : text.slice(key.length).replace(/^[: ]+/, ''));
}

/** Turns a checked file into definitions. ConfigError where one can't be had, such as a user that does not exist. */
export function makePlan(config: Config, target: Target): Plan {
  const logDir = config.logDir ?? defaultLogDir(target.instance);
  const env = inheritedEnvironment(process.env);
  if (config.sysname !== undefined) env.HOLDFAST_SYSNAME = config.sysname;
  const specs = new Map<string, NativeSpec>();
  const known = expandInstances(config.processes).map((one) => one.name);
  for (const definition of config.processes) {
    try {
      // One at a time, so that an error can be told at its place in the file.
      for (const one of expandInstances([definition], known)) specs.set(one.name, toNativeSpec(one, { logDir, env }));
    } catch (error) {
      throw placed(config, definition.name, error as Error);
    }
  }
  const order = dependenciesFirst(new Map([...specs].map(([name, spec]) => [name, spec.dependsOn])));
  return { file: config.file, logDir, specs: order.flatMap((name) => specs.get(name) ?? []) };
}

/** What became of each definition. */
export interface Changes {
  readonly added: string[];
  readonly changed: string[];
  readonly removed: string[];
  readonly unchanged: string[];
}

/** Names that are defined in a directory: its files are the truth, whether a manager has read them or not. */
function definedNames(dir: string): Set<string> {
  try {
    return new Set(readdirSync(join(dir, 'spec')).filter((name) => isValidName(name) && !name.includes('.tmp.')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Set();
    throw error;
  }
}

function setting(operator: NativeOperator, key: string): string | undefined {
  return operator.setting(key) || undefined;
}

/** The file that an instance was brought up from. */
export function rememberedFile(operator: NativeOperator): string | undefined {
  return setting(operator, 'file');
}

/** The folder of the logs of an instance. */
export function rememberedLogDir(operator: NativeOperator): string | undefined {
  return setting(operator, 'log_dir');
}

/** An instance belongs to one file: another one is refused, with both names. */
export function refuseOtherFile(operator: NativeOperator, plan: Plan, target: Target): void {
  const remembered = rememberedFile(operator);
  if (remembered === undefined || remembered === plan.file) return;
  throw new CliError(
    EXIT.failed,
    `the instance "${target.instance}" belongs to ${remembered}, not to ${plan.file}: use that file, "holdfast down" first, or --instance with another name`,
  );
}

function makeLogDir(logDir: string): void {
  try {
    mkdirSync(logDir, { recursive: true });
  } catch (cause) {
    const { message } = cause as Error;
    throw new CliError(EXIT.failed, `the log folder can't be made: ${message}; name another one as log.dir in the file`, {
      cause,
    });
  }
}

/** Brings the definitions of an instance in line with a plan. */
export function applyPlan(operator: NativeOperator, plan: Plan, target: Target): Changes {
  refuseOtherFile(operator, plan, target);
  makeLogDir(plan.logDir);
  operator.setSetting('instance', target.instance);
  operator.setSetting('file', plan.file);
  operator.setSetting('log_dir', plan.logDir);
  const before = definedNames(target.dir);
  const changes: Changes = { added: [], changed: [], removed: [], unchanged: [] };
  for (const spec of plan.specs) {
    const isNew = operator.define(spec);
    (before.has(spec.name) ? (isNew ? changes.changed : changes.unchanged) : changes.added).push(spec.name);
    before.delete(spec.name);
  }
  for (const name of before) {
    operator.remove(name);
    changes.removed.push(name);
  }
  return changes;
}
