/** Thread and currentThread: cells of this process, and what its Workers do with them. */
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { ExosError, ValueError } from '../../lib/errors.js';
import { withAnnounce } from '../../lib/heartbeat/announce.js';
import { currentThread, type MonitoredThread, Thread } from '../../lib/index.js';
import { holdfast, runSource } from './alone.js';
import { type Cell, cellOf, cells, LINES_APART } from './cells.js';

afterEach(() => currentThread().deregister());

/** A Worker that does what it is told: a message is code, in which `thread` is its currentThread(); the answer is the result. */
const OBEDIENT = `
  const { parentPort } = require('node:worker_threads');
  import('${holdfast}').then((holdfast) => {
    const thread = holdfast.currentThread();
    parentPort.on('message', (code) => parentPort.postMessage(eval(code) ?? null));
    parentPort.postMessage('up');
  });`;

async function obedient(options: { name?: string } = {}): Promise<Thread> {
  const thread = new Thread(OBEDIENT, { eval: true, ...options });
  await once(thread, 'message');
  return thread;
}

async function tell(thread: Thread, code: string): Promise<unknown> {
  const answer = once(thread, 'message');
  thread.postMessage(code);
  return (await answer)[0];
}

function cell(name: string): Cell {
  const found = cellOf(name);
  if (found === undefined) throw new Error(`no cell is called ${name}`);
  return found;
}

describe('the calling thread', () => {
  test('is one object, and in the main thread is called main', () => {
    expect(currentThread()).toBe(currentThread());
    expect(currentThread()).toMatchObject({ name: 'main', threadId: 0 });
  });

  test('is monitored from register to deregister, and again with another period', () => {
    const thread = currentThread();
    expect(cell('main').armed).toBe(false);
    thread.register(7);
    expect(cell('main')).toMatchObject({ armed: true, periodMs: 7000, grace: 1 });
    thread.register(0.25);
    expect(cell('main')).toMatchObject({ armed: true, periodMs: 250 });
    thread.deregister();
    thread.deregister();
    expect(cell('main').armed).toBe(false);
  });

  test('beats: each keepalive is one', () => {
    const thread = currentThread();
    thread.register(60);
    const { beats } = cell('main');
    for (let i = 0; i < 1000; i++) thread.keepalive();
    expect(cell('main').beats).toBe(beats + 1000);
  });

  test('says that it is busy until the next beat', () => {
    const thread = currentThread();
    thread.register(60);
    thread.busy(5000, 'sorting the attic');
    expect(cell('main')).toMatchObject({ busyMs: 5000, note: 'sorting the attic' });
    thread.keepalive();
    expect(cell('main').busyMs).toBe(0);
  });

  test('keepalive and busy without register do nothing', () => {
    currentThread().keepalive();
    currentThread().busy(5, 'nothing');
    expect(cell('main').armed).toBe(false);
  });

  test.each([0, -1, 0.009, Number.NaN, Number.POSITIVE_INFINITY, 31_536_001, '5', undefined])(
    'a period of %s is refused',
    (period) => {
      expect(() => currentThread().register(period as number)).toThrow(ValueError);
      expect(() => currentThread().register(period as number)).toThrow(
        /^the period of a heartbeat must be a number of seconds above 0, from 0\.01 to 31536000 \(a year\), and is .*: write one such as 5$/,
      );
      expect(cell('main').armed).toBe(false);
    },
  );

  test('busy refuses what is no time and no reason', () => {
    expect(() => currentThread().busy(-1, 'x')).toThrow(/^ms must be a number of milliseconds .* and is -1/);
    expect(() => currentThread().busy(1, 5 as unknown as string)).toThrow(/^why must be a string, and is 5/);
  });
});

