/** Manager: processes that live and end with this one. */
import { existsSync, rmSync } from 'node:fs';
import { ExosError, publicly, ValueError } from '../errors.js';
import { native } from '../native.js';
import { isValidName } from '../process/name.js';
import type { ProcessState } from '../process/state.js';
import { show } from '../show.js';
import { OperatorClient } from './client.js';
import { startGuardian } from './guardian.js';
import { defaultLogDir } from './log-dir.js';
import { makeEmbedDir, sweepPrivateDirs } from './private-dir.js';
import type { ClientEvent, ClientListener, HoldfastEvent, ProcessControl, ProcessSpec, Status } from './types.js';

export interface ManagerOptions {
  /** Its name, in logs and status; `embed` unless given. */
  instance?: string;
  /** Its directory in memory; one of its own unless given. Never `$HOLDFAST_DIR`. */
  dir?: string;
  /** Folder of the log files; `<state folder>/holdfast/<instance>` unless given. '' throws the output away. */
  logDir?: string;
}

/**
 * A manager for this process. A small guardian and manager (holdfastd) run beside it, in C: a blocked event loop delays no
 * recovery, and when this process ends in any way, kill -9 included, all that was started ends with it, whole trees.
 *
 * Processes may be defined before `start()`. It keeps the event loop alive only while a promise is pending.
 */
export class Manager implements ProcessControl {
  readonly #options: Required<Omit<ManagerOptions, 'dir'>> & { dir: string | undefined };
  #client: OperatorClient | undefined;
  /** The directory is removed at the end only if it was made here. */
  #madeDir: string | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor({ instance = 'embed', dir, logDir }: ManagerOptions = {}) {
    if (!isValidName(instance)) {
      throw new ValueError(
        `instance must begin with a letter, have only letters, digits, "_", "-", ".", and be shorter than 32, and is ${show(instance)}: rename it`,
      );
    }
    this.#options = { instance, dir, logDir: logDir ?? defaultLogDir(instance) };
  }

  /** Its name. */
  get instance(): string {
    return this.#options.instance;
  }

  /** Its directory in memory; made at the first use. */
  get dir(): string {
    return this.#prepare().dir;
  }

  /** Starts it, and with it what was defined; fulfilled when the manager runs. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Stops every process and the manager; fulfilled when all are gone and the directory is removed. It can't be started again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async define(spec: ProcessSpec): Promise<void> {
    const client = this.#prepare();
    if (this.#starting === undefined) return client.write(spec);
    await this.#starting;
    await client.define(spec);
  }

  async remove(name: string): Promise<void> {
    return (await this.#running()).remove(name);
  }

  async startProcess(name: string): Promise<void> {
    return (await this.#running()).startProcess(name);
  }

  async stopProcess(name: string, options?: { force?: boolean }): Promise<void> {
    return (await this.#running()).stopProcess(name, options);
  }

  async restartProcess(name: string): Promise<void> {
    return (await this.#running()).restartProcess(name);
  }

  async status(): Promise<Status> {
    return (await this.#running()).status();
  }

  async waitFor(name: string, state: ProcessState, options?: { timeoutMs?: number }): Promise<void> {
    return (await this.#running()).waitFor(name, state, options);
  }

  events(options?: { history?: boolean }): AsyncIterableIterator<HoldfastEvent> {
    return this.#prepare().events(options);
  }

  on(event: ClientEvent, listener: ClientListener): this {
    this.#prepare().on(event, listener);
    return this;
  }

  off(event: ClientEvent, listener: ClientListener): this {
    this.#client?.off(event, listener);
    return this;
  }

  /** Makes the directory and opens it. */
  #prepare(): OperatorClient {
    if (this.#stopping !== undefined) throw stoppedError();
    this.#client ??= this.#open();
    return this.#client;
  }

  #open(): OperatorClient {
    const { instance, logDir, dir } = this.#options;
    sweepPrivateDirs();
    const place = dir === undefined ? makeEmbedDir() : publicly(() => native().resolveDir(dir, instance));
    if (dir === undefined || !existsSync(place)) this.#madeDir = place;
    try {
      const operator = publicly(() => new (native().Operator)(place, true));
      return new OperatorClient(operator, { instance, logDir, startsLater: true });
    } catch (error) {
      this.#removeDir();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const client = this.#prepare();
    try {
      await startGuardian(client.dir, this.instance);
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  async #stop(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    try {
      if (this.#starting !== undefined) {
        await this.#starting;
        // Both were killed: only a manager knows how to end what they left.
        if (!client.isAlive()) await startGuardian(client.dir, this.instance);
        await client.shutdown();
      }
    } finally {
      client.close();
      this.#removeDir();
    }
  }

  #removeDir(): void {
    if (this.#madeDir !== undefined) rmSync(this.#madeDir, { recursive: true, force: true });
  }

  /** The client, once the manager runs. */
  async #running(): Promise<OperatorClient> {
    const client = this.#prepare();
    if (this.#starting === undefined) {
      throw new ExosError('this Manager is not started: await start() first', { code: 'ERR_HOLDFAST_NO_MANAGER' });
    }
    await this.#starting;
    return client;
  }
}

function stoppedError(): ExosError {
  return new ExosError('this Manager has been stopped: make a new one', { code: 'ERR_HOLDFAST_SHUTDOWN' });
}
