import { describe, expect, test } from 'vitest';
import { type Asked, ask, judge, settle } from '../../lib/cli/settle.js';
import type { NativeFailure, NativeInstance, NativeOperator, NativeProcess } from '../../lib/native.js';
import { type ProcessState, stateNumber } from '../../lib/process/state.js';

const FAILURE: NativeFailure = {
  cause: 2,
  phase: 2,
  signal: 0,
  exitCode: 3,
  errno: 0,
  incarnation: 1,
  atMs: 0,
  ranMs: 5,
  pid: 0,
  tid: 0,
  grace: 0,
  periodMs: 0,
  silentMs: 0,
  latenessMs: 0,
  thread: '',
  where: '',
  hasReport: false,
  text: 'exited with code 3 after 5 ms',
  brief: 'exited with code 3 after 5 ms',
};

function one(state: ProcessState, more: Partial<NativeProcess> = {}): NativeProcess {
  const runs = state !== 'FAIL' && state !== 'STOPPED';
  return {
    name: 'web',
    index: 0,
    state: stateNumber(state),
    wantedRun: true,
    enabled: true,
    limited: false,
    stale: false,
    stopping: false,
    onDemand: false,
    pid: runs ? 57 : 0,
    incarnation: 1,
    restarts: 0,
    startedMs: 0,
    readyMs: 0,
    nextStartMs: 0,
    requestDone: 1,
    settledIncarnation: state === 'READY' || !runs ? 1 : 0,
    droppedBytes: 0,
    waitingFor: '',
    failures: state === 'FAIL' ? [FAILURE] : [],
    memoryBytes: 0,
    cpuMs: 0,
    statusText: '',
    ...more,
  };
}

const INSTANCE: NativeInstance = {
  instance: 'default',
  dir: '/dev/shm/x',
  managerPid: 40,
  guardianPid: 39,
  managerStartedMs: 0,
  managerRestarts: 0,
  shuttingDown: false,
  nowMs: 10_000,
  specsWanted: 1,
  specsDone: 1,
  eventFirst: 0,
  eventNext: 0,
};

function result(asked: Asked, ...processes: NativeProcess[]): string {
  const outcome = judge(asked, INSTANCE, (name) => processes.find((process) => process.name === name));
  return outcome === undefined ? 'open' : `${outcome.ok ? 'ok' : 'bad'} ${outcome.text}`.trim();
}

const never = one('STOPPED', { incarnation: 0, settledIncarnation: 0, requestDone: 0 });

describe('a start', () => {
  const asked = ask(never, 'web', 'start', 1);

  test('of one that never ran ends at READY or FAIL', () => {
    expect(result(asked, never)).toBe('open');
    expect(result(asked, { ...never, requestDone: 1 })).toBe('open');
    expect(result(asked, one('STARTED'))).toBe('open');
    expect(result(asked, one('LOADCFG'))).toBe('open');
    expect(result(asked, one('READY'))).toBe('ok');
    expect(result(asked, one('FAIL'))).toBe('bad exited with code 3 after 5 ms');
    expect(result(asked, one('FAIL', { nextStartMs: 12_500 }))).toBe('bad exited with code 3 after 5 ms; next try in 2.5 s');
    expect(result(asked, one('FAIL', { limited: true }))).toBe(
      'bad exited with code 3 after 5 ms; the restart limit is reached',
    );
    expect(result(asked, one('STOPPED'))).toBe('ok ran to its end');
  });

  test('does not believe what was there before the request was taken in', () => {
    expect(result(asked, one('READY', { requestDone: 0 }))).toBe('open');
    expect(result(asked, one('READY', { stale: true }))).toBe('open');
    expect(result(asked, one('READY', { stopping: true }))).toBe('open');
  });

  test('of one in FAIL waits for the next attempt, not for the old verdict', () => {
    const again = ask(one('FAIL'), 'web', 'start', 2);
    expect(result(again, one('FAIL', { requestDone: 2 }))).toBe('open');
    expect(result(again, one('FAIL', { requestDone: 2, incarnation: 2, settledIncarnation: 2 }))).toMatch(/^bad exited/);
    expect(result(again, one('READY', { requestDone: 2, incarnation: 2, settledIncarnation: 2 }))).toBe('ok');
  });

  test('of one that runs is done at once; its end now is news', () => {
    const running = ask(one('READY'), 'web', 'start', 1);
    expect(result(running, one('READY'))).toBe('ok');
    expect(result(running, one('STOPPED'))).toBe('ok ran to its end');
    expect(result(running, one('FAIL'))).toMatch(/^bad exited/);
  });

  test('of one that is being stopped waits for the one after it', () => {
    const stopping = ask(one('READY', { stopping: true }), 'web', 'start', 1);
    expect(result(stopping, one('STOPPED'))).toBe('open');
    expect(result(stopping, one('READY', { incarnation: 2, settledIncarnation: 2 }))).toBe('ok');
  });

  test('is told what it waits for, where that will not come by itself', () => {
    const waits = one('STOPPED', { incarnation: 0, settledIncarnation: 0, waitingFor: 'db' });
    const db = (state: ProcessState, more: Partial<NativeProcess> = {}) => one(state, { name: 'db', ...more });
    expect(result(asked, waits, db('STARTED'))).toBe('open');
    expect(result(asked, waits, db('STOPPED', { settledIncarnation: 0 }))).toBe('open');
    expect(result(asked, waits, db('FAIL'))).toBe('bad waits for db, which is in FAIL');
    expect(result(asked, waits, db('STOPPED', { wantedRun: false }))).toBe('bad waits for db, which is stopped: start it');
    expect(result(asked, waits, db('STOPPED', { waitingFor: 'disk' }), one('FAIL', { name: 'disk' }))).toBe(
      'bad waits for disk, which is in FAIL',
    );
    expect(result(asked, waits, db('STOPPED', { waitingFor: 'web' }))).toBe('open');
  });

  test('of one that is disabled, stopped by somebody else or removed comes to an end', () => {
    expect(result(asked, { ...never, requestDone: 1, enabled: false })).toBe('ok not enabled');
    expect(result(asked, { ...never, requestDone: 1, wantedRun: false })).toBe('ok stopped');
    expect(result(asked)).toBe('bad it was removed meanwhile');
  });
});

