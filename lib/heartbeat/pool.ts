/** MonitoredThreadPool: a Piscina that is judged. The rule is in pool-watch.ts. */
import { Piscina } from 'piscina';
import { ExosError } from '../errors.js';
import { withAnnounce } from './announce.js';
import { announcements } from './announced.js';
import { checkedPeriodMs } from './checked.js';
import { monotonicMs } from './clock.js';
import { type Job, Jobs, type PoolOptions } from './jobs.js';
import { nextPool, PoolCell } from './pool-cell.js';
import { checkedName, checkedWorkers, closedError } from './pool-check.js';
import { OrderedResults, type Started } from './pool-map.js';
import { PoolMonitor } from './pool-monitor.js';

export type { PoolOptions } from './jobs.js';
/** What `run`, `submit` and `map` take beside the task. */
export type RunOptions = NonNullable<Parameters<Piscina['run']>[1]>;
type CloseOptions = NonNullable<Parameters<Piscina['close']>[0]>;

/**
 * A pool of worker threads that is monitored: if it gets stuck, the process fails and is recovered. It is a Piscina, which is
 * documented at https://piscinajs.dev; what is said here comes on top.
 *
 * It is stuck while no job ends, there is work, and no worker is free; a worker that may still be started is free unless work waits
 * for it. Its silence begins when it got stuck: when the last job ended, or was given to the last free worker. More than 3 periods
 * of it are a failure of the process; the verdict has the length of the queue, the age of the oldest job, and the stack of each busy
 * worker. So a job may take up to 3 periods, and more as long as others end or a worker is free; an idle pool lives, with no workers
 * too. The thread that dispatches must not be blocked for 3 periods either (less a tenth of one).
 *
 * A job that is known to take longer says so from within: `currentThread().busy(ms, why)`. It puts the deadline of its pool off, too:
 * while a job runs that said so the pool is not stuck until that time is over, and then it has its 3 periods. What a job said ends
 * with it.
 *
 * What a worker registered for itself, with `currentThread().register(period)`, ends with the worker.
 *
 * Documented as `MonitoredThreadPool(max_workers, name=None, period=15, *args, **kwargs)` on the EXOS "System" page.
 */
// biome-ignore lint/suspicious/noExplicitAny: as Piscina declares them; a pool without type arguments takes and gives anything
export class MonitoredThreadPool<T = any, R = any> extends Piscina<T, R> {
  readonly name: string;
  readonly #jobs: Jobs;
  readonly #monitor: PoolMonitor;
  /** Called when a job has ended, or a worker has come. */
  readonly #listeners = new Set<() => void>();
  #closed = false;
  #drained: Promise<void> | undefined;

