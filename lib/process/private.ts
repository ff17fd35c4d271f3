/** A process that no manager started: everything works, against memory that only its own threads share. */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { deadlock } from './deadlock.js';
import { checkName } from './name.js';
import type { Self } from './self.js';
import { ProcessState, stateName, stateNumber } from './state.js';
import { unknownProcess } from './unknown.js';

/** Of Node's environment data: Workers made later inherit it, and other copies of the package find it. */
const KEY = 'holdfast.private.1';
/** As EXOS's default is the interpreter, `expy`. */
const DEFAULT_NAME = 'node';

// The memory: word 0 the state, word 1 the length of the name, then the name.
const STATE = 0;
const LENGTH = 1;
const NAME_AT = 8;
const BYTES = 64;

function sharedMemory(): SharedArrayBuffer {
  const found: unknown = getEnvironmentData(KEY);
  if (found instanceof SharedArrayBuffer && found.byteLength >= BYTES) return found;
  const made = new SharedArrayBuffer(BYTES);
  setEnvironmentData(KEY, made);
  return made;
}

export class PrivateSelf implements Self {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor() {
    const memory = sharedMemory();
    this.#words = new Int32Array(memory, 0, 2);
    this.#bytes = new Uint8Array(memory, NAME_AT);
    // The first thread to be here finds zeros: no name yet.
    if (Atomics.load(this.#words, LENGTH) !== 0) return;
    Atomics.store(this.#words, STATE, stateNumber(ProcessState.BOOTING));
    this.rename(DEFAULT_NAME);
  }

  get name(): string {
    const length = Atomics.load(this.#words, LENGTH);
    return String.fromCharCode(...this.#bytes.slice(0, length));
  }

  rename(name: string): void {
    checkName(name);
    for (let at = 0; at < name.length; at++) this.#bytes[at] = name.charCodeAt(at); // a valid name is ASCII
    Atomics.store(this.#words, LENGTH, name.length);
  }

  ready(): void {
    if (this.#state === ProcessState.READY) return;
    for (const state of [ProcessState.LOADCFG, ProcessState.READY]) {
      Atomics.store(this.#words, STATE, stateNumber(state));
      Atomics.notify(this.#words, STATE);
    }
  }

  stateOf(name: string): ProcessState {
    if (name === this.name) return this.#state;
    throw unknownProcess(name, this.name, ' (no manager started this program)');
  }

  waitFor(name: string, state: ProcessState, timeoutMs: number): boolean {
    if (this.stateOf(name) === state) return true;
    if (isMainThread) throw deadlock(name, state);
    const until = performance.now() + timeoutMs;
    for (;;) {
      const now = Atomics.load(this.#words, STATE);
      if (stateName(now) === state) return true;
      const leftMs = until - performance.now();
      if (leftMs <= 0) return false;
      Atomics.wait(this.#words, STATE, now, leftMs);
    }
  }

  get #state(): ProcessState {
    return stateName(Atomics.load(this.#words, STATE));
  }
}
