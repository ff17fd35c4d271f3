/** When a request counts as done, and when as failed: pure functions of what was before and what is now. */
import { type ErrorCode, ExosError } from '../errors.js';
import type { NativeProcess } from '../native.js';
import { stateName } from '../process/state.js';

/** What is asked of one process. */
export type Request = 'start' | 'stop' | 'stop-force' | 'restart';

/** A request on its way: the process as it was, and the sequence that tells when the manager has taken the request in. */
export interface Asked {
  readonly request: Request;
  readonly before: NativeProcess;
  readonly sequence: number;
}

/** Finds a process by name. */
export type Look = (name: string) => NativeProcess | null;

function failed(code: ErrorCode, message: string): ExosError {
  return new ExosError(message, { code });
}

function isLiving({ pid, stopping }: NativeProcess): boolean {
  return pid !== 0 && !stopping;
}

/** The dependency at the end of the chain that will not become READY by itself, if there is one. */
function stuckDependency(process: NativeProcess, look: Look): NativeProcess | undefined {
  let current: NativeProcess | null = process;
  const seen = new Set<string>();
  while (current !== null && current.waitingFor !== '' && !seen.has(current.name)) {
    seen.add(current.name);
    current = look(current.waitingFor);
  }
  if (current === null || current === process) return undefined;
  const state = stateName(current.state);
  const isStopped = state === 'STOPPED' && (!current.wantedRun || !current.enabled);
  const isFailed = state === 'FAIL' && (!current.wantedRun || current.nextStartMs === 0);
  return isStopped || isFailed ? current : undefined;
}

/** True when it is READY (or ran to its end), undefined while that is open; throws when it failed. */
function startDone({ request, before }: Asked, now: NativeProcess, look: Look): true | undefined {
  const { name } = now;
  const last = now.failures[0];
  const isNews = last !== undefined && last.atMs !== before.failures[0]?.atMs;
  if (isNews) throw failed('ERR_HOLDFAST_FAILED', `${name} failed to start: ${last.brief}`);
  if (!now.enabled) throw failed('ERR_HOLDFAST_DISABLED', `${name} is not enabled: define it with enabled: true`);
  // A start of what lives changes nothing: its present incarnation counts. A restart is answered by a later one.
  const after = request === 'start' && isLiving(before) ? before.incarnation - 1 : before.incarnation;
  const state = stateName(now.state);
  if (state === 'READY') return !now.stopping && now.incarnation > after ? true : undefined;
  if (state === 'STOPPED' && now.pid === 0) {
    if (now.settledIncarnation > after) return true;
    if (!now.wantedRun) throw failed('ERR_HOLDFAST_STOPPED', `${name} was stopped before it was READY: start it again`);
  }
  const blocker = stuckDependency(now, look);
  if (blocker === undefined) return undefined;
  const why = stateName(blocker.state) === 'FAIL' ? 'is in FAIL' : 'is stopped';
  throw failed('ERR_HOLDFAST_BLOCKED', `${name} waits for ${blocker.name}, which ${why}: start ${blocker.name} first`);
}

/** True when nothing of it runs, undefined while something does; throws when somebody else wants it to run. */
function stopDone(now: NativeProcess): true | undefined {
  if (stateName(now.state) === 'STOPPED' && now.pid === 0) return true;
  if (!now.wantedRun) return undefined;
  throw failed('ERR_HOLDFAST_STARTED', `${now.name} was started again before it had stopped: stop it again`);
}

/** Whether a request has come to its end: true, or undefined while that is open. Throws an ExosError when it failed. */
export function isDone(asked: Asked, look: Look): true | undefined {
  const { request, before, sequence } = asked;
  const now = look(before.name);
  const isStop = request === 'stop' || request === 'stop-force';
  if (now === null) {
    if (isStop) return true;
    throw failed('ERR_HOLDFAST_UNKNOWN_PROCESS', `${before.name} was removed before it was READY: define it again`);
  }
  if (now.stale || now.requestDone < sequence) return undefined;
  return isStop ? stopDone(now) : startDone(asked, now, look);
}
