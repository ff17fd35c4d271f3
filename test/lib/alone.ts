/** Programs that no manager started, each a process of its own, on every Node that is to be tried. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The built package, for programs: a URL for `import`, a path for `require`. */
export const dist = join(import.meta.dirname, '..', '..', 'dist');
export const holdfast = pathToFileURL(join(dist, 'index.js')).href;

/** The Node that runs the tests, and those named in $HOLDFAST_TEST_NODES (separated by colons). */
export const nodes: readonly string[] = [process.execPath, ...(process.env.HOLDFAST_TEST_NODES ?? '').split(':')].filter(
  Boolean,
);

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface How {
  node?: string;
  /** Flags of Node. */
  flags?: readonly string[];
  args?: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** As soon as stderr matches, it is killed. */
  killOn?: RegExp;
  timeoutMs?: number;
}

/** Runs a program to its end. One that does not end in time is killed, and then has a signal. */
export function run(
  file: string,
  { node = process.execPath, flags = [], args = [], env = {}, killOn, timeoutMs = 20_000 }: How = {},
): Promise<Ended> {
  const { HOLDFAST_ATTACH: _, NODE_OPTIONS: __, ...rest } = process.env;
  const child = spawn(node, [...flags, file, ...args], {
    env: { ...rest, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  return collect(child, killOn);
}

/** The same for a source: ECMAScript modules, with the package as `holdfast`. */
export function runSource(source: string, { node = process.execPath, args = [], ...how }: How = {}): Promise<Ended> {
  const text = `import * as holdfast from ${JSON.stringify(holdfast)};\n${source}`;
  return run('--input-type=module', { node, args: ['--eval', text, ...args], ...how });
}

function collect(child: ReturnType<typeof spawn>, killOn: RegExp | undefined): Promise<Ended> {
  const ended: Ended = { code: null, signal: null, stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
    if (killOn?.test(ended.stderr)) child.kill('SIGKILL');
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ ...ended, code, signal }));
  });
}
