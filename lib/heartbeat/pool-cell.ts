/** The heartbeat cell of one pool: what its beats, notes and stacks go into. */
import { threadId } from 'node:worker_threads';
import { publicly } from '../errors.js';
import type { NativeHearts } from '../native.js';
import { hearts } from './hearts.js';
import { POOL_GRACE } from './pool-watch.js';

/** Pools made so far in this thread, by all copies of the package: two of them never have the same number. */
const COUNT = Symbol.for('holdfast.pools');
const counted = globalThis as { [COUNT]?: number };

/** The number of the next pool of this thread, from 1. */
export function nextPool(): number {
  const number = (counted[COUNT] ?? 0) + 1;
  counted[COUNT] = number;
  return number;
}

export class PoolCell {
  readonly #hearts: NativeHearts;
  readonly #cell: number;
  #beats: Int32Array;
  #held = true;
  #captures = false;
  #note = '';

  /** Claims and registers it: from now on silence is judged, if anybody judges this process. */
  constructor(name: string, number: number, periodMs: number) {
    this.#hearts = hearts();
    this.#cell = publicly(() => claim(this.#hearts, name, number, periodMs));
    this.#beats = new Int32Array(this.#hearts.memory(), this.#hearts.offset(this.#cell), 1);
  }

  beat(): void {
    this.#beats[0]!++;
  }

  /** Counts as a beat; the next one may come that much later. */
  busy(ms: number, why: string): void {
    if (!this.#held) return;
    this.#hearts.busy(this.#cell, ms, why);
    this.#note = why;
  }

  /** For status and report. */
  note(text: string): void {
    if (!this.#held || text === this.#note) return;
    this.#hearts.note(this.#cell, text);
    this.#note = text;
  }

  /** Whose stacks the report has beside that of the dispatching thread. Told again and again it says that this one is not what hangs. */
  capture(threads: readonly number[]): void {
    if (!this.#held || (threads.length === 0 && !this.#captures)) return;
    this.#hearts.captureAlso(this.#cell, threads);
    this.#captures = threads.length > 0;
  }

  /** It is judged no more. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#beats = new Int32Array(1); // a late beat must not be one of the cell's next owner
    this.#hearts.deregister(this.#cell);
    this.#hearts.drop(this.#cell);
  }

  /** Takes back what a worker that is dead had registered for itself: its silence is no failure of the process. */
  reclaim(thread: number): void {
    try {
      const cell = this.#hearts.claim('thread', thread, `worker-${thread}`);
      this.#hearts.deregister(cell);
      this.#hearts.drop(cell);
    } catch {
      // No cell is left for it, so it had none.
    }
  }
}

function claim(all: NativeHearts, name: string, number: number, periodMs: number): number {
  const cell = all.claim('pool', threadId * 65_536 + number, name);
  try {
    all.register(cell, periodMs, POOL_GRACE);
  } catch (error) {
    all.drop(cell);
    throw error;
  }
  return cell;
}
