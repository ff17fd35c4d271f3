/** What every wait for a state asks of its arguments. */
import { ValueError } from '../errors.js';
import { show } from '../show.js';
import { ProcessState, stateNumber } from './state.js';

/** Throws a ValueError where `state` is no state, or `timeoutMs` no number of milliseconds. */
export function checkWait(state: unknown, timeoutMs: unknown): void {
  if (stateNumber(state as ProcessState) < 0) {
    throw new ValueError(
      `state must be a process state, and is ${show(state)}: use one of ${Object.keys(ProcessState).join(', ')}`,
    );
  }
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
    throw new ValueError(
      `timeoutMs must be a number of milliseconds of 0 or more, and is ${show(timeoutMs)}: write one such as 5000`,
    );
  }
}
