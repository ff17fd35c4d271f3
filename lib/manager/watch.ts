/**
 * Watching an instance: conditions are looked at again whenever something changed there. One native wait (a futex, on a thread
 * of its own) serves all; nothing is polled but, once a second while somebody waits, whether the instance still lives at all:
 * a manager and a guardian that were both killed ring nobody.
 */
import { ExosError, fromNative, publicly } from '../errors.js';
import type { NativeOperator } from '../native.js';

const LIFE_CHECK_MS = 1000;

/** True, or a value, when it is met; undefined while it is not. What it throws ends the wait. */
export type Condition<Result> = () => Result | undefined;

interface Waiter {
  /** True when it has come to an end. */
  look(): boolean;
  /** Ends it for want of a manager, or of the client. */
  fail(error: unknown): void;
}

export function closedError(): ExosError {
  return new ExosError('the client is closed: open another one with connect()', { code: 'ERR_HOLDFAST_SHUTDOWN' });
}

export function goneError(dir: string): ExosError {
  return new ExosError(`no manager runs in ${dir}: start one with "holdfast up"`, { code: 'ERR_HOLDFAST_NO_MANAGER' });
}

export class Watch {
  readonly #operator: NativeOperator;
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();
  #isRunning = false;
  #isClosed = false;
  /** False until the first manager was seen, where it is still to be started. */
  #wasAlive: boolean;

  /** With `startsLater` the instance is not gone before it was there. */
  constructor(operator: NativeOperator, startsLater = false) {
    this.#operator = operator;
    this.#wasAlive = !startsLater;
  }

  /** Fulfilled with what `condition` returns. Keeps the event loop alive until then. Rejected by `timeout` if it comes first. */
  until<Result>(condition: Condition<Result>, timeout?: { ms: number; error: () => ExosError }): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(closedError());
      let timer: NodeJS.Timeout | undefined;
      const end = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0 && !this.#isClosed) this.#operator.setRef(false);
      };
      const waiter: Waiter = {
        look: () => {
          try {
            const result = publicly(condition);
            if (result === undefined) return false;
            resolve(result);
          } catch (error) {
            reject(error);
          }
          end();
          return true;
        },
        fail: (error) => {
          end();
          reject(error);
        },
      };
      if (waiter.look()) return;
      if (timeout !== undefined && timeout.ms !== Number.POSITIVE_INFINITY) {
        timer = setTimeout(() => {
          if (!waiter.look()) waiter.fail(timeout.error());
        }, timeout.ms);
      }
      this.#waiters.add(waiter);
      this.#wake();
    });
  }

  /** The same, but undefined where the client is closed or the instance is gone before. */
  async untilEnd<Result>(condition: Condition<Result>): Promise<Result | undefined> {
    try {
      return await this.until(condition);
    } catch (error) {
      const isEnd = error instanceof ExosError && ['ERR_HOLDFAST_NO_MANAGER', 'ERR_HOLDFAST_SHUTDOWN'].includes(error.code);
      if (isEnd) return undefined;
      throw error;
    }
  }

  /** Calls `listener` after every change, without keeping the event loop alive. Returns what ends that. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#wake();
    return () => void this.#listeners.delete(listener);
  }

  /** Whether the manager, or the guardian that is about to start one, lives. */
  isAlive(): boolean {
    const { managerPid, guardianPid } = this.#operator.instance();
    return managerPid !== 0 || guardianPid !== 0;
  }

  /** Rejects what is pending. The operator is closed by its owner. */
  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    for (const waiter of this.#waiters) waiter.fail(closedError());
  }

  #wake(): void {
    if (this.#isRunning) this.#operator.setRef(this.#waiters.size > 0);
    else void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let deadLooks = 0; !this.#isClosed; ) {
        const seen = this.#operator.changes();
        for (const listener of this.#listeners) listener();
        for (const waiter of this.#waiters) waiter.look();
        if (this.#isClosed || this.#waiters.size + this.#listeners.size === 0) return;
        // Twice in a row: between two managers there is a moment without one.
        const isAlive = this.isAlive();
        this.#wasAlive ||= isAlive;
        deadLooks = isAlive || !this.#wasAlive ? 0 : deadLooks + 1;
        if (deadLooks > 1) return this.#giveUp();
        const keepsAlive = this.#waiters.size > 0;
        await this.#operator.wait(seen, LIFE_CHECK_MS, keepsAlive);
      }
    } catch (error) {
      for (const waiter of this.#waiters) waiter.fail(fromNative(error));
    } finally {
      this.#isRunning = false;
    }
  }

  #giveUp(): void {
    const error = goneError(this.#operator.instance().dir);
    for (const waiter of this.#waiters) waiter.fail(error);
  }
}
