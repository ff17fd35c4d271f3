/** Status, failures and events: from what C reads to what people see. */
import { getSystemErrorName } from 'node:util';
import { type NativeEvent, type NativeFailure, type NativeOperator, type NativeProcess, native } from '../native.js';
import { stateName } from '../process/state.js';
import { signalName } from './limits.js';
import type { EventType, Failure, FailureCause, HoldfastEvent, ProcessStatus, Status } from './types.js';

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

/** One failure. */
export function toFailure(failure: NativeFailure): Failure {
  const errno = errorName(failure.errno);
  return {
    cause: cause(failure.cause) ?? 'lost',
    at: isoTime(failure.atMs),
    exitCode: failure.exitCode >= 0 ? failure.exitCode : null,
    signal: failure.signal > 0 ? signalName(failure.signal) : null,
    thread: null,
    phase: stateName(failure.phase),
    silentMs: null,
    latenessMs: null,
    report: null,
    message: failure.text,
    ...(errno === null ? {} : { errno }),
  };
}

function toProcessStatus(process: NativeProcess, nowMs: number, meter: CpuMeter): ProcessStatus {
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
    threads: [],
    lastFailure: last === undefined ? null : toFailure(last),
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
    processes: processes.map((process) => toProcessStatus(process, instance.nowMs, meter)),
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
