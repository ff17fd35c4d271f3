/** The public types of managing processes from code: definitions, status, events, and the interface that Manager and connect() share. */
import type { ProcessState } from '../process/state.js';

/** A signal by name (`SIGTERM`, `TERM`) or number. */
export type SignalName = string | number;

/** A resource limit: one number for both, or soft and hard apart. `Infinity` or `unlimited` is no limit. */
export type ResourceLimit = number | 'unlimited' | { soft?: number | 'unlimited'; hard?: number | 'unlimited' };

/**
 * One process, as its owner defines it. The keys are those of `holdfast.yaml`, durations in milliseconds (`…Ms`), sizes in bytes
 * (`…Bytes`). What is left out has the documented default.
 */
export interface ProcessSpec {
  /** Begins with a letter; letters, digits, `_`, `-`, `.`; shorter than 32 characters, the number of an instance included. */
  name: string;
  /** The program and its arguments, or words with quotes; never given to a shell. A `.js`, `.mjs`, `.cjs` file runs under this Node. */
  run: string | readonly string[];
  /** Working directory; the present one unless given. A relative one counts from there. */
  cwd?: string | undefined;
  /** Lies over the environment of the process that defines it. */
  env?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** A file of KEY=value lines; it lies below `env`. A relative path counts from `cwd`. */
  envFile?: string | undefined;
  /** Name of the user to run as; needs root. */
  user?: string | undefined;
  /** A number, or octal digits in a string: `0o022` or `"022"`. */
  umask?: number | string | undefined;
  /** -20 to 19. */
  nice?: number | undefined;
  /** By the name of the resource in lower case: `{ nofile: 4096 }`. */
  limits?: Readonly<Record<string, ResourceLimit>> | undefined;
  /** `auto`: as soon as the manager knows it; `on-demand`: when asked, to its end, never restarted. */
  start?: 'auto' | 'on-demand' | undefined;
  /** More than 1: the processes are called `web.1`, `web.2`, … */
  instances?: number | undefined;
  /** Started when those are READY. The name of a process with instances means all of them. */
  dependsOn?: string | readonly string[] | undefined;
  /** `call`: READY by `ready()` only; `alive`: after `aliveForMs`; `auto`: `call` if the program imported holdfast by then, else `alive`. */
  ready?: 'auto' | 'call' | 'alive' | undefined;
  /** With `ready: 'call'` or `heartbeatMs`: FAIL when it is not READY, or nobody in it beats, by then. 60000 unless given. */
  startTimeoutMs?: number | undefined;
  /** 1000 unless given. */
  aliveForMs?: number | undefined;
  restart?: 'always' | 'on-failure' | 'never' | undefined;
  /** How long to wait before a restart. */
  backoff?:
    | {
        firstMs?: number | undefined;
        fromMs?: number | undefined;
        factor?: number | undefined;
        maxMs?: number | undefined;
        jitter?: number | undefined;
        resetAfterMs?: number | undefined;
      }
    | undefined;
  /** More restarts than `count` within `withinMs`: it stays in FAIL until it is started. */
  limit?: { count: number; withinMs: number } | undefined;
  /** How often the event loop of the program must show that it turns: 10 to 86400000. It needs no code in the program. Off unless given. */
  heartbeatMs?: number | undefined;
  /** A silent thread whose process was stopped (SIGSTOP): `wait` leaves it alone, `fail` takes it for hung. `wait` unless given. */
  stopped?: 'wait' | 'fail' | undefined;
  stopSignal?: SignalName | undefined;
  /** From the stop signal to SIGKILL. 10000 unless given. */
  stopTimeoutMs?: number | undefined;
  enabled?: boolean | undefined;
  log?: { maxBytes?: number | undefined; keep?: number | undefined } | undefined;
}

/** Why a process is, or was, in FAIL. */
export type FailureCause = 'crash' | 'exit' | 'startTimeout' | 'spawn' | 'lost' | 'hang';

/** What happened to an incarnation that failed. */
export interface Failure {
  cause: FailureCause;
  /** The moment of the verdict, ISO 8601. */
  at: string;
  exitCode: number | null;
  /** Name of the signal that ended it. */
  signal: string | null;
  /** With cause `hang`: the thread that was silent. */
  thread: string | null;
  /** The state in which it failed. */
  phase: ProcessState;
  /** With cause `hang`: function and place, `spin (server.mjs:12:3)`, or what the kernel knows; null where nothing is known. */
  where: string | null;
  /** With cause `hang`: since the last beat, at the verdict. */
  silentMs: number | null;
  /** Part of `silentMs` for which the manager itself was late, and which it did not count. */
  latenessMs: number | null;
  /** With cause `hang`: the file with the stacks, relative to `dir` of the status. */
  report: string | null;
  /** One sentence. */
  message: string;
  /** The same in few words: `event-loop silent for 1.07 s in spin (server.mjs:12:3)`. */
  brief: string;
  /** With cause `spawn`: the name of the kernel's error, `ENOENT`. */
  errno?: string;
}

