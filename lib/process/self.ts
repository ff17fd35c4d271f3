/**
 * Who this process is: attached to the manager that started it ("daemon mode"), or by itself ("non-daemon mode").
 *
 * Importing this attaches the process that a manager spawned; in any other it does nothing, and the first call decides.
 */
import { native } from '../native.js';
import { AttachedSelf } from './attached.js';
import { PrivateSelf } from './private.js';
import type { ProcessState } from './state.js';

/** What the calls of the facade ask of this process. */
export interface Self {
  readonly name: string;
  rename(name: string): void;
  ready(): void;
  /** Throws an ExosError that names the known processes. */
  stateOf(name: string): ProcessState;
  /** Blocks; false when the time is over. */
  waitFor(name: string, state: ProcessState, timeoutMs: number): boolean;
}

let current: Self | undefined;

/** True below a manager: it hands this variable to what it starts, and their descendants inherit it. */
function isSupervised(): boolean {
  return process.env.HOLDFAST_ATTACH !== undefined;
}

/** This process. Throws where a manager started it, or an ancestor of it, and attaching fails: the message says why. */
export function self(): Self {
  current ??= isSupervised() ? new AttachedSelf() : new PrivateSelf();
  return current;
}

function attachAtImport(): void {
  if (!isSupervised()) {
    current = new PrivateSelf(); // now, so that a Worker made from here on shares its memory
    return;
  }
  try {
    if (native().spawnedHere()) current = new AttachedSelf();
  } catch {
    // An import that throws would end a program that may never ask. Who asks tries again, and hears the reason.
  }
}

attachAtImport();
