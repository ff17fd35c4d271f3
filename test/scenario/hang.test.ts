/** Programs that know nothing of Holdfast, `heartbeat` in holdfast.yaml, and what the command line says of those that hang. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProcessStatus, ThreadStatus } from '../../lib/manager/types.js';
import { lives, Stage, until } from './cli-stage.js';

const FIXTURES = join(import.meta.dirname, '../fixtures');
const IDLE = join(FIXTURES, 'idle.mjs');
const SPINS = join(FIXTURES, 'serve-then-spin.mjs');

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.dispose());

async function up(definition: string): Promise<void> {
  stage.write(`log: {dir: logs}\nprocesses:\n  web: {${definition}}\n`);
  await stage.ok('up');
}

const serve = (more: string): string =>
  `run: ["${SPINS}", "${join(stage.folder, 'socket')}"], ready: alive, aliveFor: 50ms, ${more}`;

/** What the server answers: its pid. Undefined while nobody listens. */
function ask(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    get({ socketPath: join(stage.folder, 'socket'), path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(Number(text))).on('error', () => resolve(undefined));
    }).on('error', () => resolve(undefined));
  });
}

/** The one thread that beats, as soon as there is one. */
function beating(accept: (thread: ThreadStatus) => boolean = () => true): Promise<ThreadStatus> {
  return until('a thread that beats', async () => {
    const { threads } = await stage.process('web');
    return threads.length === 1 && threads[0] !== undefined && accept(threads[0]) && threads[0];
  });
}

function failed(): Promise<ProcessStatus> {
  return until('a failure', async () => {
    const process = await stage.process('web');
    return process.lastFailure !== null && process;
  });
}

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8');

describe('a program with an event loop that turns no more', () => {
  beforeEach(async () => {
    await up(serve('heartbeat: 500ms'));
    const pid = await until('an answer', () => ask('/'));
    await beating();
    expect(await ask('/spin')).toBe(pid);
    expect(await until('another incarnation', async () => (await ask('/')) !== pid && ask('/'))).not.toBe(pid);
  });

  test('is killed and restarted; status says thread, function and line', async () => {
    const { lastFailure, incarnation, restarts } = await stage.process('web');
    expect({ incarnation, restarts }).toEqual({ incarnation: 2, restarts: 1 });
    expect(lastFailure).toMatchObject({
      cause: 'hang',
      signal: 'SIGKILL',
      thread: 'event-loop',
      phase: 'READY',
      where: expect.stringMatching(/^spin \(serve-then-spin\.mjs:7:\d+\)$/),
      report: 'reports/web.1.txt',
      message: expect.stringMatching(
        /^Because the event-loop \(\d+\) thread of process \d+, has not responded within 1 periods of 0\.5 seconds, the process will be terminated\.$/,
      ),
      brief: expect.stringMatching(/^event-loop silent for [\d.]+ m?s in spin \(serve-then-spin\.mjs:7:\d+\)$/),
    });
    const silent = (lastFailure?.silentMs ?? 0) - (lastFailure?.latenessMs ?? 0);
    expect(silent).toBeGreaterThanOrEqual(499); // both are rounded
    expect(silent).toBeLessThan(800); // other tests run at the same time
  });

  test('status NAME shows the report, its stack, and who beats now', async () => {
    const text = await stage.ok('status', 'web');
    const { lastFailure } = await stage.process('web');
    const file = join(stage.dir, lastFailure?.report ?? '');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(text).toContain(`\n  report:      ${file}\n`);
    expect(text).toMatch(/\n {2}where: {7}spin \(serve-then-spin\.mjs:7:\d+\)\n/);
    const stack = text.slice(text.indexOf('\n  stack:'));
    expect(stack).toMatch(/\bspin\b.*serve-then-spin\.mjs:7:\d+/);
    expect(text).toMatch(/\nthreads: +NAME +TID +PERIOD +SILENT\n {15}event-loop +\d+ +500ms +\d+ms\n/);
    expect(await stage.ok('status')).toMatch(
      /last: event-loop silent for [\d.]+ m?s in spin \(serve-then-spin\.mjs:7:\d+\)\n/,
    );
  });

  test('events and the log of the manager tell of it', async () => {
    const events = await stage.ok('events');
    expect(events).toMatch(/ {2}web {2}hung {2}event-loop silent for [\d.]+ m?s/);
    expect(events).toMatch(
      / {2}web {2}READY → FAIL {2}event-loop silent for [\d.]+ m?s in spin \(serve-then-spin\.mjs:7:\d+\)\n/,
    );
    expect(events.match(/→ FAIL/g)).toHaveLength(1);
    const log = join(stage.folder, 'logs', 'holdfastd.log');
    await until('the documented line', () =>
      /Because the event-loop .* will be terminated\./.test(readFileSync(log, 'utf8')),
    );
  });
});

