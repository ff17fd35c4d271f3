import type { Worker } from 'node:worker_threads';
import { FixedQueue, Piscina } from 'piscina';
import { describe, expect, test } from 'vitest';
import { ExosError, ValueError } from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { MonitoredThreadPool } from '../../lib/pool.js';
import { cellOf } from './cells.js';
import { makePool } from './pools.js';
import { fixture, until } from './stage.js';

describe('making one', () => {
  test('it is a Piscina with that many threads', async () => {
    const pool = makePool(3);
    expect(pool).toBeInstanceOf(Piscina);
    expect(pool.maxThreads).toBe(3);
    expect(pool.minThreads).toBeLessThanOrEqual(3);
    expect(await pool.run(['echo', { a: 1 }])).toEqual({ a: 1 });
    expect(makePool(1).minThreads).toBe(1);
    expect(makePool(4, { minThreads: 2 }).minThreads).toBe(2);
  });

  test.each([0, -1, -0.5])('%s workers are refused with the documented words', (workers) => {
    const make = () => new MonitoredThreadPool(workers);
    expect(make).toThrow(ValueError);
    expect(make).toThrow(/^max_workers must be greater than 0$/);
  });

  test.each([1.5, Number.NaN, Number.POSITIVE_INFINITY, '4', null, undefined])('so are %s', (workers) => {
    const make = () => new MonitoredThreadPool(workers as number);
    expect(make).toThrow(ValueError);
    expect(make).toThrow('max_workers must be greater than 0');
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '15', null])('a period of %s is refused', (period) => {
    const make = () => new MonitoredThreadPool(1, null, period as number);
    expect(make).toThrow(ValueError);
    expect(make).toThrow(/^the period of a heartbeat must be a number of seconds above 0/);
  });

  test.each(['', 7, {}])('a name of %s is refused', (name) => {
    expect(() => new MonitoredThreadPool(1, name as string)).toThrow(/^the name of a pool must be a string/);
  });

  test('what Piscina refuses leaves no cell behind', () => {
    expect(() => makePool(1, { minThreads: 2 }, 'refused')).toThrow(RangeError);
    expect(cellOf('refused')).toBeUndefined();
  });

  test('where no cell is left it says so, and leaves no thread behind', async () => {
    const { hearts } = native();
    const taken: number[] = [];
    const exits: Promise<unknown>[] = [];
    const watch = (worker: Worker) => exits.push(new Promise((resolve) => worker.once('exit', resolve)));
    process.on('worker', watch);
    try {
      for (;;) taken.push(hearts.claim('thread', 1e6 + taken.length, 'filler'));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_HOLDFAST_EFULL' });
    }
    try {
      expect(() => makePool(2, { minThreads: 2 })).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_FULL' }));
    } finally {
      for (const cell of taken) hearts.drop(cell);
    }
    await until('its threads were made', () => exits.length === 2);
    await Promise.all(exits);
    process.off('worker', watch);
  });

  test('it registers a cell with grace 3, by its name or a number of its own', () => {
    makePool(1, {}, 'importers', 2.5);
    expect(cellOf('importers')).toMatchObject({ armed: true, periodMs: 2500, grace: 3 });
    const [one, two] = [makePool(1), makePool(1)];
    const [a, b] = [one, two].map(({ name }) => Number(/^MonitoredThreadPool-(\d+)$/.exec(name)?.[1]));
    expect(b).toBe((a ?? Number.NaN) + 1);
    for (const { name } of [one, two]) expect(cellOf(name)).toMatchObject({ armed: true, periodMs: 15_000, grace: 3 });
  });
});