test('a restart is answered by a later incarnation only', () => {
  const asked = ask(one('READY'), 'web', 'restart', 2);
  expect(result(asked, one('READY', { requestDone: 2 }))).toBe('open');
  expect(result(asked, one('STOPPED', { requestDone: 2 }))).toBe('open');
  expect(result(asked, one('READY', { requestDone: 2, incarnation: 2, settledIncarnation: 2 }))).toBe('ok');
});

test('a stop ends when nothing of it runs', () => {
  const asked = ask(one('READY'), 'web', 'stop', 2);
  expect(result(asked, one('READY', { requestDone: 2 }))).toBe('open');
  expect(result(asked, one('STOPPED', { requestDone: 2, pid: 57 }))).toBe('open');
  expect(result(asked, one('STOPPED', { requestDone: 2 }))).toBe('ok');
  expect(result(asked)).toBe('ok');
});

test('a removed one is waited for until it is gone', () => {
  const asked = ask(one('READY'), 'web', 'remove', 0);
  expect(result(asked, one('READY', { stopping: true }))).toBe('open');
  expect(result(asked, one('STARTED'))).toBe('open');
  expect(result(asked)).toBe('ok');
});

test('a changed definition in FAIL is not waited for while its next start is far away', () => {
  const asked = ask(one('FAIL', { nextStartMs: 40_000 }), 'web', 'define', 0);
  expect(result(asked, one('FAIL', { nextStartMs: 40_000 }))).toMatch(/next try in 30\.0 s$/);
  expect(result(asked, one('FAIL', { nextStartMs: 10_100 }))).toBe('open');
  expect(result(asked, one('READY'))).toBe('ok');
});

/** An operator whose memory changes with every wait. */
function scripted(steps: readonly { instance?: Partial<NativeInstance>; processes: NativeProcess[] }[]): NativeOperator {
  let at = 0;
  const now = () => steps[Math.min(at, steps.length - 1)];
  return {
    changes: () => at,
    instance: () => ({ ...INSTANCE, ...now()?.instance }),
    status: () => now()?.processes ?? [],
    wait: async () => {
      if (++at >= steps.length) throw new Error('it waited for ever');
      return true;
    },
  } as unknown as NativeOperator;
}

test('settle waits for the definitions, then for every process', async () => {
  const asked = [ask(undefined, 'web', 'define', 0)];
  const outcomes = await settle(
    scripted([
      { instance: { specsDone: 0 }, processes: [one('READY')] },
      { processes: [one('STARTED')] },
      { instance: { managerPid: 0 }, processes: [one('STARTED')] }, // the guardian starts another
      { processes: [one('READY')] },
    ]),
    asked,
  );
  expect(outcomes).toMatchObject([{ name: 'web', ok: true }]);
});

test('settle gives up when manager and guardian are gone', async () => {
  const gone = { managerPid: 0, guardianPid: 0 };
  const operator = scripted([{ processes: [one('STARTED')] }, { instance: gone, processes: [one('STARTED')] }]);
  expect(await settle(operator, [ask(undefined, 'web', 'define', 0)])).toBeUndefined();
});
