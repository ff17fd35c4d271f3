/** Watches one pool: looks at it, beats for it, and tells the judge what it would want to know. The rule is in pool-watch.ts. */
import type { Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { type AnnouncementTable, announcements } from './announced.js';
import { monotonicMs } from './clock.js';
import type { Jobs } from './jobs.js';
import type { PoolCell } from './pool-cell.js';
import { LOOKS_IN_A_PERIOD, type PoolView, PoolWatch, poolNote } from './pool-watch.js';

export class PoolMonitor {
  readonly #pool: Piscina;
  readonly #jobs: Jobs;
  readonly #cell: PoolCell;
  readonly #view: PoolView;
  readonly #watch = new PoolWatch();
  readonly #announced: AnnouncementTable = announcements();
  readonly #timer: NodeJS.Timeout;
  readonly #met = new WeakSet<Worker>();
  /** For how long the loop of each worker had been idle when it was last looked at. */
  readonly #idleMs = new WeakMap<Worker, number>();

  constructor(pool: Piscina, jobs: Jobs, cell: PoolCell, periodMs: number) {
    this.#pool = pool;
    this.#jobs = jobs;
    this.#cell = cell;
    const anyTurns = () => this.#anyTurns();
    this.#view = {
      get completed() {
        return pool.completed;
      },
      get running() {
        return jobs.running;
      },
      get waiting() {
        return jobs.waiting;
      },
      get idle() {
        return pool.idleThreads > 0 || anyTurns();
      },
      get room() {
        return pool.threads.length < pool.maxThreads;
      },
    };
    this.#timer = setInterval(() => this.#lookClosely(), periodMs / LOOKS_IN_A_PERIOD).unref();
    this.meetWorkers();
  }

  /** Beats if the pool shows life. To be called when a job has ended, and before one is handed in. */
  look(): void {
    if (this.#watch.isAlive(this.#view)) this.#cell.beat();
  }

  /** A new worker is free for a moment, even if work waits for it. */
  workerCame(): void {
    this.#cell.beat();
    this.meetWorkers();
  }

  /** What a worker registers for itself is taken back when it has ended. To be called whenever there may be new ones. */
  meetWorkers(): void {
    for (const worker of this.#pool.threads) {
      if (this.#met.has(worker)) continue;
      this.#met.add(worker);
      const { threadId } = worker; // -1 when it has ended
      worker.once('exit', () => this.#cell.reclaim(threadId));
    }
  }

  /** The pool is monitored no more. Its workers still are met. */
  end(): void {
    clearInterval(this.#timer);
    this.#cell.release();
  }

  /** As the timer does: and if the pool shows no life, says what is known. */
  #lookClosely(): void {
    if (this.#watch.isAlive(this.#view)) {
      this.#cell.beat();
      this.#cell.note('');
      this.#cell.capture([]);
      return;
    }
    const nowMs = monotonicMs();
    const { untilMs, why } = this.#longest();
    const extraMs = this.#watch.extension(untilMs, nowMs);
    if (extraMs > 0) this.#cell.busy(extraMs, why);
    const busy = this.#busyThreads();
    this.#cell.capture([...busy]);
    if (this.#watch.isExtended(nowMs)) return;
    const oldestMs = this.#jobs.oldestMs(nowMs);
    this.#cell.note(poolNote(this.#jobs.waiting, oldestMs, busy.size, this.#pool.threads.length));
  }

  /** What the running job says that takes longest of those that said something. */
  #longest(): { untilMs: number; why: string } {
    let longest = { untilMs: Number.NEGATIVE_INFINITY, why: '' };
    for (const { threadId, startedMs } of this.#jobs.started()) {
      const said = this.#announced.read(threadId);
      if (said !== undefined && said.saidMs >= startedMs && said.untilMs > longest.untilMs) longest = said;
    }
    return longest;
  }

  /** Threads that have a job; and while work waits those that start, as no other is without one. */
  #busyThreads(): Set<number> {
    const busy = new Set<number>();
    for (const { threadId } of this.#jobs.started()) busy.add(threadId);
    if (this.#jobs.waiting > 0) for (const { threadId } of this.#pool.threads) if (threadId > 0) busy.add(threadId);
    return busy;
  }

  /** Where a worker may have several jobs at once: whether one has room for another, and its loop has turned since it was last looked at. */
  #anyTurns(): boolean {
    const { concurrentTasksPerWorker } = this.#pool.options;
    if (concurrentTasksPerWorker === 1) return false;
    const load = new Map<number, number>();
    for (const { threadId } of this.#jobs.started()) load.set(threadId, (load.get(threadId) ?? 0) + 1);
    let found = false;
    for (const worker of this.#pool.threads) {
      const { idle } = worker.performance.eventLoopUtilization();
      const turned = idle > (this.#idleMs.get(worker) ?? 0);
      this.#idleMs.set(worker, idle);
      if (turned && (load.get(worker.threadId) ?? 0) < concurrentTasksPerWorker) found = true;
    }
    return found;
  }
}
