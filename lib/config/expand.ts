import { resolve } from 'node:path';
import type { ProcessSpec, ResourceLimit } from '../manager/types.js';
import { parseDuration } from './duration.js';
import type { FileProcess } from './schema.js';
import { parseSize } from './size.js';

type Limits = NonNullable<FileProcess['limits']>;
type Limit = NonNullable<Limits[keyof Limits]>;
type Amount = Exclude<Limit, object>;

function ms(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

function amount(value: Amount): number | 'unlimited' {
  return typeof value === 'number' ? value : value === 'unlimited' ? 'unlimited' : parseSize(value);
}

function resourceLimit(value: Limit): ResourceLimit {
  return typeof value === 'object' ? { soft: amount(value.soft), hard: amount(value.hard) } : amount(value);
}

function backoff(value: NonNullable<FileProcess['backoff']>): NonNullable<ProcessSpec['backoff']> {
  const { factor, jitter } = value;
  return {
    firstMs: ms(value.first),
    fromMs: ms(value.from),
    factor,
    maxMs: ms(value.max),
    jitter,
    resetAfterMs: ms(value.resetAfter),
  };
}

/** A process of holdfast.yaml as a ProcessSpec: durations in milliseconds, sizes in bytes, paths against the folder of the file. */
export function expandProcess(name: string, entry: FileProcess, folder: string): ProcessSpec {
  const { limits, limit, log } = entry;
  return {
    name,
    run: typeof entry.run === 'string' ? entry.run : entry.run.map(String),
    cwd: resolve(folder, entry.cwd ?? '.'),
    env: entry.env,
    envFile: entry.envFile === undefined ? undefined : resolve(folder, entry.envFile),
    user: entry.user,
    umask: entry.umask,
    nice: entry.nice,
    limits: limits && Object.fromEntries(Object.entries(limits).map(([key, value]) => [key, resourceLimit(value)])),
    start: entry.start,
    instances: entry.instances,
    dependsOn: entry.dependsOn,
    ready: entry.ready,
    startTimeoutMs: ms(entry.startTimeout),
    aliveForMs: ms(entry.aliveFor),
    restart: entry.restart,
    backoff: entry.backoff && backoff(entry.backoff),
    limit: limit && { count: limit.count, withinMs: parseDuration(limit.within) },
    heartbeatMs: ms(entry.heartbeat),
    stopped: entry.stopped,
    stopSignal: entry.stopSignal,
    stopTimeoutMs: ms(entry.stopTimeout),
    enabled: entry.enabled,
    log: log && { maxBytes: log.maxSize === undefined ? undefined : parseSize(log.maxSize), keep: log.keep },
  };
}
