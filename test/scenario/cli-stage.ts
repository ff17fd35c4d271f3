import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessStatus, Status } from '../../lib/manager/types.js';
import { type NativeInstance, native } from '../../lib/native.js';

const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');
let stages = 0;

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Tries again until `look` has something; fails after 10 s, with what was waited for. */
export async function until<Found>(
  what: string,
  look: () => Found | undefined | false | Promise<Found | undefined | false>,
): Promise<Found> {
  const end = performance.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`waited 10 s for this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a process lives; a zombie does not. */
export function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** A command of holdfast on its way, with what it has printed so far. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
  stdout = '';
  stderr = '';

  constructor(command: string, argv: readonly string[], cwd: string, env: NodeJS.ProcessEnv) {
    this.child = spawn(command, argv, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(this.child, 'close').then(([code]) => ({ code, stdout: this.stdout, stderr: this.stderr }));
  }

  /** Waits until stdout has it; the match. */
  prints(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`${pattern} in ${JSON.stringify(this.stdout)}`, () => pattern.exec(this.stdout) ?? undefined);
  }

  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<Result> {
    this.child.kill(signal);
    return await this.ended;
  }
}

/** A folder with a holdfast.yaml, and an instance of its own in memory. Ended and removed by dispose(). */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
  readonly parent = `/dev/shm/hf-cli.${process.pid}.${++stages}`;
  dir = join(this.parent, 'i');
  env: NodeJS.ProcessEnv;

  constructor() {
    mkdirSync(this.parent, { mode: 0o700 });
    const { HOLDFAST_INSTANCE: _, ...env } = process.env;
    this.env = { ...env, HOLDFAST_DIR: this.dir, XDG_STATE_HOME: join(this.folder, 'state'), NO_COLOR: '1' };
  }

  /** Writes the definitions; `log.dir` is the folder `logs`. */
  write(processes: string, file = 'holdfast.yaml'): void {
    writeFileSync(join(this.folder, file), processes);
  }

  start(...argv: string[]): Running {
    return new Running(process.execPath, [MAIN, ...argv], this.folder, { ...this.env, HOLDFAST_DIR: this.dir });
  }

  async run(...argv: string[]): Promise<Result> {
    return await this.start(...argv).ended;
  }

  /** Runs a command that has to end well; what it printed. */
  async ok(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`holdfast ${argv.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  async status(): Promise<Status> {
    return JSON.parse((await this.run('status', '--json')).stdout) as Status;
  }

  async process(name: string): Promise<ProcessStatus> {
    const { processes } = await this.status();
    const found = processes.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no ${name} among ${processes.map((one) => one.name)}`);
    return found;
  }

  async pid(name: string): Promise<number> {
    const { pid } = await this.process(name);
    if (pid === null) throw new Error(`${name} does not run`);
    return pid;
  }

  instance(): NativeInstance {
    const operator = new (native().Operator)(this.dir, false);
    try {
      return operator.instance();
    } finally {
      operator.close();
    }
  }

  /** Kills manager and guardian, both stopped first, so that neither can replace the other. */
  async killManagers(): Promise<void> {
    const { managerPid, guardianPid } = this.instance();
    for (const pid of [managerPid, guardianPid]) process.kill(pid, 'SIGSTOP');
    for (const pid of [managerPid, guardianPid]) process.kill(pid, 'SIGKILL');
    await until('the end of manager and guardian', () => !lives(managerPid) && !lives(guardianPid));
  }

  async dispose(): Promise<void> {
    if (existsSync(join(this.dir, 'segment'))) await this.run('down');
    rmSync(this.parent, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }
}
