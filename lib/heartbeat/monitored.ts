/** One monitored thread, as this thread holds it: its cell, and the beat into it. */
import { ExosError, isNativeError, publicly } from '../errors.js';
import type { NativeHearts } from '../native.js';
import { checkBusy, checkedPeriodMs } from './checked.js';

/** A thread that can be monitored: this one (`currentThread()`), or a Worker (`Thread`). */
export interface MonitoredThread {
  /** `main`, or the `name` option of the Worker, or `worker-` and its threadId. */
  readonly name: string;
  readonly threadId: number;
  /**
   * Monitors this thread from now on: if it does not beat at least every `periodSeconds`, the process fails and is
   * recovered. It counts as a beat; again, it replaces the period. In a process that no manager started it is accepted, and
   * nothing judges.
   *
   * Documented as `Thread.register(period)` on the EXOS "System" page. Throws a ValueError unless the period is above 0 (at
   * least 0.01 s, at most a year), an ExosError (`ERR_HOLDFAST_FULL`) where the process has too many monitored threads.
   */
  register(periodSeconds: number): void;
  /**
   * Beats: this thread is alive. It is one store, and does nothing in a thread that is not registered.
   *
   * Documented as `Thread.keepalive()` on the EXOS "System" page.
   */
  keepalive(): void;
  /**
   * Ends the monitoring.
   *
   * Documented as `Thread.deregister()` on the EXOS "System" page.
   */
  deregister(): void;
  /**
   * Beats, and says that the next beat may come `ms` milliseconds later than otherwise; `why` is shown in status and report.
   */
  busy(ms: number, why: string): void;
}

/**
 * A beat into a view: one store. It is a function of its own because V8 then knows the place of the store when it compiles,
 * and a loop of beats costs what a loop of `array[i]++` does; read from a field each time, the place would make it several
 * times as much.
 */
function beatInto(view: Int32Array): () => void {
  return () => {
    view[0]!++;
  };
}

const noBeat = () => {};

export class Monitored {
  readonly name: string;
  readonly threadId: number;
  readonly #hearts: NativeHearts;
  #beat = noBeat;
  #cell: number | undefined;
  #isOver = false;

  /**
   * Holds the cell of a thread from now on: it is the same one for all who hold it, in whichever thread, so that each can
   * beat for it.
   */
  constructor(hearts: NativeHearts, threadId: number, name: string) {
    this.#hearts = hearts;
    this.threadId = threadId;
    this.name = name;
    try {
      this.#hold();
    } catch (error) {
      // There are more threads than cells. Who registers this one asks again, and hears it.
      if (!isNativeError(error)) throw error;
    }
  }

  /**
   * Asked again after `register` and `end`. Who calls it often has it in a field of its own: V8 then compiles it for that
   * place alone.
   */
  get beat(): () => void {
    return this.#beat;
  }

  register(periodSeconds: number): void {
    const periodMs = checkedPeriodMs(periodSeconds);
    if (this.#isOver) {
      throw new ExosError(`the thread ${this.name} has ended: register a living one`, { code: 'ERR_HOLDFAST_SHUTDOWN' });
    }
    publicly(() => this.#hearts.register(this.#hold(), periodMs, 1));
  }

  deregister(): void {
    if (this.#isOver) this.#forget();
    else if (this.#cell !== undefined) this.#hearts.deregister(this.#cell);
  }

  busy(ms: number, why: string): void {
    checkBusy(ms, why);
    if (this.#cell !== undefined) this.#hearts.busy(this.#cell, ms, why);
  }

  /** The thread has ended. If it was monitored it stays so: its silence is a failure, unless it is deregistered. */
  end(): void {
    this.#isOver = true;
    this.#beat = noBeat; // before the cell may become another's
    if (this.#cell !== undefined) this.#hearts.drop(this.#cell);
    this.#cell = undefined;
  }

  #hold(): number {
    if (this.#cell === undefined) {
      const cell = this.#hearts.claim('thread', this.threadId, this.name);
      this.#beat = beatInto(new Int32Array(this.#hearts.memory(), this.#hearts.offset(cell), 1));
      this.#cell = cell;
    }
    return this.#cell;
  }

  /** Of a thread that has ended: its cell is monitored no more, if there still is one. */
  #forget(): void {
    try {
      const cell = this.#hearts.claim('thread', this.threadId, this.name);
      this.#hearts.deregister(cell);
      this.#hearts.drop(cell);
    } catch (error) {
      if (!isNativeError(error)) throw error; // every cell is another's: it had none
    }
  }
}
