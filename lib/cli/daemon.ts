import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { inheritedEnvironment } from '../config/environment.js';
import { daemonPath, type NativeOperator } from '../native.js';
import { CliError, EXIT } from './fail.js';
import { managerLives } from './session.js';
import type { Target } from './target.js';

const HELD = 'another manager holds the instance';

/** The arguments that make holdfastd the manager of an instance. */
export function daemonArguments(target: Target, ...more: string[]): string[] {
  return ['--dir', target.dir, '--instance', target.instance, ...more];
}

function collect(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    if (text.length < 4096) text += chunk;
  });
  return () => text;
}

/** The reason that holdfastd gave, without the name that it puts in front. */
function reason(stderr: string, code: number | null, signal: string | null): string {
  const line = stderr.split('\n').find((one) => one.trim() !== '');
  if (line !== undefined) return line.replace(/^holdfastd?: /, '').trim();
  return `holdfastd ended ${signal === null ? `with code ${code}` : `by ${signal}`} before it was ready; see holdfastd.log`;
}

/** Starts holdfastd in a session of its own and waits until it has taken over; false where another manager was first. */
async function spawnDaemon(target: Target): Promise<boolean> {
  const path = daemonPath();
  const child = spawn(path, daemonArguments(target, '--ready-fd', '3'), {
    cwd: '/',
    detached: true,
    env: inheritedEnvironment(process.env),
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const ready = child.stdio[3] as Readable;
  const stderr = child.stderr as Readable;
  const errorText = collect(stderr);
  const readyText = collect(ready);
  try {
    return await new Promise<boolean>((done, fail) => {
      child.once('error', (cause) =>
        fail(new CliError(EXIT.failed, `${path} can't be started: ${cause.message}`, { cause })),
      );
      ready.on('data', () => {
        if (readyText().startsWith('ready\n')) done(true);
      });
      child.once('close', (code, signal) => {
        const text = reason(errorText(), code, signal);
        if (text.includes(HELD)) done(false);
        else fail(new CliError(EXIT.failed, text));
      });
    });
  } finally {
    child.unref();
    stderr.destroy();
    ready.destroy();
  }
}

const OTHER_READY_MS = 10_000;

/** Waits until the manager that another command started has announced itself. */
async function waitForOther(operator: NativeOperator, target: Target): Promise<void> {
  const until = performance.now() + OTHER_READY_MS;
  while (!managerLives(operator)) {
    const seen = operator.changes();
    const left = until - performance.now();
    if (left <= 0) {
      throw new CliError(
        EXIT.failed,
        `another process holds the lock in ${target.dir} but no manager appears: end it and try again`,
      );
    }
    await operator.wait(seen, Math.min(left, 100), true);
  }
}

/** Makes sure that a manager runs. True where this call started it. */
export async function ensureManager(operator: NativeOperator, target: Target): Promise<boolean> {
  if (managerLives(operator)) return false;
  if (await spawnDaemon(target)) return true;
  await waitForOther(operator, target);
  return false;
}
