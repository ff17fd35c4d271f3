/** `map` of a pool. */
import { expect, test } from 'vitest';
import { makePool, type Task } from './pools.js';
import { until } from './stage.js';

test('gives the results in the order of the tasks', async () => {
  const pool = makePool(2, { minThreads: 2 });
  const results = [];
  for await (const result of pool.map([80, 5, 40, 1].map((ms) => ['later', ms] as const))) results.push(result);
  expect(results).toEqual([80, 5, 40, 1]);
  expect(await pool.map([]).next()).toEqual({ done: true, value: undefined });
});

test('begins at once, before anybody asks for a result', async () => {
  const pool = makePool(1);
  pool.map([
    ['echo', 1],
    ['echo', 2],
  ]);
  await until('both have ended', () => pool.completed === 2);
});

test('an error comes in its turn, ends it, and cancels what waits', async () => {
  const pool = makePool(1);
  const tasks: Task[] = [
    ['echo', 1],
    ['fail', 'second'],
    ['sleep', 30],
    ['echo', 4],
    ['echo', 5],
  ];
  const results = pool.map(tasks);
  expect(await results.next()).toEqual({ done: false, value: 1 });
  await expect(results.next()).rejects.toThrow(new TypeError('second'));
  expect(await results.next()).toEqual({ done: true, value: undefined });
  await pool.shutdown();
  expect(pool.completed).toBeLessThanOrEqual(3);
});

test.each([true, false])(
  'ending early cancels what no worker has begun, and lets the rest end (with a signal: %s)',
  async (signalled) => {
    const pool = makePool(1);
    const options = signalled ? { signal: new AbortController().signal } : undefined;
    const tasks = Array.from({ length: 50 }, () => ['sleep', 20] as const);
    for await (const result of pool.map(tasks, options)) {
      expect(result).toBe(20);
      break;
    }
    expect(pool.queueSize).toBe(0);
    const threads = pool.threads.map(({ threadId }) => threadId);
    await until('the one that ran has ended', () => pool.idleThreads === 1);
    expect(pool.threads.map(({ threadId }) => threadId)).toEqual(threads);
    expect(pool.completed).toBeLessThanOrEqual(3);
  },
);

test('ending before the first result cancels all that waits, and answers who waits for a result', async () => {
  const pool = makePool(1);
  const blocking = pool.submit(['sleep', 50]);
  const results = pool.map([
    ['echo', 1],
    ['echo', 2],
  ] as Task[]);
  const next = results.next();
  expect(await results.return?.()).toEqual({ done: true, value: undefined });
  expect(await next).toEqual({ done: true, value: undefined });
  await blocking;
  await pool.shutdown();
  expect(pool.completed).toBe(1);
});

test.each([0, 1, 3])('with a queue of %i it takes a task only when there is room', async (maxQueue) => {
  const pool = makePool(2, { maxQueue });
  let taken = 0;
  const most = 2 + Math.max(maxQueue, 1) + 1;
  function* tasks(): Generator<Task> {
    for (; taken < 30; taken++) {
      expect(taken - pool.completed).toBeLessThanOrEqual(most);
      yield ['echo', taken];
    }
  }
  const results = [];
  for await (const result of pool.map(tasks())) results.push(result);
  expect(results).toEqual(Array.from({ length: 30 }, (_, at) => at));
});

test('the iterator of the tasks is closed when the results are ended early, and its error comes in its turn', async () => {
  const pool = makePool(1, { maxQueue: 1 });
  let closed = false;
  function* endless(): Generator<Task> {
    try {
      for (;;) yield ['echo', 1];
    } finally {
      closed = true;
    }
  }
  for await (const _ of pool.map(endless())) break;
  expect(closed).toBe(true);

  function* broken(): Generator<Task> {
    yield ['echo', 1];
    throw new RangeError('no more');
  }
  const results = pool.map(broken());
  expect((await results.next()).value).toBe(1);
  await expect(results.next()).rejects.toThrow(new RangeError('no more'));
});
