/** Starting holdfastd: beside this process for an embedded manager, or to stay when this process has ended. */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { ExosError, publicly } from '../errors.js';
import { daemonPath, native } from '../native.js';

const READY_FD = 3;
const TEXT_MAX = 4096;

/** Collects what a stream says, up to a bound. */
function collect(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    if (text.length < TEXT_MAX) text += chunk;
  });
  return () => text;
}

/** The reason that holdfastd gave, without its name in front. */
function reason(text: string, code: number | null, signal: string | null): string {
  const line = text.split('\n').find((one) => one.trim() !== '');
  if (line !== undefined) return line.replace(/^holdfastd: /, '').trim();
  return `holdfastd ended ${signal === null ? `with code ${code}` : `by ${signal}`} before it was ready: look at holdfastd.log`;
}

/** The socket to a systemd (or an outer manager) above is for this process: a daemon beside it would declare it READY. */
function withoutNotify(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NOTIFY_SOCKET: _socket, WATCHDOG_PID: _pid, WATCHDOG_USEC: _period, ...rest } = env;
  return rest;
}

/**
 * Starts holdfastd with these arguments, in a session of its own. Fulfilled when its manager has taken in all definitions;
 * rejected with the one line that it said instead.
 */
export async function startDaemon(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const path = daemonPath();
  const child = spawn(path, [...args, '--ready-fd', String(READY_FD)], {
    cwd: '/',
    detached: true,
    env: withoutNotify(env),
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const stderr = child.stdio[2] as Readable;
  const ready = child.stdio[READY_FD] as Readable;
  const errorText = collect(stderr);
  const readyText = collect(ready);
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (message: string, cause?: unknown) =>
        reject(new ExosError(message, { code: 'ERR_HOLDFAST_NO_MANAGER', cause }));
      child.once('error', (cause) => fail(`${path} can't be started: ${cause.message}`, cause));
      ready.on('data', () => {
        if (readyText().includes('\n')) resolve();
      });
      child.once('close', (code, signal) => fail(reason(errorText(), code, signal)));
    });
  } finally {
    // From here on it lives by itself: its pipes must not keep this event loop alive, nor fill up.
    child.unref();
    stderr.destroy();
    ready.destroy();
  }
}

/**
 * Starts an embedded guardian, which starts a manager. It watches this process by its pid and start time, and ends all that it
 * started when this process ends in any way.
 */
export async function startGuardian(dir: string, instance: string): Promise<void> {
  const owner = `${process.pid}:${publicly(() => native().startTime(process.pid))}`;
  await startDaemon(['--dir', dir, '--instance', instance, '--owner', owner]);
}
