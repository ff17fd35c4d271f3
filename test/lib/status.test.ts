import { describe, expect, test } from 'vitest';
import { readStatus, toFailure, toThread } from '../../lib/manager/status.js';
import { type NativeFailure, type NativeOperator, type NativeProcess, type NativeThread, native } from '../../lib/native.js';
import { stateNumber } from '../../lib/process/state.js';

const { causes, threadFlags } = native().constants;

const HANG: NativeFailure = {
  cause: causes.indexOf('hang'),
  phase: stateNumber('READY'),
  signal: 9,
  exitCode: -1,
  errno: 0,
  incarnation: 3,
  atMs: Date.UTC(2026, 10, 22, 4),
  ranMs: 5000,
  pid: 57,
  tid: 61,
  grace: 1,
  periodMs: 1000,
  silentMs: 1071.4,
  latenessMs: 3.14,
  thread: 'worker-1',
  where: 'spin (server.mjs:12:3)',
  hasReport: true,
  text: 'Because the …',
  brief: 'worker-1 silent for 1.07 s in spin (server.mjs:12:3)',
};

const THREAD: NativeThread = {
  name: 'main',
  pid: 57,
  tid: 57,
  periodMs: 500,
  silentMs: 120.46,
  grace: 1,
  flags: 0,
  note: '',
};

describe('a failure', () => {
  test('of a hang: thread, place, ages, and where its report lies', () => {
    expect(toFailure('web.2', HANG)).toEqual({
      cause: 'hang',
      at: '2026-11-22T04:00:00.000Z',
      exitCode: null,
      signal: 'SIGKILL',
      thread: 'worker-1',
      phase: 'READY',
      where: 'spin (server.mjs:12:3)',
      silentMs: 1071,
      latenessMs: 3.1,
      report: 'reports/web.2.3.txt',
      message: 'Because the …',
      brief: 'worker-1 silent for 1.07 s in spin (server.mjs:12:3)',
    });
  });

  test('of a hang without a report and of an unknown place', () => {
    expect(toFailure('web', { ...HANG, hasReport: false, where: '' })).toMatchObject({ report: null, where: null });
  });

  test('of any other cause has nothing of a thread', () => {
    const crash = { ...HANG, cause: causes.indexOf('crash'), thread: '', where: '', silentMs: 0, latenessMs: 0 };
    expect(toFailure('web', { ...crash, hasReport: false })).toMatchObject({
      thread: null,
      where: null,
      silentMs: null,
      latenessMs: null,
      report: null,
    });
  });
});

describe('a thread', () => {
  test('with what it says of itself', () => {
    expect(toThread(THREAD)).toEqual({
      name: 'main',
      tid: 57,
      periodMs: 500,
      grace: 1,
      silentMs: 120,
      excused: null,
      note: null,
    });
    expect(toThread({ ...THREAD, note: 'queue 3' }).note).toBe('queue 3');
  });

  test.each(['traced', 'stopped', 'frozen', 'busy'] as const)('that is %s', (word) => {
    expect(toThread({ ...THREAD, flags: threadFlags[word] }).excused).toBe(word);
  });

  test('a debugger says more than a stop', () => {
    expect(toThread({ ...THREAD, flags: threadFlags.stopped | threadFlags.traced | threadFlags.busy }).excused).toBe(
      'traced',
    );
  });
});

describe('the status of an instance', () => {
  const process = (name: string, pid: number): Partial<NativeProcess> => ({
    name,
    pid,
    incarnation: 1,
    startedMs: 1,
    cpuMs: 0,
    state: stateNumber(pid === 0 ? 'STOPPED' : 'READY'),
    waitingFor: '',
    statusText: pid === 0 ? '' : 'warm',
    failures: [],
  });
  const operator = (threads: (name: string) => NativeThread[], ...processes: Partial<NativeProcess>[]): NativeOperator =>
    ({
      status: () => processes,
      instance: () => ({ instance: 'shop', dir: '/dev/shm/x', managerPid: 1, nowMs: 5, managerStartedMs: 1 }),
      threads,
    }) as unknown as NativeOperator;

  test('asks for the threads of those that run, and for no others', () => {
    const asked: string[] = [];
    const threads = (name: string): NativeThread[] => {
      asked.push(name);
      return [THREAD];
    };
    const { processes } = readStatus(operator(threads, process('web', 57), process('db', 0)));
    expect(asked).toEqual(['web']);
    expect(processes).toMatchObject([
      { name: 'web', statusText: 'warm', threads: [{ name: 'main', periodMs: 500 }] },
      { name: 'db', statusText: null, threads: [] },
    ]);
  });

  test('one that was removed meanwhile has none; any other error is told', () => {
    const failing = (code: string) => () => {
      throw Object.assign(new Error(code), { code });
    };
    const gone = operator(failing('ERR_HOLDFAST_EUNKNOWN'), process('web', 57));
    expect(readStatus(gone).processes).toMatchObject([{ name: 'web', threads: [] }]);
    expect(() => readStatus(operator(failing('ERR_HOLDFAST_ENOMEM'), process('web', 57)))).toThrow('ERR_HOLDFAST_ENOMEM');
  });
});