/** A monitored thread. */
export interface ThreadStatus {
  name: string;
  /** As the kernel knows it; 0 until the thread has told. */
  tid: number;
  periodMs: number;
  /** Silent for more than this many periods is a failure. */
  grace: number;
  /** Since it was last seen to beat. */
  silentMs: number;
  /** Why its silence is no failure; null: it would be one. */
  excused: 'traced' | 'stopped' | 'frozen' | 'busy' | null;
  /** What it says of itself: why it is busy, the queue of a pool. */
  note: string | null;
}

/** One process, as `status()` and `holdfast status --json` show it. */
export interface ProcessStatus {
  name: string;
  state: ProcessState;
  pid: number | null;
  incarnation: number;
  uptimeMs: number | null;
  restarts: number;
  wanted: 'run' | 'stop';
  enabled: boolean;
  /** The dependency that is not READY yet. */
  waitingFor: string | null;
  /** The restart limit was reached. */
  limited: boolean;
  /** Of one processor, since the last call of `status()` on the same client, else since the process started. */
  cpuPercent: number | null;
  memoryBytes: number | null;
  threads: ThreadStatus[];
  /** What the program says of itself (sd_notify `STATUS=`). */
  statusText: string | null;
  lastFailure: Failure | null;
}

/** An instance, as `status()` and `holdfast status --json` show it. */
export interface Status {
  instance: string;
  dir: string;
  manager: { pid: number | null; uptimeMs: number | null; restarts: number };
  processes: ProcessStatus[];
}

/** What the event log of an instance tells. `missed` is ours: `count` events were overwritten before they were read. */
export type EventType =
  | 'state'
  | 'defined'
  | 'redefined'
  | 'removed'
  | 'killed'
  | 'limited'
  | 'attached'
  | 'manager'
  | 'down'
  | 'orphan'
  | 'dropped'
  | 'refused'
  | 'trouble'
  | 'hung'
  | 'excused'
  | 'stopping'
  | 'missed';

/** One entry of the event log. Fields that say nothing about it are null. */
export interface HoldfastEvent {
  sequence: number;
  /** ISO 8601. */
  at: string;
  type: EventType;
  /** The process; null for the instance itself. */
  name: string | null;
  incarnation: number;
  pid: number | null;
  /** With type `state`. */
  from: ProcessState | null;
  to: ProcessState | null;
  /** With a move to FAIL. */
  cause: FailureCause | null;
  exitCode: number | null;
  signal: string | null;
  errno: string | null;
  detail: string;
}

/** The events that `on` hands out: every move, a move to FAIL, a start after a failure. */
export type ClientEvent = 'state' | 'failure' | 'restart';

export type ClientListener = (event: HoldfastEvent) => void;

/**
 * Managing the processes of one instance. Where a name is asked for, `web` also means `web.1`, `web.2`, … of a process with
 * instances. Promises reject with an ExosError; while one is pending it keeps the event loop alive, listeners of `on` do not.
 */
export interface ProcessControl {
  /** Adds or changes a process; fulfilled when the manager has taken it in. ValueError for a bad definition. */
  define(spec: ProcessSpec): Promise<void>;
  /** Stops a process and forgets it. */
  remove(name: string): Promise<void>;
  /** Fulfilled at READY (or when an on-demand program ended well); rejected as soon as it fails, with what happened. */
  startProcess(name: string): Promise<void>;
  /** Fulfilled when its whole tree is gone. `force` skips the grace. */
  stopProcess(name: string, options?: { force?: boolean }): Promise<void>;
  /** Fulfilled when the next incarnation is READY; rejected as soon as it fails. */
  restartProcess(name: string): Promise<void>;
  status(): Promise<Status>;
  /** Fulfilled when the process has, or has passed through, `state`. Rejected with `ERR_HOLDFAST_TIMEOUT` after `timeoutMs` (no limit unless given). */
  waitFor(name: string, state: ProcessState, options?: { timeoutMs?: number }): Promise<void>;
  /** The events from now on; with `history`, those that the log still holds first. Ends at `close()`. */
  events(options?: { history?: boolean }): AsyncIterableIterator<HoldfastEvent>;
  on(event: ClientEvent, listener: ClientListener): this;
  off(event: ClientEvent, listener: ClientListener): this;
}

/** A running instance, as `connect()` gives it. */
export interface Client extends ProcessControl {
  readonly instance: string;
  readonly dir: string;
  /** Lets go of the instance, which runs on. What is pending rejects with `ERR_HOLDFAST_SHUTDOWN`. */
  close(): void;
  /** Stops every process, then the manager; fulfilled when all are gone. */
  shutdown(): Promise<void>;
}
