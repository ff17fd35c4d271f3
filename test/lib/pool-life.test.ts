/** Pools and the life of threads and processes: each case is a process of its own. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { LINES_APART } from './cells.js';
import { fixture } from './stage.js';

const dist = join(import.meta.dirname, '../../dist');
const job = JSON.stringify(fixture('pool-job.mjs'));
const PRELUDE = `
import { Worker } from 'node:worker_threads';
import { MonitoredThreadPool } from ${JSON.stringify(pathToFileURL(join(dist, 'pool.js')))};
const options = { filename: ${job}, minThreads: 2 };
`;

/** Runs a program to its end, outside of any manager. */
function run(source: string) {
  const started = performance.now();
  const { HOLDFAST_ATTACH: _, ...env } = process.env;
  const args = ['--input-type=module', '-e', source];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000, env });
  return { status, signal, stdout, stderr, tookMs: performance.now() - started };
}

const well = { status: 0, signal: null, stderr: '' };

describe('a process with a live pool', () => {
  test('ends when nothing else is left, as with Piscina', () => {
    const result = run(
      `${PRELUDE} const pool = new MonitoredThreadPool(2, null, 15, options); console.log(await pool.submit(['echo', 7]));`,
    );
    expect(result).toMatchObject({ ...well, stdout: '7\n' });
    expect(result.tookMs).toBeLessThan(10_000);
  });

  test('stays while a job runs, and no longer', () => {
    const result = run(`${PRELUDE} new MonitoredThreadPool(2, null, 15, options).submit(['later', 300]).then(console.log);`);
    expect(result).toMatchObject({ ...well, stdout: '300\n' });
  });

  test('ends by process.exit in the middle of a job', () => {
    const source = `${PRELUDE} const pool = new MonitoredThreadPool(2, null, 15, options);
      pool.submit(['spin']); pool.submit(['later', 60_000]); setTimeout(() => process.exit(5), 200);`;
    expect(run(source)).toMatchObject({ ...well, status: 5 });
  });

  test('has several of them, with names of their own', () => {
    const source = `${PRELUDE} const pools = [1, 2, 3].map(() => new MonitoredThreadPool(1, null, 15, options.filename && { filename: options.filename }));
      console.log(pools.map(({ name }) => name).join(), await Promise.all(pools.map((pool, at) => pool.submit(['echo', at]))));`;
    expect(run(source)).toMatchObject({
      ...well,
      stdout: 'MonitoredThreadPool-1,MonitoredThreadPool-2,MonitoredThreadPool-3 [ 0, 1, 2 ]\n',
    });
  });
});

describe('a pool in a Worker', () => {
  const inWorker = (then: string) => `${PRELUDE}
    const source = ${JSON.stringify(`${PRELUDE} const pool = new MonitoredThreadPool(2, 'inner', 0.05, options); console.log(await pool.submit(['echo', 1]));`)};
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source + ${JSON.stringify(then)})));
    worker.on('error', (error) => console.log(error.message));
    worker.on('exit', async (code) => {
      const { native } = await import(${JSON.stringify(join(dist, 'native.js'))});
      const { hearts } = native();
      const states = [...Array(100).keys()].map((cell) => new Uint8Array(hearts.memory(), hearts.offset(cell) + ${LINES_APART}, 1)[0]);
      console.log('exit', code, 'armed', states.filter((state) => state === 2).length);
    });`;

  test('works, and is judged no more when the Worker ends by itself', () => {
    expect(run(inWorker(''))).toMatchObject({ ...well, stdout: '1\nexit 0 armed 0\n' });
  });

  test('nor when it exits in the middle of a job', () => {
    const then = "pool.submit(['later', 60_000]).catch(() => {}); process.exit(3);";
    expect(run(inWorker(then))).toMatchObject({ ...well, stdout: '1\nexit 3 armed 0\n' });
  });
});

test('holdfast alone does not load Piscina', () => {
  const loaded = (file: string) =>
    run(`import { createRequire } from 'node:module'; await import(${JSON.stringify(join(dist, file))});
      console.log(Object.keys(createRequire(import.meta.url ?? '/').cache).some((path) => path.includes('piscina')));`)
      .stdout;
  expect(loaded('index.js')).toBe('false\n');
  expect(loaded('pool.js')).toBe('true\n');
});