describe('a heartbeat', () => {
  test('of an idle program goes on: ten periods and more', async () => {
    await up(`run: ["${IDLE}"], heartbeat: 100ms`);
    await until('20 periods', async () => ((await stage.process('web')).uptimeMs ?? 0) > 2000);
    const { state, incarnation, lastFailure, threads } = await stage.process('web');
    expect({ state, incarnation, lastFailure }).toEqual({ state: 'READY', incarnation: 1, lastFailure: null });
    const pid = await stage.pid('web');
    expect(threads).toEqual([
      { name: 'event-loop', tid: pid, periodMs: 100, grace: 1, silentMs: expect.any(Number), excused: null, note: null },
    ]);
  });

  test('that nobody feeds is FAIL by startTimeout, and never READY', async () => {
    stage.write('processes:\n  web: {run: sleep 1000, heartbeat: 100ms, startTimeout: 400ms, restart: never}\n');
    const { code, stderr } = await stage.run('up');
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/web is not READY: no heartbeat in /) });
    const { lastFailure } = await stage.process('web');
    expect(lastFailure).toMatchObject({ cause: 'startTimeout', thread: null, where: null, report: null });
    expect(await stage.ok('events')).not.toContain('→ READY');
  });

  test('is not asked of a program without the key', async () => {
    await up('run: sleep 1000, ready: alive, aliveFor: 20ms');
    expect(await stage.process('web')).toMatchObject({ state: 'READY', threads: [], lastFailure: null });
  });

  test('below npm start is that of the program, not of npm', async () => {
    writeFileSync(join(stage.folder, 'package.json'), JSON.stringify({ scripts: { start: `node ${IDLE}` } }));
    await up('run: [npm, start], heartbeat: 500ms');
    const { name, tid } = await beating();
    const npm = await stage.pid('web');
    expect(name).toBe('event-loop');
    expect(tid).not.toBe(npm);
    expect(commandOf(tid)).toContain('idle.mjs');
    expect(lives(npm)).toBe(true);
  });

  test('is taken over by the next program of a shell when the first has ended', async () => {
    const file = join(stage.folder, 'first');
    writeFileSync(file, '');
    const both = `node ${join(FIXTURES, 'until-gone.mjs')} ${file} && node ${IDLE} 1000000`;
    await up(`run: [sh, -c, "${both}"], heartbeat: 300ms, aliveFor: 20ms`);
    const first = await beating();
    rmSync(file);
    const second = await beating(({ tid }) => tid !== first.tid);
    expect([commandOf(second.tid).includes('1000000'), lives(first.tid)]).toEqual([true, false]);
    expect(await stage.process('web')).toMatchObject({ state: 'READY', incarnation: 1, lastFailure: null });
  });

  test('keeps no program from ending', async () => {
    stage.write(`processes:\n  web: {run: ["${IDLE}", 300], heartbeat: 200ms, restart: on-failure}\n`);
    await stage.run('up');
    const ended = await until('its end', async () => {
      const process = await stage.process('web');
      return process.state === 'STOPPED' && process;
    });
    expect(ended).toMatchObject({ incarnation: 1, lastFailure: null });
  });

  test('stands behind the NODE_OPTIONS of the definition', async () => {
    await up(`run: ["${IDLE}"], env: {NODE_OPTIONS: "--title=a-title"}, heartbeat: 300ms`);
    const { tid } = await beating();
    const options = readFileSync(`/proc/${tid}/environ`, 'utf8')
      .split('\0')
      .find((line) => line.startsWith('NODE_OPTIONS='));
    expect(options).toMatch(/^NODE_OPTIONS=--title=a-title --require ".*\/native\/preload\.cjs"$/);
  });
});

test('a reload restarts for another heartbeat, and not for another answer to a stop', async () => {
  await up(`run: ["${IDLE}"], heartbeat: 200ms`);
  const pid = await stage.pid('web');
  stage.write(`processes:\n  web: {run: ["${IDLE}"], heartbeat: 200ms, stopped: fail}\n`);
  await stage.ok('reload');
  expect(await stage.pid('web')).toBe(pid);
  stage.write(`processes:\n  web: {run: ["${IDLE}"], heartbeat: 300ms}\n`);
  await stage.ok('reload');
  expect(await beating()).toMatchObject({ periodMs: 300 });
  expect(await stage.process('web')).toMatchObject({ state: 'READY', incarnation: 2, lastFailure: null });
});

describe('a process that was stopped by a signal', () => {
  test('is left alone, and shown', async () => {
    await up(serve('heartbeat: 200ms'));
    const pid = await until('an answer', () => ask('/'));
    await beating();
    await stage.ok('signal', 'web', 'STOP');
    expect(await beating(({ excused }) => excused !== null)).toMatchObject({ excused: 'stopped' });
    expect(await stage.ok('status')).toContain('stopped: its silence is no failure');
    expect(await stage.ok('events')).toMatch(/ {2}web {2}excused {2}/);
    await stage.ok('signal', 'web', 'CONT');
    await beating(({ excused, silentMs }) => excused === null && silentMs < 200);
    expect(await ask('/')).toBe(pid);
    expect(await stage.process('web')).toMatchObject({ pid, lastFailure: null });
  });

  test('is hung with stopped: fail', async () => {
    await up(serve('heartbeat: 200ms, stopped: fail, restart: never'));
    await beating();
    await stage.ok('signal', 'web', 'STOP');
    const { state, lastFailure } = await failed();
    expect(state).toBe('FAIL');
    expect(lastFailure).toMatchObject({ cause: 'hang', thread: 'event-loop', exitCode: null });
    expect(existsSync(join(stage.dir, lastFailure?.report ?? 'none'))).toBe(true);
  });
});

test('without a manager the ages are those that it saw last', async () => {
  await up(`run: ["${IDLE}"], heartbeat: 200ms`);
  await beating();
  await stage.killManagers();
  const later = await until('a thread of which nobody hears', async () => {
    const [thread] = (await stage.process('web')).threads;
    return thread !== undefined && thread.silentMs > 400 && thread;
  });
  expect(later.name).toBe('event-loop');
  expect((await stage.run('status', 'web')).code).toBe(4);
});
