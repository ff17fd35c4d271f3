/** Name and state of this process, and the states of its peers: the calls of the documented API. */
import { ValueError } from '../errors.js';
import { show } from '../show.js';
import { self } from './self.js';
import type { ProcessState } from './state.js';
import { checkWait } from './wait.js';

/**
 * The name of this process: the one of its definition, or where no manager started it `node`, unless it was set.
 *
 * Documented as `get_process_name()` on the EXOS "System" page.
 */
export function getProcessName(): string {
  return self().name;
}

/**
 * Sets the name of this process. Ignored, whatever the value, in a process that a manager started.
 *
 * Documented as `set_process_name(name)` on the EXOS "System" page. Throws a ValueError for a name that is not valid.
 */
export function setProcessName(name: string): void {
  self().rename(name);
}

/**
 * Declares this process ready for clients: its state becomes READY, through LOADCFG. It may be called again.
 *
 * Documented as `ready()` on the EXOS "System" page.
 */
export function ready(): void {
  self().ready();
}

/**
 * The state of a process of the same instance. One that is defined and was never started is STOPPED.
 *
 * Documented as `get_process_state(name)` on the EXOS "System" page. Throws an ExosError (`ERR_HOLDFAST_UNKNOWN_PROCESS`) that
 * names the known ones for one that is not there.
 */
export function getProcessState(name: string): ProcessState {
  return self().stateOf(checkedName(name));
}

/**
 * Blocks the calling thread until a process of the same instance has `state`: true, or false after `timeoutMs` milliseconds.
 *
 * Throws a DeadlockDetectedError, before blocking, where the wait could never end: the main thread of a process waits for that
 * very process. ExosError for an unknown name, ValueError for a bad value.
 */
export function waitForStateSync(name: string, state: ProcessState, timeoutMs: number): boolean {
  checkWait(state, timeoutMs);
  return self().waitFor(checkedName(name), state, timeoutMs);
}

function checkedName(name: unknown): string {
  if (typeof name === 'string') return name;
  throw new ValueError(`the name of a process must be a string, and is ${show(name)}: give its name`);
}
