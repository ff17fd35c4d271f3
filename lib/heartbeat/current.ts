/** The calling thread. */
import * as threads from 'node:worker_threads';
import { announce } from './announced.js';
import { hearts } from './hearts.js';
import { Monitored, type MonitoredThread } from './monitored.js';

/** Where native/announce.cjs leaves the name of a Thread that has one. */
const NAME = Symbol.for('holdfast.threadName');

class CurrentThread implements MonitoredThread {
  readonly #monitored: Monitored;
  #beat: () => void;

  constructor() {
    this.#monitored = new Monitored(hearts(), threads.threadId, nameOfThisThread());
    this.#beat = this.#monitored.beat;
  }

  get name(): string {
    return this.#monitored.name;
  }

  get threadId(): number {
    return this.#monitored.threadId;
  }

  register(periodSeconds: number): void {
    this.#monitored.register(periodSeconds);
    this.#beat = this.#monitored.beat;
  }

  keepalive(): void {
    this.#beat();
  }

  deregister(): void {
    this.#monitored.deregister();
  }

  busy(ms: number, why: string): void {
    this.#monitored.busy(ms, why);
    announce(ms, why); // to the pool whose worker this is
  }
}

let current: CurrentThread | undefined;

/**
 * The calling thread, to be monitored; the main thread too. A Worker's own handle and the `Thread` that its parent holds are
 * one thread: each can register it and beat for it.
 *
 * The first call attaches a process that a manager started, and throws an ExosError where that fails.
 */
export function currentThread(): MonitoredThread {
  current ??= new CurrentThread();
  return current;
}

function nameOfThisThread(): string {
  if (threads.isMainThread) return 'main';
  const given = (globalThis as { [NAME]?: unknown })[NAME] ?? nodesName();
  return typeof given === 'string' && given !== '' ? given : `worker-${threads.threadId}`;
}

/** The `name` option of a plain Worker, where this Node tells it; without one it says WorkerThread. */
function nodesName(): unknown {
  const { threadName } = threads as { threadName?: unknown };
  return threadName === 'WorkerThread' ? undefined : threadName;
}
