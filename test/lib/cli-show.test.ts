import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { hasColor, paintFor } from '../../lib/cli/color.js';
import { eventLine } from '../../lib/cli/events.js';
import { CliError, nativeCode } from '../../lib/cli/fail.js';
import { formatBytes, formatDuration, formatTime } from '../../lib/cli/format.js';
import { nameOfProgram } from '../../lib/cli/run.js';
import { signalNumber } from '../../lib/cli/signal.js';
import { selectProcesses, statusTable } from '../../lib/cli/status.js';
import { renderTable } from '../../lib/cli/table.js';
import type { HoldfastEvent, ProcessStatus, Status, ThreadStatus } from '../../lib/manager/types.js';

const plain = paintFor({ isTTY: false });

const WEB: ProcessStatus = {
  name: 'web.1',
  state: 'READY',
  pid: 57,
  incarnation: 2,
  uptimeMs: 812,
  restarts: 1,
  wanted: 'run',
  enabled: true,
  waitingFor: null,
  limited: false,
  cpuPercent: 0.4,
  memoryBytes: 48_123_904,
  threads: [],
  statusText: null,
  lastFailure: {
    cause: 'crash',
    at: '2026-11-22T04:00:00.000Z',
    exitCode: null,
    signal: 'SIGKILL',
    thread: null,
    phase: 'READY',
    where: null,
    silentMs: null,
    latenessMs: null,
    report: null,
    message: 'killed by SIGKILL after 3.2 s',
    brief: 'killed by SIGKILL after 3.2 s',
  },
};

const DOWN: ProcessStatus = {
  ...WEB,
  name: 'db',
  state: 'STOPPED',
  pid: null,
  uptimeMs: null,
  wanted: 'stop',
  cpuPercent: null,
  memoryBytes: null,
};

const STATUS: Status = {
  instance: 'default',
  dir: '/dev/shm/x',
  manager: { pid: 41, uptimeMs: 9000, restarts: 0 },
  processes: [{ ...DOWN, lastFailure: null }, WEB, { ...WEB, name: 'web.2', state: 'FAIL', pid: null, limited: true }],
};

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [3240, '3.2s'],
  [59_940, '59.9s'],
  [59_960, '1m 0s'],
  [125_000, '2m 5s'],
  [3_720_000, '1h 2m'],
  [273_600_000, '3d 4h'],
])('%i ms is %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

test.each([
  [512, '512B'],
  [1536, '1.5KB'],
  [48_123_904, '45.9MB'],
  [3 * 1024 ** 4, '3.0TB'],
])('%i bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test('a time of another day has its date', () => {
  const iso = '2026-11-22T04:05:06.007Z';
  expect(formatTime(iso, new Date(iso))).toMatch(/^\d\d:05:06\.007$/);
  expect(formatTime(iso, new Date('2026-12-01T00:00:00Z'))).toMatch(/^2026-11-2\d \d\d:05:06\.007$/);
});

