import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { paintFor } from '../../lib/cli/color.js';
import { statusDetail } from '../../lib/cli/detail.js';
import { formatTime } from '../../lib/cli/format.js';
import { readStacks } from '../../lib/cli/report.js';
import type { Failure, ProcessStatus, ThreadStatus } from '../../lib/manager/types.js';

const plain = paintFor({ isTTY: false });

const HANG: Failure = {
  cause: 'hang',
  at: '2026-11-22T04:00:00.000Z',
  exitCode: null,
  signal: 'SIGKILL',
  thread: 'event-loop',
  phase: 'READY',
  where: 'spin (server.mjs:12:3)',
  silentMs: 1071,
  latenessMs: 3,
  report: 'reports/web.1.txt',
  message:
    'Because the event-loop (57) thread of process 57, has not responded within 1 periods of 1 seconds, the process will be terminated.',
  brief: 'event-loop silent for 1.07 s in spin (server.mjs:12:3)',
};

const LOOP: ThreadStatus = {
  name: 'event-loop',
  tid: 57,
  periodMs: 500,
  grace: 1,
  silentMs: 120.4,
  excused: null,
  note: null,
};

const WEB: ProcessStatus = {
  name: 'web',
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
  threads: [LOOP],
  statusText: null,
  lastFailure: null,
};

const HEAD = `${HANG.message}\n\nthread:      event-loop\nwhere:       spin (server.mjs:12:3)\n\n`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-detail-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function report(text: string): string {
  mkdirSync(join(dir, 'reports'), { recursive: true });
  const file = join(dir, 'reports', 'web.1.txt');
  writeFileSync(file, text);
  return file;
}

/** What stands behind a key. */
function field(text: string, key: string): string {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`${key}:`));
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => !line.startsWith(' '.repeat(15)));
  return [lines[at], ...(end < 0 ? rest : rest.slice(0, end))].map((line) => line?.slice(15)).join('\n');
}

describe('everything about one process', () => {
  test('in the order of the table, and more', () => {
    expect(statusDetail({ ...WEB, threads: [] }, dir, plain)).toBe(`name:          web
state:         READY
wanted:        run
pid:           57
uptime:        812ms
incarnation:   2
restarts:      1
cpu:           0.4%
memory:        45.9MB
waits for:     -
threads:       -
last failure:  -`);
  });

  test('each thread with its age, and why its silence is none', () => {
    const threads: ThreadStatus[] = [
      LOOP,
      { ...LOOP, name: 'resize', tid: 0, periodMs: 15_000, grace: 3, silentMs: 20_000, note: 'queue 7' },
      { ...LOOP, name: 'worker-2', tid: 61, excused: 'busy', note: 'compacting' },
    ];
    expect(field(statusDetail({ ...WEB, threads }, dir, plain), 'threads')).toBe(
      [
        'NAME        TID  PERIOD     SILENT',
        'event-loop  57   500ms      120ms',
        'resize      -    3 x 15.0s  20.0s   queue 7',
        'worker-2    61   500ms      120ms   busy: compacting',
      ].join('\n'),
    );
  });

  test('forty threads, and how many more there are', () => {
    const threads = Array.from({ length: 43 }, (_, i) => ({ ...LOOP, name: `t${i}` }));
    const shown = field(statusDetail({ ...WEB, threads }, dir, plain), 'threads').split('\n');
    expect(shown).toHaveLength(42);
    expect(shown.at(-1)).toBe('and 3 more: --json shows them');
  });

  test('what it says of itself', () => {
    expect(field(statusDetail({ ...WEB, statusText: 'warming up' }, dir, plain), 'says')).toBe('warming up');
  });

  test('a hang: thread, place, silence, report and stack', () => {
    const file = report(`${HEAD}thread 0\n\n    at spin (server.mjs:12:3)\n`);
    const text = statusDetail({ ...WEB, lastFailure: HANG }, dir, plain);
    expect(text.slice(text.indexOf('last failure:'))).toBe(`last failure:  ${HANG.message}
  cause:       hang (SIGKILL)
  at:          ${formatTime(HANG.at)}
  in state:    READY
  thread:      event-loop
  where:       spin (server.mjs:12:3)
  silent:      1.1s (3ms of it not counted)
  report:      ${file}
  stack:       thread 0
                   at spin (server.mjs:12:3)`);
  });

  test('a hang without a report, and of an unknown place', () => {
    const text = statusDetail({ ...WEB, lastFailure: { ...HANG, where: null, report: null, latenessMs: 0 } }, dir, plain);
    expect(text).toMatch(/\n {2}where: {7}-\n {2}silent: {6}1\.1s\n {2}report: {6}-$/);
  });

  test('a crash says nothing of threads', () => {
    const crash: Failure = { ...HANG, cause: 'crash', thread: null, where: null, silentMs: null, report: null };
    expect(statusDetail({ ...WEB, lastFailure: crash }, dir, plain)).toMatch(/in state: {4}READY$/);
  });
});

describe('the stacks of a report', () => {
  test('twenty lines, and where the rest is', () => {
    const file = report(`${HEAD}${Array.from({ length: 30 }, (_, i) => `at f${i}`).join('\n')}\n`);
    const lines = readStacks(file);
    expect(lines).toHaveLength(21);
    expect(lines.slice(-2)).toEqual(['at f19', '… the rest is in the report']);
  });

  test('a long report is not read to its end', () => {
    const lines = readStacks(report(`${HEAD}${'a\n'.repeat(500_000)}`));
    expect(lines).toHaveLength(21);
  });

  test('nothing in it steers the terminal', () => {
    expect(readStacks(report(`${HEAD}at \u001b[2Jf\u009b1m\r\n`))).toEqual(['at ?[2Jf?1m?']);
  });

  test('one without its head is shown as it is', () => {
    expect(readStacks(report('a\n\nb\n'))).toEqual(['a', 'b']);
  });

  test('one that is gone is said', () => {
    expect(readStacks(join(dir, 'none.txt'))[0]).toMatch(/^can't be read: ENOENT/);
  });
});
