/** Waits that could never end. */
import { DeadlockDetectedError } from '../errors.js';
import type { ProcessState } from './state.js';

/** The main thread of a process waits for a state of that very process. */
export function deadlock(name: string, state: ProcessState): DeadlockDetectedError {
  return new DeadlockDetectedError(
    `waiting for ${name} to become ${state} could never end: ${name} is this process, and its main thread would be asleep: wait in a Worker, or call ready() first`,
  );
}
