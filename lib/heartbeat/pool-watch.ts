/**
 * When a pool is stuck: the rule, without a pool, a clock or a timer.
 *
 * A pool that is stuck is silent, and silent for more than 3 periods is a failure. Its silence has to begin at the moment at which it got
 * stuck, so a sign of life is given at every event that shows one, and not only once a period: when a job ends, and when one is handed in
 * while a worker is free. What is left is given by a timer: a pool that is idle, or has a free worker beside jobs that take long.
 */

/** How many periods a pool may be stuck. */
export const POOL_GRACE = 3;
/** How often the timer looks: a loop that is blocked is silent for at most that part of a period longer than it is blocked. */
export const LOOKS_IN_A_PERIOD = 10;

/** What a look at a pool sees. */
export interface PoolView {
  /** Jobs that have ended so far, well or not. */
  readonly completed: number;
  /** Jobs that a worker has. */
  readonly running: number;
  /** Jobs that no worker has yet. */
  readonly waiting: number;
  /** A worker has nothing to do (or, where it may have several jobs at once, room for another and a loop that turns). */
  readonly idle: boolean;
  /** There are fewer workers than there may be. */
  readonly room: boolean;
}

export class PoolWatch {
  #completed = 0;
  #extendedToMs = Number.NEGATIVE_INFINITY;

  /**
   * Whether the pool shows life, so that a beat is due. It does not, it is stuck, if since the last look no job has ended, there is
   * work, and no worker is free for more. A worker that may still be started counts as free, unless work waits for it.
   */
  isAlive(view: PoolView): boolean {
    const alive = view.completed !== this.#completed || isFree(view);
    if (!alive) return false;
    this.#completed = view.completed;
    this.#extendedToMs = Number.NEGATIVE_INFINITY; // a beat ends an extension
    return true;
  }

  /**
   * Of a pool that shows no life: by how many milliseconds from now its deadline is to be put off, because a job that it runs said
   * that it takes until then; 0 where nothing is to be done.
   */
  extension(announcedUntilMs: number, nowMs: number): number {
    if (announcedUntilMs <= Math.max(nowMs, this.#extendedToMs)) return 0;
    this.#extendedToMs = announcedUntilMs;
    return announcedUntilMs - nowMs;
  }

  /** Whether the silence is one that was announced. */
  isExtended(nowMs: number): boolean {
    return nowMs < this.#extendedToMs;
  }
}

function isFree({ running, waiting, idle, room }: PoolView): boolean {
  return running + waiting === 0 || idle || (room && waiting === 0);
}

/** What a stuck pool says of itself: at most 47 characters for fewer than ten million jobs. */
export function poolNote(waiting: number, oldestMs: number, busy: number, workers: number): string {
  const seconds = oldestMs / 1000;
  return `queue ${waiting}, oldest ${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s, ${busy}/${workers} busy`;
}
