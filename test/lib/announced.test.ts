import { getEnvironmentData, Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { AnnouncementTable, announce, announcements } from '../../lib/heartbeat/announced.js';

test('what a thread said is read, and only the last of it', () => {
  const table = new AnnouncementTable();
  expect(table.read(7)).toBeUndefined();
  table.write(7, 1000, 61_000, 'a big import');
  expect(table.read(7)).toEqual({ saidMs: 1000, untilMs: 61_000, why: 'a big import' });
  table.write(7, 2000.5, 3000.25, 'x');
  expect(table.read(7)).toEqual({ saidMs: 2000.5, untilMs: 3000.25, why: 'x' });
  expect(table.read(8)).toBeUndefined();
});

test('another view of the same memory sees it', () => {
  const table = new AnnouncementTable();
  table.write(3, 0, 10, 'hello');
  expect(new AnnouncementTable(table.buffer).read(3)?.why).toBe('hello');
});

test('a text that is too long is cut between characters', () => {
  const table = new AnnouncementTable();
  table.write(1, 0, 1, 'ü'.repeat(100));
  expect(table.read(1)?.why).toBe('ü'.repeat(28));
});

test('entries of threads whose time is over are taken by others, and a full table refuses', () => {
  const table = new AnnouncementTable();
  let thread = 1;
  while (table.write(thread, 0, thread <= 3 ? 10 : 1000, '')) thread++;
  expect(thread).toBe(513);
  for (const late of [5001, 5002, 5003]) expect(table.write(late, 11, 2000, 'late')).toBe(true);
  expect(table.write(5004, 11, 2000, '')).toBe(false);
  expect([1, 2, 3].map((over) => table.read(over))).toEqual([undefined, undefined, undefined]);
  expect(table.read(5002)).toEqual({ saidMs: 11, untilMs: 2000, why: 'late' });
  expect(table.write(4, 12, 3000, 'again')).toBe(true);
  expect(table.read(4)?.why).toBe('again');
});

test('many threads find theirs at any place', () => {
  const table = new AnnouncementTable();
  const threads = Array.from({ length: 300 }, (_, at) => 1 + at * 512); // all begin to look at the same place
  for (const thread of threads) table.write(thread, thread, thread + 1, String(thread));
  for (const thread of threads) expect(table.read(thread)?.why).toBe(String(thread));
});

test('the table of this thread reaches the workers that it makes', async () => {
  const table = announcements();
  expect(announcements()).toBe(table);
  announce(1000, 'the main thread is no worker');
  expect(table.read(0)).toBeUndefined();
  const worker = new Worker(
    "const { getEnvironmentData, parentPort } = require('node:worker_threads'); parentPort.postMessage(getEnvironmentData('holdfast.announced.1'));",
    { eval: true },
  );
  const [buffer] = (await new Promise((resolve) => worker.once('message', (...seen) => resolve(seen)))) as [unknown];
  table.write(99, 0, 5, 'seen');
  expect(new AnnouncementTable(buffer as SharedArrayBuffer).read(99)?.why).toBe('seen');
  expect(getEnvironmentData('holdfast.announced.1')).toBe(table.buffer);
});
