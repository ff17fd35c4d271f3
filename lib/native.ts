/**
 * The whole native surface, typed. Everything here is a thin door to `native/include/holdfast.h`, which is the manual; nothing
 * else in lib/ touches the addon. Every call may throw a NativeError (see errors.ts, which turns it into the public family).
 */
import { dirname, join } from 'node:path';
import { load } from '../native/load.cjs';

/** What a native call throws: `code` is `ERR_HOLDFAST_` and the name of the C error; errno and syscall where the kernel said no. */
export interface NativeError extends Error {
  code: string;
  /** Negative, as Node writes it: for util.getSystemErrorName. */
  errno?: number;
  syscall?: string;
}

/** Numbers that cross once. Lists are indexed by the number that the C side uses. */
export interface NativeConstants {
  readonly states: readonly string[];
  readonly causes: readonly string[];
  readonly events: readonly string[];
  readonly nameSize: number;
  readonly processMax: number;
  readonly dependsMax: number;
  readonly limitCountMax: number;
  readonly limitsMax: number;
  readonly dirBytesMax: number;
  readonly cellMax: number;
  /** Why a silent thread is left alone. */
  readonly threadFlags: {
    readonly traced: number;
    readonly stopped: number;
    readonly frozen: number;
    readonly busy: number;
  };
  /** RLIMIT_… by lower-case short name: nofile, core, as, nproc, … */
  readonly resources: Readonly<Record<string, number>>;
}

/** One definition as C wants it: everything resolved, durations in milliseconds, -1 or null where there is none. */
export interface NativeSpec {
  name: string;
  start: 'auto' | 'on-demand';
  ready: 'auto' | 'call' | 'alive';
  restart: 'always' | 'on-failure' | 'never';
  enabled: boolean;
  stopSignal: number;
  stopTimeoutMs: number;
  /** 0: none. */
  startTimeoutMs: number;
  aliveForMs: number;
  /** 0: none is asked for. */
  heartbeatMs: number;
  stopped: 'wait' | 'fail';
  backoff: { firstMs: number; fromMs: number; maxMs: number; factor: number; jitter: number; resetAfterMs: number };
  limit: { count: number; withinMs: number } | null;
  user: { uid: number; gid: number; groups: number[] } | null;
  umask: number | null;
  nice: number | null;
  /** soft and hard: Infinity is no limit. */
  limits: { resource: number; soft: number; hard: number }[];
  /** file: absolute; '' throws the output away. */
  log: { file: string; maxBytes: number; keep: number };
  cwd: string;
  argv: string[];
  /** Complete, as KEY=value: nothing is inherited. */
  env: string[];
  dependsOn: string[];
}

export interface NativeFailure {
  cause: number;
  phase: number;
  signal: number;
  exitCode: number;
  errno: number;
  incarnation: number;
  /** Milliseconds since 1970. */
  atMs: number;
  ranMs: number;
  /** Of a hang; else 0, '' and false. */
  pid: number;
  tid: number;
  grace: number;
  periodMs: number;
  silentMs: number;
  latenessMs: number;
  thread: string;
  where: string;
  hasReport: boolean;
  /** One sentence, e.g. "killed by SIGSEGV after 3.2 s". */
  text: string;
  /** The same in few words, where the sentence is long: "event-loop silent for 1.07 s in spin (server.mjs:12:3)". */
  brief: string;
}

/** hf_thread_status. */
export interface NativeThread {
  name: string;
  pid: number;
  tid: number;
  periodMs: number;
  silentMs: number;
  grace: number;
  /** Bits: constants.threadFlags. */
  flags: number;
  note: string;
}

/** hf_process_status; times in milliseconds (CLOCK_MONOTONIC), 0 where there is none. */
export interface NativeProcess {
  name: string;
  index: number;
  state: number;
  wantedRun: boolean;
  enabled: boolean;
  limited: boolean;
  stale: boolean;
  stopping: boolean;
  onDemand: boolean;
  pid: number;
  incarnation: number;
  restarts: number;
  startedMs: number;
  readyMs: number;
  nextStartMs: number;
  requestDone: number;
  settledIncarnation: number;
  droppedBytes: number;
  waitingFor: string;
  failures: NativeFailure[];
  memoryBytes: number;
  cpuMs: number;
  statusText: string;
}

export interface NativeInstance {
  instance: string;
  dir: string;
  managerPid: number;
  guardianPid: number;
  managerStartedMs: number;
  managerRestarts: number;
  shuttingDown: boolean;
  nowMs: number;
  specsWanted: number;
  specsDone: number;
  eventFirst: number;
  eventNext: number;
}

export interface NativeEvent {
  sequence: number;
  atMs: number;
  name: string;
  incarnation: number;
  pid: number;
  type: number;
  from: number;
  to: number;
  cause: number;
  signal: number;
  exitCode: number;
  errno: number;
  detail: string;
}

