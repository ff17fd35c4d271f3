/** The heartbeat of a pool, read from its cell as a judge reads it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { cellOf } from './cells.js';
import { makePool } from './pools.js';
import { fixture, until } from './stage.js';

describe('its heart', () => {
  const period = 0.2;

  test('an idle pool beats, without workers too', async () => {
    makePool(2, { minThreads: 0 }, 'idle', period);
    const before = cellOf('idle')?.beats ?? 0;
    await until('ten beats', () => (cellOf('idle')?.beats ?? 0) - before >= 10);
    expect(cellOf('idle')?.note).toBe('');
  });

  test('a stuck one does not, and says what it knows; when a job ends it beats again and says nothing', async () => {
    const pool = makePool(2, { minThreads: 2 }, 'stuck', period);
    const jobs = [1, 2].map(() => pool.submit(['later', 500]));
    const waiting = pool.submit(['echo', 1]);
    await until('the note', () => /^queue 1, oldest 0\.[0-2] s, 2\/2 busy$/.test(cellOf('stuck')?.note ?? ''));
    const before = cellOf('stuck')?.beats;
    await until('a later note', () => /^queue 1, oldest 0\.[34] s, 2\/2 busy$/.test(cellOf('stuck')?.note ?? ''));
    expect(cellOf('stuck')?.beats).toBe(before);
    await Promise.all([...jobs, waiting]);
    expect(cellOf('stuck')?.beats).not.toBe(before);
    await until('no note', () => cellOf('stuck')?.note === '');
  });

  test('one with a free worker beats, one with room for another, too; while work waits for a worker it does not', async () => {
    const beats = async (name: string) => {
      const before = cellOf(name)?.beats ?? 0;
      await sleep(150);
      return (cellOf(name)?.beats ?? 0) - before;
    };
    const free = makePool(2, { minThreads: 2 }, 'free', period);
    const room = makePool(2, { minThreads: 1 }, 'room', period);
    const none = makePool(2, { minThreads: 0, loadBalancer: (_) => null }, 'none', period);
    for (const pool of [free, room, none]) pool.submit(['later', 60_000]).catch(() => {});
    expect(await beats('free')).toBeGreaterThan(1);
    expect(await beats('room')).toBeGreaterThan(1);
    await none.destroy();
  });

  test('several jobs in a worker: it is free while its loop turns and it may have another', async () => {
    const options = { minThreads: 1, concurrentTasksPerWorker: 2 };
    const turns = makePool(1, options, 'turns', period);
    const blocked = makePool(1, options, 'blocked', period);
    turns.submit(['later', 60_000]).catch(() => {});
    blocked.submit(['sleep', 60_000]).catch(() => {});
    await until('it is seen', () => cellOf('blocked')?.note.endsWith('1/1 busy') === true);
    const before = [cellOf('turns')?.beats, cellOf('blocked')?.beats] as [number, number];
    await until('beats of the one that turns', () => (cellOf('turns')?.beats ?? 0) > before[0] + 3);
    expect(cellOf('blocked')?.beats).toBe(before[1]);
  });

  test('a job that says that it takes longer puts the deadline of its pool off, until it ends', async () => {
    const pool = makePool(1, { minThreads: 1, filename: fixture('pool-heart-job.mjs') }, 'announced', period);
    const job = pool.submit(['busy', { busyMs: 60_000, forMs: 400 }]);
    await until('the deadline is put off', () => (cellOf('announced')?.busyMs ?? 0) > 50_000);
    expect(cellOf('announced')?.note).toBe('a big import');
    await job;
    const next = pool.submit(['busy', { busyMs: 0.001, forMs: 400 }]);
    await until('the next one has a note of its own', () => /^queue 0/.test(cellOf('announced')?.note ?? ''));
    expect(cellOf('announced')?.busyMs).toBe(0);
    await next;
  });
});

describe('workers that die', () => {
  test.each([
    ['exit', 3, 'worker exited with code: 3'],
    ['throwLater', 'thrown later', 'thrown later'],
  ])('by %s: the job is rejected, the worker replaced', async (word, argument, message) => {
    const pool = makePool(1);
    const thread = await pool.submit(['thread']);
    await expect(pool.submit([word, argument])).rejects.toThrow(message);
    expect(await pool.submit(['thread'])).not.toBe(thread);
  });

  test('what it had registered for itself ends with it', async () => {
    const pool = makePool(1, { filename: fixture('pool-heart-job.mjs') });
    await pool.submit(['register', 7]);
    const [{ threadId } = { threadId: 0 }] = pool.threads;
    expect(cellOf(`worker-${threadId}`)).toMatchObject({ armed: true, periodMs: 7000 });
    await pool.threads[0]?.terminate();
    await until('its cell is free', () => cellOf(`worker-${threadId}`) === undefined);
    await expect(pool.submit(['registerAndExit', 7])).rejects.toThrow('worker exited');
    await until('so is that of the next', () => cellOf(`worker-${threadId + 1}`) === undefined);
    await pool.submit(['register', 7]);
    await pool.shutdown();
    await until('and after the end', () => cellOf(`worker-${threadId + 2}`) === undefined);
  });
});
