/** A process that a manager started, or a descendant of one. */
import { isMainThread } from 'node:worker_threads';
import { fromNative, isNativeError, publicly } from '../errors.js';
import { native } from '../native.js';
import { deadlock } from './deadlock.js';
import type { Self } from './self.js';
import { ProcessState, stateName, stateNumber } from './state.js';
import { unknownProcess } from './unknown.js';

export class AttachedSelf implements Self {
  readonly name: string;

  constructor() {
    this.name = publicly(() => native().attach()).name;
  }

  /** The name is the one in the definition: ignored, whatever the value. */
  rename(): void {}

  ready(): void {
    // Observers see every state on the way.
    publicly(() => {
      if (stateName(native().stateOf(this.name)) !== ProcessState.READY) native().declare(stateNumber(ProcessState.LOADCFG));
      native().declare(stateNumber(ProcessState.READY));
    });
  }

  stateOf(name: string): ProcessState {
    return this.#known(name, () => stateName(native().stateOf(name)));
  }

  waitFor(name: string, state: ProcessState, timeoutMs: number): boolean {
    if (this.stateOf(name) === state) return true;
    const isThisThread = name === this.name && isMainThread && native().spawnedHere();
    if (isThisThread) throw deadlock(name, state);
    return this.#known(name, () => native().waitState(name, stateNumber(state), timeoutMs));
  }

  #known<Result>(name: string, call: () => Result): Result {
    try {
      return call();
    } catch (error) {
      if (isNativeError(error) && error.code === 'ERR_HOLDFAST_EUNKNOWN') throw unknownProcess(name, native().knownNames());
      throw fromNative(error);
    }
  }
}
