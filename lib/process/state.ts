/** The states of a process: ProcessState of the documented API. */

/**
 * The state of a process, in the documented order. The values are the strings.
 *
 * Documented as `ProcessState` on the EXOS "System" page.
 */
export const ProcessState = Object.freeze({
  /** It ended without being asked to, or could not be started. */
  FAIL: 'FAIL',
  /** It does not run, and nothing is wrong. */
  STOPPED: 'STOPPED',
  /** Its program has been executed. */
  STARTED: 'STARTED',
  /** The library in it attached. */
  BOOTING: 'BOOTING',
  /** It loads its configuration. */
  LOADCFG: 'LOADCFG',
  /** It serves. */
  READY: 'READY',
} as const);

export type ProcessState = (typeof ProcessState)[keyof typeof ProcessState];

/** All states; the position of each is its number in the native part. */
export const processStates: readonly ProcessState[] = Object.freeze(Object.values(ProcessState));

/** The state with that number. */
export function stateName(number: number): ProcessState {
  const state = processStates[number];
  if (state === undefined) throw new RangeError(`no process state has the number ${number}`);
  return state;
}

/** The number of a state, -1 for anything that is none. */
export function stateNumber(state: unknown): number {
  return (processStates as readonly unknown[]).indexOf(state);
}
