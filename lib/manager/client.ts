/** Client: the processes of an instance, through its directory. */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExosError, publicly, ValueError } from '../errors.js';
import type { NativeOperator, NativeProcess } from '../native.js';
import { type ProcessState, stateName } from '../process/state.js';
import { checkWait } from '../process/wait.js';
import { show } from '../show.js';
import { EventCursor, eventStream } from './event-log.js';
import { expandInstances, instanceNames, matchNames } from './instances.js';
import { Listeners } from './listeners.js';
import { isDone, type Request } from './settle.js';
import { checkShape, toNativeSpec } from './spec.js';
import { CpuMeter, readStatus } from './status.js';
import type { Client, ClientEvent, ClientListener, HoldfastEvent, ProcessSpec, Status } from './types.js';
import { closedError, goneError, Watch } from './watch.js';

/** What a client needs to know beside the directory. */
export interface ClientOptions {
  instance: string;
  /** Folder of the log files of processes that are defined through it. */
  logDir: string;
  /** The manager is still to be started: until then its absence is no error. */
  startsLater?: boolean;
}

/** The last one out rings nobody: at a shutdown it is looked for this often. */
const GONE_LOOK_MS = 20;

/** Opens nothing itself: `operator` is closed by close(). */
export class OperatorClient implements Client {
  readonly instance: string;
  readonly dir: string;
  readonly #operator: NativeOperator;
  readonly #logDir: string;
  readonly #watch: Watch;
  readonly #listeners: Listeners;
  readonly #meter = new CpuMeter();
  /** The names that definitions with instances made here, so that a later definition with fewer removes the rest. */
  readonly #made = new Map<string, string[]>();
  #isClosed = false;

  constructor(operator: NativeOperator, options: ClientOptions) {
    this.#operator = operator;
    this.#logDir = options.logDir;
    this.#watch = new Watch(operator, options.startsLater);
    this.#listeners = new Listeners(operator, this.#watch);
    this.instance = options.instance;
    this.dir = operator.instance().dir;
  }

