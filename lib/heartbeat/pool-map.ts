/** `map` of a pool: results in the order of the tasks, whatever the order in which they end. */

/** A job on its way. */
export interface Started<R> {
  readonly result: Promise<R>;
  /** Takes it back if no worker has it yet; then `result` is rejected. */
  cancel(): void;
}

/** What `map` asks of a pool. */
export interface JobStarter<T, R> {
  start(task: T): Started<R>;
  /** Whether a task that is started now is not refused. */
  hasRoom(): boolean;
  /** Calls `listener` whenever there may be more room, until the function that it returns is called. */
  onRoom(listener: () => void): () => void;
}

export class OrderedResults<T, R> implements AsyncIterableIterator<R> {
  readonly #tasks: Iterator<T>;
  readonly #starter: JobStarter<T, R>;
  /** Those whose result nobody has had yet. */
  readonly #started: Started<R>[] = [];
  readonly #stopListening: () => void;
  #current: Started<R> | undefined;
  #taken = false;
  #ended = false;
  #wake: () => void = () => {};
  /** Calls of next() are answered one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(tasks: Iterable<T>, starter: JobStarter<T, R>) {
    this.#tasks = tasks[Symbol.iterator]();
    this.#starter = starter;
    this.#stopListening = starter.onRoom(() => this.#fill());
    this.#fill();
  }

  next(): Promise<IteratorResult<R, undefined>> {
    const answer = this.#last.then(() => this.#next());
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Ends it: what no worker has begun is not done. */
  async return(): Promise<IteratorResult<R, undefined>> {
    this.#end();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<R, undefined>> {
    this.#end();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #next(): Promise<IteratorResult<R, undefined>> {
    while (!this.#ended) {
      this.#current = this.#started.shift();
      if (this.#current !== undefined) return await this.#resultOf(this.#current);
      if (this.#taken) this.#end();
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return { done: true, value: undefined };
  }

  async #resultOf(started: Started<R>): Promise<IteratorResult<R, undefined>> {
    try {
      const value = await started.result;
      return { done: false, value };
    } catch (error) {
      if (this.#ended) return { done: true, value: undefined }; // it was cancelled by return()
      this.#end();
      throw error;
    }
  }

  /** Starts as many as the pool takes. */
  #fill(): void {
    while (!this.#taken && this.#starter.hasRoom()) this.#startNext();
    this.#wake();
  }

  #startNext(): void {
    try {
      const { done, value } = this.#tasks.next();
      if (done) this.#stopTaking();
      else this.#add(this.#starter.start(value));
    } catch (error) {
      this.#stopTaking(); // an iterator that threw is not asked again
      this.#add({ result: Promise.reject(error), cancel() {} });
    }
  }

  #add(started: Started<R>): void {
    started.result.catch(() => {}); // it is told in its turn
    this.#started.push(started);
  }

  #stopTaking(): void {
    this.#taken = true;
    this.#stopListening?.();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#taken) {
      this.#stopTaking();
      this.#tasks.return?.();
    }
    for (const started of [this.#current, ...this.#started]) started?.cancel();
    this.#started.length = 0;
    this.#wake();
  }
}