/** hf_operator: an instance directory, open. After close() every method throws ERR_HOLDFAST_ECLOSED. */
export interface NativeOperator {
  close(): void;
  /** True if the definition changed, false if the same one was there already. */
  define(spec: NativeSpec): boolean;
  remove(name: string): void;
  /** The sequence that requestDone of the process reaches when the manager has taken the request in. */
  request(name: string, request: 'start' | 'stop' | 'stop-force' | 'restart'): number;
  shutdown(): void;
  signal(name: string, signal: number): void;
  setting(key: string): string | null;
  setSetting(key: string, value: string): void;
  instance(): NativeInstance;
  status(): NativeProcess[];
  find(name: string): NativeProcess | null;
  /** The monitored threads of a process; none where nothing of it runs. Reads more than find() does. Throws ERR_HOLDFAST_EUNKNOWN. */
  threads(name: string): NativeThread[];
  events(from: number, max: number): { events: NativeEvent[]; next: number };
  changes(): number;
  /**
   * True as soon as changes() differs from `seen`, false after `timeoutMs` or close(). Waits on a native thread of its own, so
   * it holds no thread of the loop's pool; the promise keeps the event loop alive unless `ref` is false. One wait at a time.
   */
  wait(seen: number, timeoutMs: number, ref: boolean): Promise<boolean>;
  /** Changes whether the wait that is under way keeps the event loop alive. Without one it does nothing. */
  setRef(ref: boolean): void;
}

/**
 * The heartbeat cells of this process, as one environment (the main thread, or a Worker) sees them. A cell is claimed for a thread
 * (`threadId`) and a kind; every environment that asks for the same gets the same cell, and holds it. It is claimed anew only when
 * nobody holds it any more. At the end of an environment its holds are dropped, its loop timers end, and its loop and pool cells are released;
 * at the end of the main one all cells of this process are.
 */
export interface NativeHearts {
  /**
   * The memory of all cells, never unmapped: a beat is one store into it. Under a manager that attached this process the shared file, else
   * private. The first call in the process decides which.
   */
  memory(): ArrayBuffer;
  /** Where the beat counter of a cell lies in memory(), in bytes. */
  offset(cell: number): number;
  /** This very thread is `threadId`: its isolate and kernel thread id are known from now on. Once per environment; cheap. */
  announce(threadId: number): void;
  /** The cell of a thread, and a hold of this environment on it. Throws ERR_HOLDFAST_EFULL. */
  claim(kind: 'thread' | 'loop' | 'pool', threadId: number, name: string): number;
  /** Gives the hold up. */
  drop(cell: number): void;
  register(cell: number, periodMs: number, grace: number): void;
  deregister(cell: number): void;
  busy(cell: number, extraMs: number, why: string): void;
  note(cell: number, text: string): void;
  /**
   * Whose stacks are taken too when this cell is judged silent: threads by threadId. Called again at least once a period they are what
   * hangs, and not the thread that calls: then the verdict names the function of the first of them.
   */
  captureAlso(cell: number, threadIds: readonly number[]): void;
  /** Beats into a cell from a C timer on the loop of the calling environment; unreferenced. 0 stops it. */
  beatFromLoop(cell: number, everyMs: number): void;
  /** hf_judge_here: no manager judges this process, so a native thread of it does. Throws ERR_HOLDFAST_EMOVE under a manager. */
  judgeHere(cell: number, onHang: 'report' | 'abort'): void;
  /** hf_heartbeat_claim, after attaching quietly: the period in milliseconds that this process shall beat with, 0: it shall not. */
  claimHeartbeat(): number;
  /** Whether V8 can be asked for the stack of another thread here. */
  canCaptureStacks(): boolean;
}

export interface Native {
  readonly hearts: NativeHearts;
  readonly constants: NativeConstants;
  readonly Operator: new (dir: string, create: boolean) => NativeOperator;
  /** Throws ERR_HOLDFAST_ENAME with the documented sentence. */
  checkName(name: string): void;
  /** Attaches this process to its manager (phase BOOTING). Throws ERR_HOLDFAST_ENOTATTACHED with the reason. Idempotent. */
  attach(): { name: string; incarnation: number };
  /** True in the very process that the manager started (not in a descendant). Attaches nothing. */
  spawnedHere(): boolean;
  /** Declares a phase: a number of constants.states. */
  declare(phase: number): void;
  /** Effective state of a process of the instance that this process is attached to. Throws ERR_HOLDFAST_EUNKNOWN. */
  stateOf(name: string): number;
  /** Blocks. False when the time is over. */
  waitState(name: string, state: number, timeoutMs: number): boolean;
  knownNames(): string;
  resolveDir(dir: string | null, instance: string | null): string;
  createDir(dir: string): void;
  resolveUser(name: string): { uid: number; gid: number; groups: number[] };
  /** Start time of a process in clock ticks since boot: with the pid it is an identity. Throws when there is none. */
  startTime(pid: number): number;
  /** Replaces this whole process by `path`: no Node stays. Default signal dispositions, only fds 0-2 and `keep` survive. */
  exec(path: string, argv: string[], env: string[], keep: number[]): never;
  /** Whether the kernel has it: 'pidfd', 'membarrier', 'cgroup-kill', 'shm'. */
  kernelHas(feature: string): boolean;
}

let addon: Native | undefined;

/** Loads the addon at first use; the error says how to build it. */
export function native(): Native {
  if (addon === undefined) {
    try {
      addon = load() as Native;
    } catch (cause) {
      throw new Error(
        'the native part of holdfast could not be loaded: run `npm rebuild holdfast` (npm 12: `npm install-scripts approve holdfast` first), or in a checkout `npm run build`',
        { cause },
      );
    }
  }
  return addon;
}

/** Where holdfastd lies: beside the addon. */
export function daemonPath(): string {
  return join(dirname(load({ path: true }) as string), 'holdfastd');
}
