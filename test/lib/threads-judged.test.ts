/** Threads of a process that a manager judges. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ProcessStatus } from '../../lib/manager/types.js';
import { holdfast } from './alone.js';
import { logDir, look, manager, within } from './embedded.js';

const HEAD = `import { currentThread, ready, Thread } from '${holdfast}'; setInterval(() => {}, 1000);`;
const OBEDIENT = `import { parentPort } from 'node:worker_threads'; import { currentThread } from '${holdfast}';
  parentPort.on('message', (code) => parentPort.postMessage(eval(code) ?? null)); parentPort.postMessage('up');`;

/** A program whose Thread \`bob\` is up, and then \`code\`. */
async function start(code: string): Promise<void> {
  writeFileSync(join(logDir, 'bob.mjs'), OBEDIENT);
  const bob = `const bob = new Thread('${join(logDir, 'bob.mjs')}', { name: 'bob' }); bob.on('error', () => {}); await new Promise((up) => bob.once('message', up));`;
  writeFileSync(join(logDir, 'web.mjs'), `${HEAD}\n${bob}\n${code}\nready();`);
  await manager.define({ name: 'web', run: [join(logDir, 'web.mjs')], ready: 'call', restart: 'never' });
  await manager.start();
}

async function failed(): Promise<ProcessStatus> {
  await manager.waitFor('web', 'FAIL', within);
  return look();
}

describe('a thread that falls silent fails the process', () => {
  test('the main one, with its line', async () => {
    await start('currentThread().register(0.2);\nsetTimeout(function spin() { for (;;); }, 50);');
    const { lastFailure, threads } = await failed();
    expect(threads).toEqual([]);
    expect(lastFailure).toMatchObject({ cause: 'hang', thread: 'main', signal: 'SIGKILL' });
    expect(lastFailure?.where).toMatch(/^Timeout\.spin \(web\.mjs:4:\d+\)$/);
    expect(lastFailure?.message).toMatch(
      /^Because the main \(\d+\) thread of process \d+, has not responded within 1 periods of 0\.2 seconds, the process will be terminated\.$/,
    );
  });

  test('a Worker, with its line and the name that its parent gave it', async () => {
    await start(`bob.register(0.3); bob.postMessage('(function endless() { for (;;); })()');`);
    const { lastFailure } = await failed();
    expect(lastFailure).toMatchObject({ cause: 'hang', thread: 'bob' });
    expect(lastFailure?.where).toMatch(/^endless \(bob\.mjs:2:\d+\)$/);
    const { dir } = await manager.status();
    expect(readFileSync(join(dir, lastFailure?.report ?? ''), 'utf8')).toMatch(
      /^JavaScript stack of bob \(threadId 1, tid \d+\):$/m,
    );
  });

  test.each(['process.exit(0)', 'setImmediate(() => { throw new Error("x"); })'])(
    'a Worker that ended by %s while it was registered',
    async (way) => {
      await start(`bob.register(0.3); bob.postMessage('${way}'); setInterval(() => bob.keepalive(), 20);`);
      const { lastFailure } = await failed();
      expect(lastFailure).toMatchObject({ cause: 'hang', thread: 'bob' });
    },
  );
});

describe('nothing fails', () => {
  test.each([
    ['a Worker that is terminated', 'bob.register(0.15); setTimeout(() => bob.terminate(), 50);'],
    [
      'a Worker that deregisters and ends',
      `bob.postMessage('currentThread().register(0.15); currentThread().deregister(); process.exit(0);');`,
    ],
    [
      'a Worker that ends, and its parent deregisters it',
      `bob.register(0.3); bob.on('exit', () => bob.deregister()); bob.postMessage('process.exit(0)');`,
    ],
    ['a parent that beats for its Worker', 'bob.register(0.15); setInterval(() => bob.keepalive(), 20);'],
    [
      'a Worker that beats for itself, registered by its parent',
      `bob.register(0.15); bob.postMessage('setInterval(() => currentThread().keepalive(), 20); 1');`,
    ],
    ['a thread that says that it is busy', "currentThread().register(0.15); currentThread().busy(60_000, 'thinking');"],
  ])('%s', async (_, code) => {
    await start(`${code}\nawait new Promise((later) => setTimeout(later, 700));`);
    await manager.waitFor('web', 'READY', within);
    expect((await look()).restarts).toBe(0);
  });

  test('a process that ends with registered threads has no hang', async () => {
    await start('bob.register(0.1); currentThread().register(0.1); process.exit(3);');
    expect((await failed()).lastFailure).toMatchObject({ cause: 'exit', exitCode: 3 });
  });
});

test('status shows every thread with its kernel thread and period', async () => {
  await start('bob.register(30); currentThread().register(20); currentThread().busy(1000, "counting");');
  await manager.waitFor('web', 'READY', within);
  const { threads, pid } = await look();
  expect(threads).toHaveLength(2);
  expect(threads.find(({ name }) => name === 'main')).toMatchObject({ tid: pid, periodMs: 20_000, note: 'counting' });
  const bob = threads.find(({ name }) => name === 'bob');
  expect(bob).toMatchObject({ periodMs: 30_000, grace: 1 });
  expect(readFileSync(`/proc/${pid}/task/${bob?.tid}/stat`, 'utf8')).toContain(String(bob?.tid));
});
