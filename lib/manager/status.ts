/** Status, failures and events: from what C reads to what people see. */
import { getSystemErrorName } from 'node:util';
import { isNativeError } from '../errors.js';
import {
  type NativeEvent,
  type NativeFailure,
  type NativeOperator,
  type NativeProcess,
  type NativeThread,
  native,
} from '../native.js';
import { stateName } from '../process/state.js';
import { signalName } from './limits.js';
import type { EventType, Failure, FailureCause, HoldfastEvent, ProcessStatus, Status, ThreadStatus } from './types.js';

/** What a process had used when somebody looked last. */
interface Usage {
  incarnation: number;
  atMs: number;
  cpuMs: number;
}

/** Remembers processor times between two looks, for `cpuPercent`. */
export class CpuMeter {
  #usage = new Map<string, Usage>();

  /** Percent of one processor since the last look at the same incarnation, else since it started; null where nothing runs. */
  percent(process: NativeProcess, nowMs: number): number | null {
    const before = this.#usage.get(process.name);
    this.#usage.delete(process.name);
    if (process.pid === 0) return null;
    const { incarnation, cpuMs, startedMs } = process;
    this.#usage.set(process.name, { incarnation, atMs: nowMs, cpuMs });
    const since = before?.incarnation === incarnation ? before : { atMs: startedMs, cpuMs: 0 };
    const spanMs = nowMs - since.atMs;
    // The kernel counts in ticks: two looks in a short time can show less than before.
    return spanMs <= 0 ? 0 : Math.round((Math.max(0, cpuMs - since.cpuMs) / spanMs) * 1000) / 10;
  }

  /** Forgets what is no longer defined. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#usage.keys()) if (!names.has(name)) this.#usage.delete(name);
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function cause(number: number): FailureCause | null {
  const name = native().constants.causes[number];
  return name === undefined || name === 'none' ? null : (name as FailureCause);
}

function errorName(errno: number): string | null {
  return errno > 0 ? getSystemErrorName(-errno) : null;
}

/** Whole milliseconds, and tenths of those below 10: more would be noise. */
function rounded(ms: number): number {
  return ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms);
}

/** One failure, of the process `name`. */
export function toFailure(name: string, failure: NativeFailure): Failure {
  const errno = errorName(failure.errno);
  const isHang = cause(failure.cause) === 'hang';
  return {
    cause: cause(failure.cause) ?? 'lost',
    at: isoTime(failure.atMs),
    exitCode: failure.exitCode >= 0 ? failure.exitCode : null,
    signal: failure.signal > 0 ? signalName(failure.signal) : null,
    thread: isHang ? failure.thread : null,
    phase: stateName(failure.phase),
    where: failure.where === '' ? null : failure.where,
    silentMs: isHang ? rounded(failure.silentMs) : null,
    latenessMs: isHang ? rounded(failure.latenessMs) : null,
    report: failure.hasReport ? `reports/${name}.${failure.incarnation}.txt` : null,
    message: failure.text,
    brief: failure.brief,
    ...(errno === null ? {} : { errno }),
  };
}

/** A monitored thread. */
export function toThread(thread: NativeThread): ThreadStatus {
  const { threadFlags } = native().constants;
  const excuse = (['traced', 'stopped', 'frozen', 'busy'] as const).find((word) => (thread.flags & threadFlags[word]) !== 0);
  return {
    name: thread.name,
    tid: thread.tid,
    periodMs: rounded(thread.periodMs),
    grace: thread.grace,
    silentMs: rounded(thread.silentMs),
    excused: excuse ?? null,
    note: thread.note === '' ? null : thread.note,
  };
}

/** The monitored threads; none of a process that was removed since it was seen. */
function threadsOf({ name, pid }: NativeProcess, operator: NativeOperator): ThreadStatus[] {
  if (pid === 0) return [];
  try {
    return operator.threads(name).map(toThread);
  } catch (error) {
    if (isNativeError(error) && error.code === 'ERR_HOLDFAST_EUNKNOWN') return [];
    throw error;
  }
}

function toProcessStatus(process: NativeProcess, operator: NativeOperator, nowMs: number, meter: CpuMeter): ProcessStatus {
  const runs = process.pid !== 0;
  const last = process.failures[0];
  return {
    name: process.name,
    state: stateName(process.state),
    pid: runs ? process.pid : null,
    incarnation: process.incarnation,
    uptimeMs: runs ? Math.max(0, Math.round(nowMs - process.startedMs)) : null,
    restarts: process.restarts,
    wanted: process.wantedRun ? 'run' : 'stop',
    enabled: process.enabled,
    waitingFor: process.waitingFor === '' ? null : process.waitingFor,
    limited: process.limited,
    cpuPercent: meter.percent(process, nowMs),
    memoryBytes: runs ? process.memoryBytes : null,
    threads: threadsOf(process, operator),
    statusText: process.statusText === '' ? null : process.statusText,
    lastFailure: last === undefined ? null : toFailure(process.name, last),
  };
}

/** Reads the whole status. Works without a manager: then its pid is null. With a meter, `cpuPercent` counts from the look before. */
export function readStatus(operator: NativeOperator, meter: CpuMeter = new CpuMeter()): Status {
  const processes = operator.status();
  const instance = operator.instance();
  meter.keep(new Set(processes.map((process) => process.name)));
  const lives = instance.managerPid !== 0;
  return {
    instance: instance.instance,
    dir: instance.dir,
    manager: {
      pid: lives ? instance.managerPid : null,
      uptimeMs: lives ? Math.max(0, Math.round(instance.nowMs - instance.managerStartedMs)) : null,
      restarts: instance.managerRestarts,
    },
    processes: processes.map((process) => toProcessStatus(process, operator, instance.nowMs, meter)),
  };
}

/** One event of the log. */
export function toEvent(event: NativeEvent): HoldfastEvent {
  const type = native().constants.events[event.type] as EventType;
  const isMove = type === 'state';
  const to = isMove ? stateName(event.to) : null;
  const why = cause(event.cause);
  // Only an ending has a code; elsewhere the number means nothing.
  const isExit = (to === 'FAIL' || to === 'STOPPED') && event.signal === 0 && event.exitCode >= 0 && why !== 'spawn';
  return {
    sequence: event.sequence,
    at: isoTime(event.atMs),
    type,
    name: event.name === '' ? null : event.name,
    incarnation: event.incarnation,
    pid: event.pid === 0 ? null : event.pid,
    from: isMove ? stateName(event.from) : null,
    to,
    cause: why,
    exitCode: isExit ? event.exitCode : null,
    signal: event.signal > 0 ? signalName(event.signal) : null,
    errno: errorName(event.errno),
    detail: event.detail,
  };
}