test('colours only in a terminal, and not with NO_COLOR', () => {
  expect(hasColor({ isTTY: true }, {})).toBe(true);
  expect(hasColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
  expect(hasColor({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
  expect(hasColor({}, {})).toBe(false);
  expect(paintFor({ isTTY: true }, {}).red('x')).toBe('\u001b[31mx\u001b[39m');
  expect(plain.red('x')).toBe('x');
});

test('a table is columns without lines, also with colours', () => {
  const rows = [
    ['web', 'READY'],
    ['a-long-name', 'FAIL'],
  ];
  const expected = 'NAME         STATE\nweb          READY\na-long-name  FAIL';
  expect(renderTable(['NAME', 'STATE'], rows, plain)).toBe(expected);
  const colored = renderTable(['NAME', 'STATE'], rows, paintFor({ isTTY: true }, {}));
  expect(stripVTControlCharacters(colored)).toBe(expected);
  expect(colored).not.toBe(expected);
});

describe('status', () => {
  test('the table has one line a process, with the reason at its end', () => {
    expect(statusTable(STATUS, plain).split('\n')).toEqual([
      'NAME   STATE    PID  UPTIME  RESTARTS  CPU   MEMORY',
      'db     STOPPED  -    -       1         -     -',
      'web.1  READY    57   812ms   1         0.4%  45.9MB  last: killed by SIGKILL after 3.2 s',
      'web.2  FAIL     -    812ms   1         0.4%  45.9MB  killed by SIGKILL after 3.2 s; restart limit reached',
    ]);
  });

  test('the last column says briefly where it hung, and that nobody judges it', () => {
    const hang: ProcessStatus = {
      ...WEB,
      lastFailure: {
        ...WEB.lastFailure!,
        message: 'Because the …',
        brief: 'event-loop silent for 1.07 s in spin (a.mjs:3:1)',
      },
    };
    const thread: ThreadStatus = {
      name: 'main',
      tid: 57,
      periodMs: 500,
      grace: 1,
      silentMs: 9000,
      excused: 'traced',
      note: null,
    };
    const lines = (one: ProcessStatus): string => statusTable({ ...STATUS, processes: [one] }, plain).split('\n')[1] ?? '';
    expect(lines(hang)).toMatch(/ {2}last: event-loop silent for 1\.07 s in spin \(a\.mjs:3:1\)$/);
    expect(lines({ ...hang, threads: [thread] })).toMatch(/ {2}traced: its silence is no failure$/);
    expect(lines({ ...hang, threads: [{ ...thread, excused: 'busy' }] })).toContain('last: event-loop');
  });

  test('a name means its instances; an unknown one is exit 3', () => {
    expect(selectProcesses(STATUS, 'web').processes.map((one) => one.name)).toEqual(['web.1', 'web.2']);
    expect(selectProcesses(STATUS, undefined).processes).toHaveLength(3);
    const unknown = (): unknown => selectProcesses(STATUS, 'dv');
    expect(unknown).toThrow(CliError);
    expect(unknown).toThrow('there is no process "dv" (did you mean "db"?); known: db, web.1, web.2');
  });
});

test('an event is one line: when, who, what, why', () => {
  const event: HoldfastEvent = {
    sequence: 7,
    at: '2026-11-22T04:05:06.007Z',
    type: 'state',
    name: 'web',
    incarnation: 1,
    pid: 57,
    from: 'READY',
    to: 'FAIL',
    cause: 'crash',
    exitCode: null,
    signal: 'SIGSEGV',
    errno: null,
    detail: 'killed by SIGSEGV after 3.2 s',
  };
  const now = new Date(event.at);
  const time = formatTime(event.at, now);
  expect(eventLine(event, plain, now)).toBe(`${time}  web  READY → FAIL  killed by SIGSEGV after 3.2 s`);
  const manager: HoldfastEvent = { ...event, type: 'manager', name: null, from: null, to: null, detail: 'pid 41' };
  expect(eventLine(manager, plain, now)).toBe(`${time}  holdfastd  manager  pid 41`);
});

test.each([
  ['HUP', 1],
  ['sighup', 1],
  ['SIGTERM', 15],
  ['9', 9],
  ['64', 64],
])('signal %s', (text, number) => expect(signalNumber(text)).toBe(number));

test.each(['0', '65', 'SIG', 'HUPP', '-1', ''])('no signal: %j', (text) =>
  expect(() => signalNumber(text)).toThrow(CliError),
);

test.each([
  ['/usr/bin/node', 'node'],
  ['./my server.sh', 'my-server.sh'],
  ['7z', 'z'],
  ['123', 'command'],
  ['holdfastd', 'command'],
  [`/bin/${'a'.repeat(40)}`, 'a'.repeat(31)],
])('%s runs under the name %s', (program, name) => expect(nameOfProgram(program)).toBe(name));

test('only codes of the native part count as such', () => {
  expect(nativeCode(Object.assign(new Error('x'), { code: 'ERR_HOLDFAST_ENOENT' }))).toBe('ERR_HOLDFAST_ENOENT');
  expect(nativeCode(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe('');
  expect(nativeCode(undefined)).toBe('');
});
