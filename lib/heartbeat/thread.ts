/** Thread: a Worker that can be monitored. */
import { setEnvironmentData, Worker, type WorkerOptions } from 'node:worker_threads';
import { withAnnounce } from './announce.js';
import { hearts } from './hearts.js';
import { Monitored, type MonitoredThread } from './monitored.js';

/**
 * Of Node's environment data: the name of the Worker that is being made, which native/announce.cjs takes out of it there.
 */
const NAME = 'holdfast.threadName';

/**
 * A Worker (`node:worker_threads`) that can be monitored: with `register`, `keepalive` and `deregister`. In the Worker
 * itself the same thread is `currentThread()`; whoever holds it may register it and beat for it.
 *
 * A thread that ends while it is registered fails the process at its deadline: `deregister` it, or let it do so, before it
 * ends. `terminate()` does so by itself, and so does the end of the process.
 *
 * Documented as `threading.Thread` on the EXOS "System" page.
 */
export class Thread extends Worker implements MonitoredThread {
  readonly name: string;
  readonly #monitored: Monitored;
  #beat: () => void;
  #isTerminated = false;

  constructor(file: string | URL, options: WorkerOptions = {}) {
    super(file, prepared(options));
    setEnvironmentData(NAME, undefined);
    this.name = options.name || `worker-${this.threadId}`;
    this.#monitored = new Monitored(hearts(), this.threadId, this.name);
    this.#beat = this.#monitored.beat;
    this.once('exit', () => {
      if (this.#isTerminated) this.#monitored.deregister(); // once more: it may have registered meanwhile
      this.#monitored.end();
      this.#beat = this.#monitored.beat;
    });
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
  }

  /** As of Worker; the thread is deregistered first. */
  override terminate(): Promise<number> {
    this.#isTerminated = true;
    this.#monitored.deregister();
    return super.terminate();
  }
}

function prepared(options: WorkerOptions): WorkerOptions {
  hearts(); // throws, if it does, before there is a Worker that nobody holds
  const all = withAnnounce(options);
  setEnvironmentData(NAME, options.name || undefined);
  return all;
}
