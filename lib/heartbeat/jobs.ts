/**
 * The jobs of a pool: which ones wait, which one runs since when in which worker.
 *
 * Piscina tells it through two of its documented extension points, both wrapped: the task queue sees what waits, the load balancer sees
 * what is given to whom. Each task has a number there; both see it for the first time while `run` is still on the stack.
 */
import { FixedQueue, type Piscina, type PiscinaTask, type TaskQueue } from 'piscina';

export type PoolOptions = Omit<NonNullable<ConstructorParameters<typeof Piscina>[0]>, 'maxThreads'>;
type Balancer = NonNullable<PoolOptions['loadBalancer']>;
type Task = Parameters<TaskQueue['push']>[0];

export interface Job {
  readonly submittedMs: number;
  /** 0: it waits. */
  startedMs: number;
  /** Node's number of the worker that has it; 0: none. */
  threadId: number;
  number: number | undefined;
  /** As it lies in the queue. */
  queued: Task | undefined;
}

export class Jobs {
  readonly queue: TaskQueue;
  readonly balancer: Balancer;
  readonly #inner: TaskQueue;
  readonly #now: () => number;
  /** In the order in which they were submitted. */
  readonly #open = new Set<Job>();
  readonly #byNumber = new Map<number, Job>();
  #running = 0;
  #submitting: Job | undefined;

  constructor({ taskQueue, loadBalancer, concurrentTasksPerWorker = 1 }: PoolOptions, now: () => number) {
    this.#now = now;
    this.#inner = taskQueue ?? new FixedQueue();
    this.queue = this.#watched(this.#inner);
    const policy = loadBalancer ?? leastBusy(concurrentTasksPerWorker);
    this.balancer = (task, workers) => {
      const job = this.#jobOf(task);
      const worker = policy(task, workers);
      if (job !== undefined && worker !== null) this.#start(job, worker.id);
      return worker;
    };
  }

  /** Calls `run`, which gives Piscina exactly one task, and knows it from then on. */
  submit<Result>(run: () => Result): { job: Job; result: Result } {
    const job: Job = { submittedMs: this.#now(), startedMs: 0, threadId: 0, number: undefined, queued: undefined };
    this.#open.add(job);
    const outer = this.#submitting; // a load balancer may submit, too
    this.#submitting = job;
    try {
      return { job, result: run() };
    } finally {
      this.#submitting = outer;
    }
  }

  /** It has ended, or was refused. */
  close(job: Job): void {
    if (!this.#open.delete(job)) return;
    if (job.startedMs !== 0) this.#running--;
    if (job.number !== undefined) this.#byNumber.delete(job.number);
  }

  /** Takes it out of the queue: true, or false where a worker has it or it does not lie there. */
  withdraw(job: Job): boolean {
    if (job.queued === undefined || !this.#open.has(job)) return false;
    this.#inner.remove(job.queued);
    job.queued = undefined;
    this.close(job);
    return true;
  }

  get size(): number {
    return this.#open.size;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#open.size - this.#running;
  }

  /** Age of the job that was submitted first. */
  oldestMs(nowMs: number): number {
    const [first] = this.#open;
    return first === undefined ? 0 : nowMs - first.submittedMs;
  }

  /** Those that a worker has. */
  *started(): Generator<Job> {
    for (const job of this.#open) if (job.startedMs !== 0) yield job;
  }

  #start(job: Job, threadId: number): void {
    if (job.startedMs === 0) this.#running++;
    job.startedMs = this.#now();
    job.threadId = threadId;
    job.queued = undefined;
  }

  #wait(task: Task): void {
    const job = this.#jobOf(task as PiscinaTask);
    if (job === undefined) return;
    if (job.startedMs !== 0) this.#running--; // its balancer had chosen a worker that is none of the pool's
    job.startedMs = 0;
    job.threadId = 0;
    job.queued = task;
  }

  #jobOf({ taskId }: PiscinaTask): Job | undefined {
    const submitting = this.#submitting;
    if (submitting !== undefined && submitting.number === undefined && !this.#byNumber.has(taskId)) {
      submitting.number = taskId;
      this.#byNumber.set(taskId, submitting);
    }
    return this.#byNumber.get(taskId);
  }

  #watched(inner: TaskQueue): TaskQueue {
    const queue: TaskQueue = {
      get size() {
        return inner.size;
      },
      shift: () => inner.shift(),
      remove: (task) => inner.remove(task),
      push: (task) => {
        this.#wait(task);
        inner.push(task);
      },
    };
    if (inner.unshift !== undefined) {
      queue.unshift = (task) => {
        this.#wait(task);
        inner.unshift?.(task);
      };
    }
    return queue;
  }
}

/** What Piscina does where no load balancer is given; it does not hand it out. */
function leastBusy(maximumUsage: number): Balancer {
  return (task, workers) => {
    let chosen: (typeof workers)[number] | null = null;
    let usage = maximumUsage;
    for (const worker of workers) {
      if (worker.currentUsage === 0) return worker;
      if (task.isAbortable || worker.isRunningAbortableTask || worker.currentUsage >= usage) continue;
      chosen = worker;
      usage = worker.currentUsage;
    }
    return chosen;
  };
}
