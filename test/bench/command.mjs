// SPDX-License-Identifier: MIT
// Running the programs that a benchmark is made of.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Runs to the end: its standard output. Its standard error is the message if it fails. */
export async function run(file, args, options = {}) {
  try {
    return (await execute(file, args, { maxBuffer: 1 << 26, ...options })).stdout;
  } catch (error) {
    throw new Error(error.stderr?.trim() || error.message, { cause: error });
  }
}

/** Starts what stays, until `stop(signal)`, which resolves when it is gone. */
export function keep(file, args, options = {}) {
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  const over = once(child, 'exit');
  over.catch(() => {}); // told to whoever awaits it
  return {
    pid: child.pid,
    over,
    gone: () => child.exitCode !== null || child.signalCode !== null,
    async stop(signal) {
      child.kill(signal);
      await over;
    },
  };
}

/** The path of a program, or null where there is none. */
export async function findProgram(name) {
  return run('sh', ['-c', `command -v ${name}`]).then(
    (path) => path.trim(),
    () => null,
  );
}

/** Ends all of them, also when one can't be ended; then says which. */
export async function stopAll(running) {
  const ends = await Promise.allSettled(running.map(({ stop }) => stop()));
  const failed = ends.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
}