  /**
   * At most `maxWorkers` threads; `name` is `MonitoredThreadPool-N` unless given; `period` in seconds; the rest goes to Piscina, with
   * `stricterFIFO` unless it says otherwise: jobs begin in the order in which they came, as in a ThreadPoolExecutor.
   *
   * Throws a ValueError for a bad value, an ExosError (`ERR_HOLDFAST_FULL`) where this process has no cell left.
   */
  constructor(maxWorkers: number, name: string | null = null, period = 15, options: PoolOptions = {}) {
    const maxThreads = checkedWorkers(maxWorkers);
    const periodMs = checkedPeriodMs(period);
    const number = nextPool();
    const shownName = checkedName(name) ?? `MonitoredThreadPool-${number}`;
    const jobs = new Jobs(options, monotonicMs);
    announcements(); // a worker inherits them when it is made
    const ours = { maxThreads, taskQueue: jobs.queue, loadBalancer: jobs.balancer };
    super({ stricterFIFO: true, ...withAnnounce(options), ...ours });
    this.name = shownName;
    this.#jobs = jobs;
    try {
      this.#monitor = new PoolMonitor(this, jobs, new PoolCell(shownName, number, periodMs), periodMs);
    } catch (error) {
      void super.destroy(); // its workers
      throw error;
    }
    this.on('workerCreate', () => this.#workerCame());
    this.on('workerDestroy', () => this.#monitor.meetWorkers()); // it may have been replaced
  }

  /** As of Piscina; after `shutdown`, `close` or `destroy` it rejects as `submit` does. */
  override run(task: T, options?: RunOptions): Promise<R> {
    return this.#start(task, options).result;
  }

  /**
   * Hands in a task: the same as `run`. An error of the task is the promise's, never the worker's. After `shutdown` the promise is
   * rejected with an ExosError (`ERR_HOLDFAST_SHUTDOWN`).
   */
  submit(task: T, options?: RunOptions): Promise<R> {
    return this.run(task, options);
  }

  /**
   * Hands in all tasks at once (or as many as the queue takes, and the others as room comes), and gives the results in the order of
   * the tasks. An error is thrown in its turn and ends it. When it ends early what no worker has begun is not done.
   */
  map(tasks: Iterable<T>, options?: RunOptions): AsyncIterableIterator<R> {
    return new OrderedResults<T, R>(tasks, {
      start: (task) => this.#startRevocably(task, options),
      hasRoom: () => this.#hasRoom(),
      onRoom: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    });
  }

  /**
   * Takes no more tasks and is monitored no more; what runs and waits is done, however long it takes, and then the workers end. The
   * promise is fulfilled when they have ended, or with `wait` false at once, while that goes on. May be called again.
   */
  async shutdown(wait = true): Promise<void> {
    this.#retire();
    this.#drained ??= this.#drain();
    if (wait) await this.#drained;
  }

  /** As of Piscina; it takes no more tasks and is monitored no more. */
  override close(options?: CloseOptions): Promise<void> {
    this.#retire();
    return super.close(options);
  }

  /** As of Piscina; it takes no more tasks and is monitored no more. */
  override destroy(): Promise<void> {
    this.#retire();
    return super.destroy();
  }

  #retire(): void {
    this.#closed = true;
    this.#monitor.end();
  }

  async #drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = () => {
        if (this.#jobs.size === 0 && this.#listeners.delete(look)) resolve();
      };
      this.#listeners.add(look);
      look();
    });
    await super.close();
  }

  #start(task: T, options: RunOptions | undefined): { job: Job | undefined; result: Promise<R> } {
    if (this.#closed) return { job: undefined, result: Promise.reject(closedError()) };
    this.#monitor.look(); // a worker that is free now may be taken by this very task
    const { job, result } = this.#jobs.submit(() => super.run(task, options));
    this.#monitor.meetWorkers();
    return { job, result: result.finally(() => this.#ended(job)) };
  }

  #startRevocably(task: T, options: RunOptions | undefined): Started<R> {
    const abort = options?.signal instanceof AbortSignal ? new AbortController() : undefined;
    const signal = abort === undefined ? undefined : AbortSignal.any([options?.signal as AbortSignal, abort.signal]);
    const { job, result } = this.#start(task, signal === undefined ? options : { ...options, signal });
    let reject: (reason: ExosError) => void;
    const cancelled = new Promise<never>((_, rejected) => {
      reject = rejected;
    });
    const cancel = () => {
      if (job === undefined || job.startedMs !== 0) return;
      if (this.#jobs.withdraw(job)) this.#changed();
      else abort?.abort();
      reject(new ExosError('the task was cancelled before a worker began it'));
    };
    return { result: Promise.race([result, cancelled]), cancel };
  }

  #ended(job: Job): void {
    this.#jobs.close(job);
    this.#monitor.look();
    this.#changed();
  }

  #workerCame(): void {
    this.#monitor.workerCame();
    queueMicrotask(() => this.#changed()); // Piscina counts it as free from then on
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Whether Piscina would take another task. Without a queue it does only where a worker is idle, or one may be started for it. */
  #hasRoom(): boolean {
    const { maxQueue } = this.options;
    if (maxQueue > 0) return this.queueSize < maxQueue;
    return this.#jobs.waiting === 0 && (this.idleThreads > 0 || this.threads.length < this.maxThreads);
  }
}