  /** Writes the definitions without waiting for a manager: also before there is one. */
  write(spec: ProcessSpec): void {
    this.#open();
    checkShape(spec);
    const made = [...this.#made.values()].flat();
    const expanded = expandInstances([spec], [...this.#names(), ...made]);
    const native = expanded.map((one) => toNativeSpec(one, { logDir: this.#logDir }));
    if (this.#logDir !== '') mkdirSync(this.#logDir, { recursive: true });
    for (const one of native) publicly(() => this.#operator.define(one));
    const names = instanceNames(spec);
    const before = this.#made.get(spec.name) ?? [];
    this.#made.set(spec.name, names);
    for (const name of before) if (!names.includes(name)) this.#forget(name);
  }

  async define(spec: ProcessSpec): Promise<void> {
    this.write(spec);
    await this.#takenIn();
  }

  async remove(name: string): Promise<void> {
    const names = await this.#resolve(name);
    for (const one of names) publicly(() => this.#operator.remove(one));
    this.#made.delete(name);
    await this.#watch.until(() => names.every((one) => this.#operator.find(one) === null) || undefined);
  }

  async startProcess(name: string): Promise<void> {
    await this.#request(name, 'start');
  }

  async stopProcess(name: string, { force = false }: { force?: boolean } = {}): Promise<void> {
    await this.#request(name, force ? 'stop-force' : 'stop');
  }

  async restartProcess(name: string): Promise<void> {
    await this.#request(name, 'restart');
  }

  async status(): Promise<Status> {
    this.#open();
    return publicly(() => readStatus(this.#operator, this.#meter));
  }

  async waitFor(
    name: string,
    state: ProcessState,
    { timeoutMs = Number.POSITIVE_INFINITY }: { timeoutMs?: number } = {},
  ): Promise<void> {
    checkWait(state, timeoutMs);
    // The log tells of states that have passed by the time that anybody looks.
    this.#open();
    const cursor = publicly(() => new EventCursor(this.#operator, 'now'));
    const missing = new Set(await this.#resolve(name));
    const isSeen = () => {
      for (const event of cursor.read()) if (event.to === state && event.name !== null) missing.delete(event.name);
      for (const one of [...missing]) if (this.#stateOf(one) === state) missing.delete(one);
      return missing.size === 0 || undefined;
    };
    await this.#watch.until(isSeen, {
      ms: timeoutMs,
      error: () => new ExosError(this.#timeoutText([...missing], state, timeoutMs), { code: 'ERR_HOLDFAST_TIMEOUT' }),
    });
  }

  events({ history = false }: { history?: boolean } = {}): AsyncIterableIterator<HoldfastEvent> {
    this.#open();
    const cursor = publicly(() => new EventCursor(this.#operator, history ? 'oldest' : 'now'));
    return eventStream(this.#watch, cursor);
  }

  on(event: ClientEvent, listener: ClientListener): this {
    this.#open();
    publicly(() => this.#listeners.add(event, listener));
    return this;
  }

  off(event: ClientEvent, listener: ClientListener): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  /** Whether a manager, or the guardian that is about to start one, lives. */
  isAlive(): boolean {
    this.#open();
    return publicly(() => this.#watch.isAlive());
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.close();
    this.#operator.close();
  }

  async shutdown(): Promise<void> {
    this.#open();
    if (!this.#watch.isAlive()) throw goneError(this.dir);
    publicly(() => this.#operator.shutdown());
    while (!this.#isClosed && this.#watch.isAlive()) await sleep(GONE_LOOK_MS);
    this.close();
  }

  #open(): void {
    if (this.#isClosed) throw closedError();
  }

  #names(): string[] {
    return publicly(() => this.#operator.status().map((process) => process.name));
  }

  #stateOf(name: string): ProcessState {
    const process = this.#operator.find(name);
    if (process === null) {
      throw new ExosError(`${name} was removed while it was waited for: define it again`, {
        code: 'ERR_HOLDFAST_UNKNOWN_PROCESS',
      });
    }
    return stateName(process.state);
  }

  #timeoutText(missing: readonly string[], state: ProcessState, timeoutMs: number): string {
    const first = missing[0] ?? '';
    const now = this.#stateOf(first);
    return `${first} did not become ${state} within ${timeoutMs} ms, and is ${now}: look at its log, or wait longer`;
  }

  #forget(name: string): void {
    try {
      publicly(() => this.#operator.remove(name));
    } catch (error) {
      const isGone = error instanceof ExosError && error.code === 'ERR_HOLDFAST_UNKNOWN_PROCESS';
      if (!isGone) throw error;
    }
  }

  /** Until the manager has read every definition that is written by now: only then does it know all names. */
  async #takenIn(): Promise<void> {
    const { specsWanted } = publicly(() => this.#operator.instance());
    await this.#watch.until(() => this.#operator.instance().specsDone >= specsWanted || undefined);
  }

  /** The processes that a name means. */
  async #resolve(name: string): Promise<string[]> {
    this.#open();
    if (typeof name !== 'string')
      throw new ValueError(`the name of a process must be a string, and is ${show(name)}: give its name`);
    const early = matchNames(name, this.#names());
    if (early.length > 0) return early;
    await this.#takenIn();
    const known = this.#names();
    const names = matchNames(name, known);
    if (names.length > 0) return names;
    const others = known.length > 0 ? `known: ${known.join(', ')}` : 'none is defined';
    throw new ExosError(`there is no process ${show(name)}: ${others}`, { code: 'ERR_HOLDFAST_UNKNOWN_PROCESS' });
  }

  async #request(name: string, request: Request): Promise<void> {
    const names = await this.#resolve(name);
    if (!this.#watch.isAlive()) throw goneError(this.dir);
    const all = names.map((one) => {
      // Before the request: what it was then tells the news from the old.
      const before = publicly(() => this.#operator.find(one)) as NativeProcess;
      return { request, before, sequence: publicly(() => this.#operator.request(one, request)) };
    });
    const look = (one: string) => this.#operator.find(one);
    const done = all.map((asked) => this.#watch.until(() => isDone(asked, look)));
    // All are awaited before the first failure is told, so that no rejection is left behind.
    const results = await Promise.allSettled(done);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}
