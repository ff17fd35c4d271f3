/** Many threads, one after the other: nothing of them stays. $HOLDFAST_THREADS says how many (1000 unless given). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dist, holdfast, runSource } from './alone.js';
import { LINES_APART } from './cells.js';

const count = Number(process.env.HOLDFAST_THREADS ?? 1000);

const LIVE = `
  import('${holdfast}').then(({ currentThread, monitorEventLoop }) => {
    currentThread().register(60);
    monitorEventLoop(0.01);
    setTimeout(() => currentThread().deregister(), 5);
  });`;

/**
 * The same without modules: where a Worker is terminated while it imports, Node itself leaves the files open that it was reading, and
 * where it requires a module, Node 20 ends the whole process now and then.
 */
const TERMINATED = `
  const { hearts } = require('${join(dist, '../native/load.cjs')}').load();
  const { threadId } = require('node:worker_threads');
  const cells = [hearts.claim('thread', threadId, 'thread'), hearts.claim('loop', threadId, 'loop')];
  for (const cell of cells) hearts.register(cell, 60_000, 1);
  hearts.beatFromLoop(cells[1], 2);
  setInterval(() => hearts.deregister(cells[0]), 5);`;

/** Four at a time; half of them are terminated, many while they start. */
const LIVES = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { Worker } from 'node:worker_threads';
  const { native } = await import(new URL('native.js', '${holdfast}'));
  const sources = [${JSON.stringify(LIVE)}, ${JSON.stringify(TERMINATED)}];
  const one = (at) => new Promise((resolve, reject) => {
    const thread = new holdfast.Thread(sources[at % 2], { eval: true, execArgv: [] });
    thread.register(60);
    if (at % 2) setTimeout(() => thread.terminate(), at % 60);
    thread.on('error', reject).on('exit', () => { thread.deregister(); resolve(); });
  });
  let next = 0;
  const lives = async (count) => {
    const until = next + count;
    const line = async () => { while (next < until) await one(next++); };
    await Promise.all([line(), line(), line(), line()]);
  };
  const facts = () => {
    globalThis.gc();
    const { hearts, constants } = native();
    const bytes = new Uint8Array(hearts.memory());
    const claimed = Array.from({ length: constants.cellMax }, (_, cell) => bytes[hearts.offset(cell) + ${LINES_APART}]).filter((state) => state !== 0).length;
    return { claimed, handles: process.getActiveResourcesInfo().length, files: readdirSync('/proc/self/fd').length,
      tasks: readdirSync('/proc/self/task').length, rssMb: process.memoryUsage.rss() / 2 ** 20 };
  };
  await lives(100);
  const before = facts();
  await lives(${count});
  console.log(JSON.stringify([before, facts()]));`;

test(
  `${count} threads leave no cell, handle, file, task or memory`,
  async () => {
    const { stdout, stderr } = await runSource(LIVES, { flags: ['--expose-gc'], timeoutMs: count * 200 });
    expect(stderr).toBe('');
    const [before, after] = JSON.parse(stdout);
    expect(after.claimed).toBe(0);
    expect(after.handles).toBeLessThanOrEqual(before.handles);
    expect(after.files).toBeLessThanOrEqual(before.files);
    expect(after.tasks).toBeLessThanOrEqual(before.tasks);
    expect(after.rssMb - before.rssMb).toBeLessThan(40);
  },
  count * 200 + 10_000,
);

const hasStrace = spawnSync('strace', ['-V']).status === 0;

/** Without the optimising compiler of V8: it works in threads of its own, and has to wake them. */
test.skipIf(!hasStrace)('a million beats make no system call', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-strace-'));
  const calls = (beats: number): Map<string, number> => {
    const source = `
      const { currentThread } = require('${join(dist, 'index.js')}');
      const { writeSync } = require('node:fs');
      const thread = currentThread();
      thread.register(60);
      writeSync(2, 'beats begin');
      for (let i = 0; i < ${beats}; i++) thread.keepalive();
      writeSync(2, 'beats end');`;
    const file = join(folder, String(beats));
    const args = ['-o', file, '-s', '20', process.execPath, '--no-opt', '-e', source];
    expect(spawnSync('strace', args).status).toBe(0);
    return between(readFileSync(file, 'utf8').split('\n'));
  };
  const without = calls(0);
  const all = calls(1_000_000);
  rmSync(folder, { recursive: true });
  expect(all.size).toBe(without.size);
  expect([...all]).toEqual([...without]);
});

/** How often each call was made by the main thread between the two marks. */
function between(lines: readonly string[]): Map<string, number> {
  const begin = lines.findIndex((line) => line.includes('"beats begin"'));
  const end = lines.findIndex((line) => line.includes('"beats end"'));
  expect(begin).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(begin);
  const found = new Map<string, number>();
  for (const line of lines.slice(begin + 1, end)) {
    const call = /^\w+/.exec(line)?.[0] ?? line;
    found.set(call, (found.get(call) ?? 0) + 1);
  }
  return found;
}
