/** A pool under a manager: what lives, what is found and when, and what the report says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Failure } from '../../lib/manager/types.js';
import { logDir, look, manager, within } from '../lib/embedded.js';
import { fixture } from '../lib/stage.js';

const PERIOD_MS = 300;
const GRACE = 3;

interface Program {
  readonly workers?: number;
  readonly job?: string;
  readonly options?: object;
  readonly steps?: readonly (readonly [ms: number, method: string, ...args: unknown[]])[];
}

async function define(name: string, program: Program): Promise<void> {
  const argument = JSON.stringify({ period: PERIOD_MS / 1000, options: { minThreads: 2 }, ...program });
  const run = [process.execPath, fixture('pool-steps.mjs'), argument];
  await manager.define({ name, run, ready: 'call', restart: 'never' });
}

async function ready(programs: Readonly<Record<string, Program>>): Promise<void> {
  for (const [name, program] of Object.entries(programs)) await define(name, program);
  await manager.start();
  for (const name of Object.keys(programs)) await manager.waitFor(name, 'READY', within);
}

/** When the program did its last step of that name, milliseconds since 1970. */
function timeOf(step: string, name: string): number {
  const log = readFileSync(join(logDir, `${name}.log`), 'utf8');
  return Number([...log.matchAll(new RegExp(`^${step} (\\d+)$`, 'gm'))].at(-1)?.[1]);
}

async function failed(name: string): Promise<{ failure: Failure; report: string }> {
  await manager.waitFor(name, 'FAIL', within);
  const { lastFailure } = await look(name);
  if (lastFailure === null) throw new Error(`${name} has not failed`);
  expect(lastFailure).toMatchObject({ cause: 'hang', thread: 'importers', phase: 'READY', signal: 'SIGKILL' });
  expect(lastFailure.report).not.toBeNull();
  return { failure: lastFailure, report: readFileSync(join(manager.dir, lastFailure.report ?? ''), 'utf8') };
}

/** In periods, from the step that made it stuck to the verdict; what the judge was late is not counted. */
function periodsSince(step: string, name: string, { at, latenessMs }: Failure): number {
  return (Date.parse(at) - timeOf(step, name) - (latenessMs ?? 0)) / PERIOD_MS;
}

/** Jobs on both workers, each within 3 periods, for more than 3 of them; before that the workers have started. */
const WARM = [0, 'run', ['echo', 1]] as const;
const LONG = Array.from({ length: 8 }, (_, at) => [at === 0 ? 300 : 0, 'submit', ['sleep', 2.6 * PERIOD_MS]] as const);
const SPIN = [0, 'submit', ['spin']] as const;

test('what is not stuck lives: an idle pool, with workers and without, long jobs, a free worker, an announced job', async () => {
  await ready({
    idle: {},
    empty: { options: { minThreads: 0 } },
    long: { steps: [WARM, WARM, ...LONG] },
    beside: { steps: [[0, 'submit', ['sleep', 60_000]]] },
    announced: {
      job: 'pool-heart-job.mjs',
      workers: 1,
      options: {},
      steps: [[0, 'submit', ['busy', { busyMs: 60_000, forMs: 60_000 }]]],
    },
  });
  await sleep(10 * PERIOD_MS);
  for (const name of ['idle', 'empty', 'long', 'beside', 'announced']) {
    const { state, incarnation, threads } = await look(name);
    expect({ name, state, incarnation }).toEqual({ name, state: 'READY', incarnation: 1 });
    expect(threads).toContainEqual(expect.objectContaining({ name: 'importers', periodMs: PERIOD_MS, grace: GRACE }));
  }
});

test.each([0, 0.35, 0.9])(
  'all workers wedged %d periods later: found after 3 to 3.5 periods, with the queue and each stack',
  async (later) => {
    const wedged = [SPIN, [500 + later * PERIOD_MS, 'submit', ['sleep', 60_000]]] as const;
    const waiting = [1, 2, 3].map((n) => [10, 'run', ['echo', n]] as const);
    await ready({ web: { steps: [...wedged, ...waiting] } });
    const { failure, report } = await failed('web');
    const periods = periodsSince('submit', 'web', failure);
    expect(periods).toBeGreaterThanOrEqual(GRACE);
    expect(periods).toBeLessThanOrEqual(GRACE + 0.5);
    expect(report).toMatch(/queue 3, oldest \d+\.\d s, 2\/2 busy/);
    expect(report).toMatch(/spinForEver .*\(.*pool-job\.mjs:\d+:\d+\)/);
    expect(report).toMatch(/sleep .*\(.*pool-job\.mjs:\d+:\d+\)/);
    expect(report).toMatch(/^where: +(Object\.spinForEver|Object\.sleep) \(pool-job\.mjs:\d+:\d+\)$/m);
  },
);

test('the thread that dispatches blocked: found after 3 periods, with its stack', async () => {
  await ready({ web: { steps: [[400, 'block']] } });
  const { failure, report } = await failed('web');
  const periods = periodsSince('block', 'web', failure);
  expect(periods).toBeGreaterThanOrEqual(GRACE - 0.15);
  expect(periods).toBeLessThanOrEqual(GRACE + 0.5);
  expect(report).toContain('pool-steps.mjs');
});

test('a job that takes longer than it said: found 3 periods after that', async () => {
  const steps = [[300, 'submit', ['busy', { busyMs: 4 * PERIOD_MS, forMs: 60_000 }]]] as const;
  await ready({ web: { job: 'pool-heart-job.mjs', workers: 1, options: {}, steps } });
  const { failure } = await failed('web');
  const periods = periodsSince('submit', 'web', failure);
  expect(periods).toBeGreaterThanOrEqual(4 + GRACE);
  expect(periods).toBeLessThanOrEqual(4 + GRACE + 0.5);
});

test('shutdown, close and destroy deregister: nobody waits for a pool that is gone', async () => {
  await ready({
    shutdown: { steps: [SPIN, SPIN, [100, 'shutdown', false]] },
    close: { steps: [SPIN, SPIN, [100, 'close']] },
    destroy: { steps: [SPIN, SPIN, [100, 'destroy']] },
  });
  await sleep(6 * PERIOD_MS);
  for (const name of ['shutdown', 'close', 'destroy'])
    expect(await look(name)).toMatchObject({ state: 'READY', incarnation: 1, threads: [] });
});

test('a worker that dies is replaced, and a cell that it had registered is no failure', async () => {
  const registered = [0, 'submit', ['registerAndExit', PERIOD_MS / 1000]] as const;
  await ready({ web: { job: 'pool-heart-job.mjs', steps: [registered, registered, [200, 'submit', ['register', 60]]] } });
  await sleep(6 * PERIOD_MS);
  const { state, incarnation, threads } = await look('web');
  expect({ state, incarnation }).toEqual({ state: 'READY', incarnation: 1 });
  expect(threads.map(({ name }) => name.replace(/\d+/, 'N')).sort()).toEqual(['importers', 'worker-N']);
});