describe('jobs', () => {
  test('submit gives the result; an error goes to the promise, and not to the worker', async () => {
    const pool = makePool(1);
    const thread = await pool.submit(['thread']);
    await expect(pool.submit(['fail', 'no such thing'])).rejects.toThrow(new TypeError('no such thing'));
    expect(await pool.submit(['thread'])).toBe(thread);
    await expect(pool.submit(['no such word'])).rejects.toThrow('is not a function');
    await expect(pool.submit(['echo'], { filename: fixture('import-none.mjs') })).rejects.toThrow('Cannot find module');
  });

  test('they begin in the order in which they came', async () => {
    const pool = makePool(1);
    const ended: number[] = [];
    await Promise.all([...Array(20).keys()].map((n) => pool.submit(['echo', n]).then(() => ended.push(n))));
    expect(ended).toEqual([...Array(20).keys()]);
  });

  test('an error that nobody takes is an unhandled rejection, as of any promise', async () => {
    const pool = makePool(1);
    const listeners = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    try {
      const told = new Promise((resolve) => process.once('unhandledRejection', resolve));
      pool.submit(['fail', 'nobody']);
      expect(await told).toEqual(new TypeError('nobody'));
    } finally {
      for (const listener of listeners) process.on('unhandledRejection', listener);
    }
  });

  test('a task that cannot be cloned, and one that was aborted, are forgotten', async () => {
    const pool = makePool(1);
    await expect(pool.submit(['echo', () => {}])).rejects.toThrow(/could not be cloned/);
    const aborted = new AbortController();
    const running = pool.submit(['later', 60_000], { signal: aborted.signal });
    const waiting = pool.submit(['later', 60_000], { signal: aborted.signal });
    aborted.abort();
    await expect(running).rejects.toThrow('aborted');
    await expect(waiting).rejects.toThrow('aborted');
    await pool.shutdown(); // it waits for what is left, and nothing is
  });

  test('the queue and load balancer of the program are used', async () => {
    const seen: number[] = [];
    const taskQueue = new FixedQueue();
    const pool = makePool(1, {
      taskQueue,
      loadBalancer: (task, workers) => {
        seen.push(task.taskId);
        return workers.find(({ currentUsage }) => currentUsage === 0) ?? null;
      },
    });
    const all = Promise.all([1, 2, 3].map((n) => pool.submit(['echo', n])));
    expect(taskQueue.size).toBe(2);
    expect(await all).toEqual([1, 2, 3]);
    expect(new Set(seen).size).toBe(3);
  });

  test('several at once in a worker, as Piscina spreads them', async () => {
    const pool = makePool(2, { minThreads: 2, concurrentTasksPerWorker: 2 });
    const all = Promise.all([1, 2, 3, 4].map(() => pool.submit(['later', 50])));
    expect(pool.queueSize).toBe(0);
    expect(await all).toEqual([50, 50, 50, 50]);
    const threads = await Promise.all([1, 2, 3, 4].map(() => pool.submit(['thread'])));
    expect(new Set(threads).size).toBeLessThanOrEqual(2);
  });
});

describe('its end', () => {
  test('shutdown lets running and waiting jobs end, then the threads', async () => {
    const pool = makePool(1, {}, 'ending');
    const jobs = [1, 2, 3].map((n) => pool.submit(['later', n]));
    const end = pool.shutdown();
    expect(cellOf('ending')).toBeUndefined();
    await expect(pool.submit(['echo', 1])).rejects.toMatchObject({
      message: 'cannot schedule new futures after shutdown',
      code: 'ERR_HOLDFAST_SHUTDOWN',
    });
    await expect(pool.submit(['echo', 1])).rejects.toBeInstanceOf(ExosError);
    await end;
    expect(await Promise.all(jobs)).toEqual([1, 2, 3]);
    expect(pool.threads).toEqual([]);
    await pool.shutdown();
    await pool.shutdown(false);
  });

  test('shutdown(false) returns while that goes on', async () => {
    const pool = makePool(1);
    const job = pool.submit(['later', 100]);
    await pool.shutdown(false);
    expect(pool.threads.length).toBe(1);
    expect(await job).toBe(100);
    await until('its threads have ended', () => pool.threads.length === 0);
  });

  test('with work that waits for a first worker, too', async () => {
    const pool = makePool(2, { minThreads: 0 });
    const jobs = [1, 2, 3].map((n) => pool.submit(['echo', n]));
    await pool.shutdown();
    expect(await Promise.all(jobs)).toEqual([1, 2, 3]);
  });

  test.each(['shutdown', 'close', 'destroy'] as const)('%s deregisters, and tasks are refused', async (end) => {
    const pool = makePool(2, {}, `to-${end}`);
    expect(cellOf(`to-${end}`)?.armed).toBe(true);
    await pool[end]();
    expect(cellOf(`to-${end}`)).toBeUndefined();
    for (const late of [pool.run(['echo', 1]), pool.submit(['echo', 1]), pool.map([['echo', 1]]).next()])
      await expect(late).rejects.toThrow('cannot schedule new futures after shutdown');
    for (const again of [pool.shutdown(), pool.close(), pool.destroy()]) await again;
  });

  test('leaving its block closes it', async () => {
    const pool = makePool(1, {}, 'in-a-block');
    await pool[Symbol.asyncDispose]();
    expect(cellOf('in-a-block')).toBeUndefined();
  });

  test('destroy rejects what is left', async () => {
    const pool = makePool(1);
    const jobs = Promise.allSettled([pool.submit(['later', 60_000]), pool.submit(['echo', 1])]);
    const end = pool.shutdown();
    await pool.destroy();
    const reason = new Error('Terminating worker thread');
    expect(await jobs).toEqual([1, 2].map(() => ({ status: 'rejected', reason })));
    await end;
  });
});
