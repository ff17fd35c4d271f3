import type { NativeInstance, NativeOperator, NativeProcess } from '../native.js';
import { ProcessState, stateName } from '../process/state.js';
import { managerLives } from './session.js';

/** What is waited for, of one process. */
export interface Asked {
  readonly name: string;
  /** `run`: READY or FAIL, or at its end; `stop`: STOPPED. */
  readonly goal: 'run' | 'stop';
  /** The request that has to be taken in first; 0 where none was made. */
  readonly sequence: number;
  /** Only the end of a later incarnation counts. */
  readonly after: number;
  /** Only a later incarnation counts as READY, too: it was asked to begin anew. */
  readonly anew: boolean;
}

/** What became of one process. */
export interface Outcome {
  readonly name: string;
  readonly ok: boolean;
  /** The last that was seen of it; undefined where it was removed meanwhile. */
  readonly process: NativeProcess | undefined;
  /** Why it is not READY, for people; '' where there is nothing to say. */
  readonly text: string;
}

/** A restart that is further away than this is not waited for by those who asked for no start. */
const RESTART_NEAR_MS = 1000;
/** A dead manager rings nobody: look for it this often. */
const LOOK_AGAIN_MS = 250;

/** Remembers a process as it is before something is asked of it. `undefined` is one that is yet to be defined. */
export function ask(
  before: NativeProcess | undefined,
  name: string,
  request: 'start' | 'stop' | 'restart' | 'define' | 'remove',
  sequence: number,
): Asked {
  const goal = request === 'stop' || request === 'remove' ? 'stop' : 'run';
  const incarnation = before?.incarnation ?? 0;
  const lives = before !== undefined && before.pid !== 0 && !before.stopping;
  // A start of what lives changes nothing, so the end of the present incarnation is news. Whoever changes a definition or asks
  // for a restart is answered by the next one.
  const after = request === 'start' && lives ? incarnation - 1 : incarnation;
  return { name, goal, sequence, after, anew: request === 'restart' };
}

type Look = (name: string) => NativeProcess | undefined;

/** The dependency that keeps a process from starting, where that dependency will not become READY by itself. */
function blockedBy(process: NativeProcess, look: Look): NativeProcess | undefined {
  let current = process;
  for (const seen = new Set<string>(); current.waitingFor !== '' && !seen.has(current.name); ) {
    seen.add(current.name);
    const next = look(current.waitingFor);
    if (next === undefined) return undefined;
    current = next;
  }
  if (current === process) return undefined;
  const state = stateName(current.state);
  const isStuck =
    state === ProcessState.FAIL || (state === ProcessState.STOPPED && (!current.wantedRun || !current.enabled));
  return isStuck ? current : undefined;
}

function outcome(process: NativeProcess, ok: boolean, text = ''): Outcome {
  return { name: process.name, ok, process, text };
}

function failed(process: NativeProcess, nowMs: number): Outcome {
  const reason = process.failures[0]?.brief ?? 'it failed';
  if (process.limited) return outcome(process, false, `${reason}; the restart limit is reached`);
  const inMs = process.nextStartMs - nowMs;
  return outcome(process, false, inMs > 0 ? `${reason}; next try in ${(inMs / 1000).toFixed(1)} s` : reason);
}

function judgeRun(asked: Asked, process: NativeProcess, instance: NativeInstance, look: Look): Outcome | undefined {
  const state = stateName(process.state);
  const isLater = process.settledIncarnation > asked.after;
  if (!process.enabled) return outcome(process, true, 'not enabled');
  if (!process.wantedRun && state === ProcessState.STOPPED)
    return outcome(process, true, isLater ? 'ran to its end' : 'stopped');
  if (state === ProcessState.READY)
    return asked.anew && process.incarnation <= asked.after ? undefined : outcome(process, true);
  const blocker = blockedBy(process, look);
  if (blocker !== undefined) {
    const why = stateName(blocker.state) === ProcessState.FAIL ? 'is in FAIL' : 'is stopped: start it';
    return outcome(process, false, `waits for ${blocker.name}, which ${why}`);
  }
  if (state === ProcessState.FAIL) {
    const isFar = process.nextStartMs === 0 || process.nextStartMs > instance.nowMs + RESTART_NEAR_MS;
    return isLater || (asked.sequence === 0 && isFar) ? failed(process, instance.nowMs) : undefined;
  }
  if (state !== ProcessState.STOPPED || process.waitingFor !== '') return undefined;
  return isLater ? outcome(process, true, 'ran to its end') : undefined;
}

/** What became of a process, or undefined while that is open. */
export function judge(asked: Asked, instance: NativeInstance, look: Look): Outcome | undefined {
  const process = look(asked.name);
  if (process === undefined) {
    const text = asked.goal === 'stop' ? '' : 'it was removed meanwhile';
    return { name: asked.name, ok: asked.goal === 'stop', process: undefined, text };
  }
  if (process.stale || process.stopping || process.requestDone < asked.sequence) return undefined;
  if (asked.goal === 'run') return judgeRun(asked, process, instance, look);
  return stateName(process.state) === ProcessState.STOPPED && process.pid === 0 ? outcome(process, true) : undefined;
}

/**
 * Waits until all that was asked has come to an end; in the order asked. Undefined where the manager and its guardian are gone
 * before that.
 */
export async function settle(operator: NativeOperator, all: readonly Asked[]): Promise<Outcome[] | undefined> {
  for (;;) {
    const seen = operator.changes();
    const instance = operator.instance();
    const isTakenIn = instance.specsDone >= instance.specsWanted;
    const byName = new Map(operator.status().map((process) => [process.name, process]));
    const outcomes = all.map((asked) => (isTakenIn ? judge(asked, instance, (name) => byName.get(name)) : undefined));
    if (outcomes.every((one) => one !== undefined)) return outcomes;
    if (!managerLives(operator)) return undefined;
    await operator.wait(seen, LOOK_AGAIN_MS, true);
  }
}

/** Waits until the manager has taken in every definition: only then does it know all names. False where it is gone. */
export async function definitionsTakenIn(operator: NativeOperator): Promise<boolean> {
  for (;;) {
    const seen = operator.changes();
    const { specsDone, specsWanted, managerPid } = operator.instance();
    if (specsDone >= specsWanted && managerPid !== 0) return true;
    if (!managerLives(operator)) return false;
    await operator.wait(seen, LOOK_AGAIN_MS, true);
  }
}
