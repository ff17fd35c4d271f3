/** What the tests of the pool share: pools that are destroyed after each test. */
import { afterEach } from 'vitest';
import { MonitoredThreadPool, type PoolOptions } from '../../lib/pool.js';
import { fixture } from './stage.js';

/** Of test/fixtures/pool-job.mjs. */
export type Task = readonly [word: string, argument?: unknown];

const pools: MonitoredThreadPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.destroy()));
});

export function makePool(workers = 2, options: PoolOptions = {}, name: string | null = null, period = 15) {
  const all = { filename: fixture('pool-job.mjs'), ...options };
  const pool = new MonitoredThreadPool<Task, unknown>(workers, name, period, all);
  pools.push(pool);
  return pool;
}
