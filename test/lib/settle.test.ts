import { describe, expect, test } from 'vitest';
import { isDone, type Request } from '../../lib/manager/settle.js';
import type { NativeFailure, NativeProcess } from '../../lib/native.js';
import { type ProcessState, stateNumber } from '../../lib/process/state.js';

const failure = (atMs: number): NativeFailure => ({
  cause: 1,
  phase: 5,
  signal: 9,
  exitCode: -1,
  errno: 0,
  incarnation: 1,
  atMs,
  ranMs: 1,
  pid: 0,
  tid: 0,
  grace: 0,
  periodMs: 0,
  silentMs: 0,
  latenessMs: 0,
  thread: '',
  where: '',
  hasReport: false,
  text: 'killed by SIGKILL after 1 ms',
  brief: 'killed by SIGKILL after 1 ms',
});

/** A process; by default one that is STOPPED, and has run once. */
function one(state: ProcessState, some: Partial<NativeProcess> = {}): NativeProcess {
  const isLiving = !['STOPPED', 'FAIL'].includes(state);
  return {
    name: 'web',
    index: 0,
    state: stateNumber(state),
    wantedRun: isLiving,
    enabled: true,
    limited: false,
    stale: false,
    stopping: false,
    onDemand: false,
    pid: isLiving ? 100 : 0,
    incarnation: 1,
    restarts: 0,
    startedMs: 0,
    readyMs: 0,
    nextStartMs: 0,
    requestDone: 7,
    settledIncarnation: 1,
    droppedBytes: 0,
    waitingFor: '',
    failures: [],
    memoryBytes: 0,
    cpuMs: 0,
    statusText: '',
    ...some,
  };
}

const wanted = { wantedRun: true };

/** True, 'open', or the code of the failure. */
function judge(request: Request, before: NativeProcess, now: NativeProcess | null, others: NativeProcess[] = []) {
  const look = (name: string) => (name === 'web' ? now : (others.find((other) => other.name === name) ?? null));
  try {
    return isDone({ request, before, sequence: 7 }, look) ?? 'open';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('start', () => {
  const stopped = one('STOPPED');
  test.each<[string, NativeProcess, NativeProcess, unknown]>([
    ['not taken in yet', stopped, one('STOPPED', { requestDone: 6 }), 'open'],
    ['could not be read', stopped, one('READY', { incarnation: 2, stale: true }), 'open'],
    ['taken in, not begun', stopped, one('STOPPED', wanted), 'open'],
    ['begun', stopped, one('STARTED', { incarnation: 2 }), 'open'],
    ['READY', stopped, one('READY', { incarnation: 2 }), true],
    ['was READY before', one('READY'), one('READY'), true],
    ['was BOOTING before', one('BOOTING', { settledIncarnation: 0 }), one('READY'), true],
    ['READY, but being stopped', one('READY', { stopping: true }), one('READY', { stopping: true }), 'open'],
    [
      'an old failure says nothing',
      one('FAIL', { failures: [failure(1)] }),
      one('STARTED', { failures: [failure(1)] }),
      'open',
    ],
    ['failed', stopped, one('FAIL', { ...wanted, incarnation: 2, failures: [failure(2)] }), 'ERR_HOLDFAST_FAILED'],
    ['failed and was restarted', stopped, one('STARTED', { incarnation: 3, failures: [failure(2)] }), 'ERR_HOLDFAST_FAILED'],
    ['ran to its end', stopped, one('STOPPED', { incarnation: 2, settledIncarnation: 2 }), true],
    ['was stopped by somebody', stopped, one('STOPPED'), 'ERR_HOLDFAST_STOPPED'],
    ['is not enabled', stopped, one('STOPPED', { ...wanted, enabled: false }), 'ERR_HOLDFAST_DISABLED'],
  ])('%s', (_, before, now, expected) => expect(judge('start', before, now)).toBe(expected));

  test('removed meanwhile', () => expect(judge('start', stopped, null)).toBe('ERR_HOLDFAST_UNKNOWN_PROCESS'));
});

describe('start of what waits for another', () => {
  const waits = one('STOPPED', { ...wanted, waitingFor: 'db' });
  test.each<[string, NativeProcess[], unknown]>([
    ['that starts', [one('STARTED', { name: 'db' })], 'open'],
    ['that will be restarted', [one('FAIL', { name: 'db', ...wanted, nextStartMs: 5 })], 'open'],
    ['that is stopped', [one('STOPPED', { name: 'db' })], 'ERR_HOLDFAST_BLOCKED'],
    ['that stays in FAIL', [one('FAIL', { name: 'db', ...wanted, limited: true })], 'ERR_HOLDFAST_BLOCKED'],
    ['that is not defined', [], 'open'],
    [
      'that waits for one that is stopped',
      [one('STOPPED', { name: 'db', ...wanted, waitingFor: 'disk' }), one('STOPPED', { name: 'disk' })],
      'ERR_HOLDFAST_BLOCKED',
    ],
    ['that waits for it', [one('STOPPED', { name: 'db', ...wanted, waitingFor: 'web' })], 'open'],
  ])('%s', (_, others, expected) => expect(judge('start', one('STOPPED'), waits, others)).toBe(expected));
});

describe('restart', () => {
  test.each<[string, NativeProcess, NativeProcess, unknown]>([
    ['still the old incarnation', one('READY'), one('READY'), 'open'],
    ['the old one ended', one('READY'), one('STOPPED', wanted), 'open'],
    ['the next one is READY', one('READY'), one('READY', { incarnation: 2 }), true],
    [
      'the next one failed',
      one('READY'),
      one('FAIL', { ...wanted, incarnation: 2, failures: [failure(2)] }),
      'ERR_HOLDFAST_FAILED',
    ],
  ])('%s', (_, before, now, expected) => expect(judge('restart', before, now)).toBe(expected));
});

describe.each<Request>(['stop', 'stop-force'])('%s', (request) => {
  test.each<[string, NativeProcess | null, unknown]>([
    ['not taken in yet', one('STOPPED', { requestDone: 6 }), 'open'],
    ['being stopped', one('READY', { wantedRun: false, stopping: true }), 'open'],
    ['STOPPED', one('STOPPED'), true],
    ['removed', null, true],
    ['started again by somebody', one('STARTED', { incarnation: 2 }), 'ERR_HOLDFAST_STARTED'],
  ])('%s', (_, now, expected) => expect(judge(request, one('READY'), now)).toBe(expected));
});
