/** Everything about one process, for people. */
import { join } from 'node:path';
import type { Failure, ProcessStatus, ThreadStatus } from '../manager/types.js';
import { type Paint, paintState } from './color.js';
import { formatBytes, formatDuration, formatTime } from './format.js';
import { readStacks } from './report.js';
import { renderTable } from './table.js';

/** Stands where there is nothing. */
export const NOTHING = '-';

const THREADS_SHOWN = 40;
const KEY_WIDTH = 14;
const INDENT = ' '.repeat(KEY_WIDTH + 1);

function indented(lines: readonly string[]): string {
  return lines.join(`\n${INDENT}`);
}

function threadRow({ name, tid, periodMs, grace, silentMs, excused, note }: ThreadStatus): string[] {
  const period = formatDuration(periodMs);
  return [
    name,
    tid === 0 ? NOTHING : String(tid),
    grace === 1 ? period : `${grace} x ${period}`,
    formatDuration(silentMs),
    [excused, note].filter((word) => word !== null).join(': '),
  ];
}

/** Who beats, how often, and for how long it has been silent now. */
function threadsText(threads: readonly ThreadStatus[], paint: Paint): string {
  if (threads.length === 0) return NOTHING;
  const rows = threads.slice(0, THREADS_SHOWN).map(threadRow);
  const table = renderTable(['NAME', 'TID', 'PERIOD', 'SILENT', ''], rows, paint).split('\n');
  const rest = threads.length - rows.length;
  return indented(rest === 0 ? table : [...table, `and ${rest} more: --json shows them`]);
}

function silence({ silentMs, latenessMs }: Failure): string {
  const text = formatDuration(silentMs ?? 0);
  // The manager was late, or the thread got no processor.
  return (latenessMs ?? 0) >= 1 ? `${text} (${formatDuration(latenessMs ?? 0)} of it not counted)` : text;
}

function hangLines(failure: Failure, dir: string): [string, string][] {
  if (failure.cause !== 'hang') return [];
  const { thread, where, report } = failure;
  const file = report === null ? undefined : join(dir, report);
  return [
    ['  thread', thread ?? NOTHING],
    ['  where', where ?? NOTHING],
    ['  silent', silence(failure)],
    ['  report', file ?? NOTHING],
    ...(file === undefined ? [] : [['  stack', indented(readStacks(file))] as [string, string]]),
  ];
}

function failureLines(failure: Failure, dir: string): [string, string][] {
  const ending = failure.signal === null ? `exit code ${failure.exitCode}` : failure.signal;
  const how = failure.errno ?? (failure.signal === null && failure.exitCode === null ? '' : ending);
  return [
    ['last failure', failure.message],
    ['  cause', how === '' ? failure.cause : `${failure.cause} (${how})`],
    ['  at', formatTime(failure.at)],
    ['  in state', failure.phase],
    ...hangLines(failure, dir),
  ];
}

/** Everything about one process of the instance in `dir`, with the stacks of its last hang. */
export function statusDetail(process: ProcessStatus, dir: string, paint: Paint): string {
  const { uptimeMs, cpuPercent, memoryBytes, lastFailure, statusText } = process;
  const lines: [string, string][] = [
    ['name', paint.bold(process.name)],
    ['state', paintState(process.state, paint)],
    ['wanted', process.enabled ? process.wanted : `${process.wanted} (disabled)`],
    ['pid', process.pid === null ? NOTHING : String(process.pid)],
    ['uptime', uptimeMs === null ? NOTHING : formatDuration(uptimeMs)],
    ['incarnation', String(process.incarnation)],
    [
      'restarts',
      process.limited ? `${process.restarts} (limit reached: "holdfast start ${process.name}")` : String(process.restarts),
    ],
    ['cpu', cpuPercent === null ? NOTHING : `${cpuPercent.toFixed(1)}%`],
    ['memory', memoryBytes === null ? NOTHING : formatBytes(memoryBytes)],
    ['waits for', process.waitingFor ?? NOTHING],
    ...(statusText === null ? [] : [['says', statusText] as [string, string]]),
    ['threads', threadsText(process.threads, paint)],
    ...(lastFailure === null ? [['last failure', NOTHING] as [string, string]] : failureLines(lastFailure, dir)),
  ];
  return lines.map(([key, value]) => `${`${key}:`.padEnd(KEY_WIDTH)} ${value}`).join('\n');
}
