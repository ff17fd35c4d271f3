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
  /** One sentence, e.g. "killed by SIGSEGV after 3.2 s". */
  text: string;
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

export interface Native {
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