describe('a Thread', () => {
  test('is a Worker with a name', async () => {
    const thread = await obedient({ name: 'bob' });
    expect(thread).toMatchObject({ name: 'bob' });
    expect(await tell(thread, '[thread.name, thread.threadId]')).toEqual(['bob', thread.threadId]);
    expect(await thread.terminate()).toBe(1);
  });

  test('is called by its threadId otherwise, and no name is inherited', async () => {
    const outer = await obedient({ name: 'outer' });
    const inner = `new holdfast.Thread("require('worker_threads').parentPort.postMessage(0)", { eval: true }).name`;
    const names = [await tell(outer, inner), cells().map(({ name }) => name)].flat();
    expect(names[0]).toMatch(/^worker-\d+$/);
    expect(names.filter((name) => name === 'outer')).toHaveLength(1);
    await outer.terminate();
  });

  test('has one cell, which its parent and it share', async () => {
    const thread = await obedient({ name: 'shared' });
    thread.register(3);
    const { beats } = cell('shared');
    await tell(thread, 'thread.keepalive()');
    expect(cell('shared').beats).toBe(beats + 1);
    thread.keepalive();
    expect(cell('shared').beats).toBe(beats + 2);
    await tell(thread, 'thread.register(9)');
    expect(cell('shared')).toMatchObject({ armed: true, periodMs: 9000 });
    thread.deregister();
    expect(cell('shared').armed).toBe(false);
    expect(cells().filter(({ name }) => name === 'shared')).toHaveLength(1);
    await thread.terminate();
  });

  test('gives its cell back when it ends', async () => {
    const thread = await obedient({ name: 'mortal' });
    thread.register(3);
    await tell(thread, 'thread.deregister()');
    thread.postMessage('process.exit(0)');
    await once(thread, 'exit');
    expect(cellOf('mortal')).toBeUndefined();
  });

  test.each(['process.exit(0)', 'setImmediate(() => { throw new Error("crash"); })', 'parentPort.close()'])(
    'that ends by %s stays monitored, and nobody beats for it any more',
    async (code) => {
      const thread = await obedient({ name: 'lost' });
      thread.on('error', () => {});
      await tell(thread, 'thread.register(3)');
      const gone = once(thread, 'exit');
      thread.postMessage(code);
      await gone.catch(() => once(thread, 'exit'));
      const { armed, beats } = cell('lost');
      expect(armed).toBe(true);
      thread.keepalive();
      thread.busy(1000, 'too late');
      expect(cell('lost')).toMatchObject({ armed: true, beats, note: '' });
      expect(() => thread.register(1)).toThrow(ExosError);
      expect(() => thread.register(1)).toThrow('the thread lost has ended: register a living one');
      thread.deregister();
      expect(cellOf('lost')).toBeUndefined();
    },
  );

  test('terminate deregisters it, also where it registers meanwhile', async () => {
    const thread = await obedient({ name: 'ended' });
    await tell(thread, 'setInterval(() => thread.register(3), 0); 1');
    const code = thread.terminate();
    expect(await code).toBe(1);
    expect(cellOf('ended')).toBeUndefined();
    thread.keepalive();
    thread.deregister();
    await thread.terminate();
  });

  test('a plain Worker that registered and ended stays monitored as well', async () => {
    const { stdout } = await runSource(`
      import { Worker } from 'node:worker_threads';
      const { native } = await import(new URL('native.js', '${holdfast}'));
      new Worker("import('${holdfast}').then(({ currentThread }) => currentThread().register(9))", { eval: true }).on('exit', () => {
        const { hearts } = native();
        holdfast.currentThread();
        const state = (name) => { const cell = hearts.claim('thread', 1, name); return new Uint8Array(hearts.memory(), hearts.offset(cell))[${LINES_APART}]; };
        console.log(state('worker-1'));
      });`);
    expect(stdout).toBe('2\n');
  });

  test('there are more of them than cells: only registering is refused', async () => {
    const { stdout, stderr } = await runSource(`
      const { native } = await import(new URL('native.js', '${holdfast}'));
      holdfast.currentThread();
      for (let i = 0; i < native().constants.cellMax - 1; i++) native().hearts.claim('pool', i, 'pool');
      const thread = new holdfast.Thread('setTimeout(() => {}, 50)', { eval: true });
      thread.keepalive();
      try { thread.register(1); } catch (error) { console.log(error.name, error.code); }
      native().hearts.drop(5);
      thread.register(1);
      thread.deregister();`);
    expect([stdout, stderr]).toEqual(['ExosError ERR_HOLDFAST_FULL\n', '']);
  });
});

describe('the flags of a Worker that announces itself', () => {
  const flags = async (args: readonly string[]) => {
    const source = `
      import { Worker } from 'node:worker_threads';
      const thread = new holdfast.Thread("console.log(JSON.stringify(process.execArgv.slice(2)))", { eval: true });`;
    const { stdout } = await runSource(source, { flags: args });
    return (JSON.parse(stdout) as string[]).filter((word) => !/^(--input-type|--eval|import )/.test(word));
  };

  test('are those of its parent, but for what a Worker refuses', async () => {
    expect(await flags(['--no-warnings', '--expose-gc', '--max-old-space-size=100'])).toEqual(['--no-warnings']);
    expect(await flags(['--title', 'a b', '--no-deprecation'])).toEqual(['--no-deprecation']);
  });

  test('are the given ones where there are any', () => {
    const { execArgv } = withAnnounce({ execArgv: ['--no-warnings'] });
    expect(execArgv).toEqual(['--require', expect.stringMatching(/\/native\/announce\.cjs$/), '--no-warnings']);
    expect(withAnnounce({ execArgv })).toEqual({ execArgv });
  });
});

test('a handle is what the types say', () => {
  const thread: MonitoredThread = currentThread();
  expect(Object.keys(Object.getOwnPropertyDescriptors(Thread.prototype))).toEqual(
    expect.arrayContaining(['register', 'keepalive', 'deregister', 'busy', 'terminate']),
  );
  expect(typeof thread.register).toBe('function');
});
