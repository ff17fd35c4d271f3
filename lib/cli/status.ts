import { matchNames } from '../manager/instances.js';
import { CpuMeter, readStatus } from '../manager/status.js';
import type { ProcessStatus, Status } from '../manager/types.js';
import type { NativeOperator } from '../native.js';
import { type Paint, paintFor, paintState } from './color.js';
import { NOTHING, statusDetail } from './detail.js';
import { type CliError, EXIT, type ExitCode, noManager, unknownProcess } from './fail.js';
import { formatBytes, formatDuration } from './format.js';
import { openTarget } from './session.js';
import { renderTable } from './table.js';
import { resolveTarget, type Target, type TargetOptions } from './target.js';

export interface StatusOptions extends TargetOptions {
  json?: boolean;
  watch?: boolean;
}

/** Why nobody judges it: a debugger holds it, or it was stopped or frozen. That it is busy is its own affair. */
function excuse({ threads }: ProcessStatus): string | undefined {
  const held = threads.find(({ excused }) => excused !== null && excused !== 'busy');
  return held && `${held.excused}: its silence is no failure`;
}

/** What is to be said about a process in one line: why it does not run, or why it last failed. */
function remark(process: ProcessStatus): string {
  const { enabled, waitingFor, limited, lastFailure, state, wanted } = process;
  const excused = excuse(process);
  if (!enabled) return 'disabled';
  if (waitingFor !== null) return `waits for ${waitingFor}`;
  if (excused !== undefined) return excused;
  if (wanted === 'stop' && state === 'STOPPED') return lastFailure === null ? '' : `stopped; last: ${lastFailure.brief}`;
  if (lastFailure === null) return '';
  return `${state === 'FAIL' ? '' : 'last: '}${lastFailure.brief}${limited ? '; restart limit reached' : ''}`;
}

function row(process: ProcessStatus, paint: Paint): string[] {
  const { name, state, pid, uptimeMs, restarts, cpuPercent, memoryBytes } = process;
  return [
    name,
    paintState(state, paint),
    pid === null ? NOTHING : String(pid),
    uptimeMs === null ? NOTHING : formatDuration(uptimeMs),
    String(restarts),
    cpuPercent === null ? NOTHING : `${cpuPercent.toFixed(1)}%`,
    memoryBytes === null ? NOTHING : formatBytes(memoryBytes),
    remark(process),
  ];
}

/** The table of an instance. */
export function statusTable(status: Status, paint: Paint): string {
  const head = ['NAME', 'STATE', 'PID', 'UPTIME', 'RESTARTS', 'CPU', 'MEMORY', ''];
  return renderTable(
    head,
    status.processes.map((process) => row(process, paint)),
    paint,
  );
}

/** The part of a status that a name means; exit 3 where it means nothing. */
export function selectProcesses(status: Status, name: string | undefined): Status {
  if (name === undefined) return status;
  const known = status.processes.map((process) => process.name);
  const meant = new Set(matchNames(name, known));
  if (meant.size === 0) throw unknownProcess(name, known);
  return { ...status, processes: status.processes.filter((process) => meant.has(process.name)) };
}

function render(status: Status, name: string | undefined, options: StatusOptions): string {
  if (options.json) return options.watch ? JSON.stringify(status) : JSON.stringify(status, null, 2);
  const paint = paintFor(process.stdout);
  if (name === undefined) return statusTable(status, paint);
  return status.processes.map((one) => statusDetail(one, status.dir, paint)).join('\n\n');
}

const CLEAR = '\u001b[H\u001b[2J\u001b[3J';
const WATCH_MS = 1000;

async function watch(operator: NativeOperator, name: string | undefined, options: StatusOptions): Promise<ExitCode> {
  const isScreen = process.stdout.isTTY && !options.json;
  const meter = new CpuMeter();
  for (;;) {
    const seen = operator.changes();
    const status = readStatus(operator, meter);
    const text = render(selectProcesses(status, name), name, options);
    process.stdout.write(isScreen ? `${CLEAR}${text}\n` : options.json ? `${text}\n` : `${text}\n\n`);
    if (status.manager.pid === null && operator.instance().guardianPid === 0) return EXIT.noManager;
    await operator.wait(seen, WATCH_MS, true);
  }
}

/** What there is to show of an instance that is not there at all. */
function nothing(target: Target, options: StatusOptions): CliError {
  if (options.json) {
    const empty: Status = { ...target, manager: { pid: null, uptimeMs: null, restarts: 0 }, processes: [] };
    process.stdout.write(`${render(empty, undefined, options)}\n`);
  }
  return noManager(target.instance, target.dir);
}

/** Shows an instance or one process of it. Reads memory: it works when the manager hangs, and what a dead one left behind. */
export async function status(name: string | undefined, options: StatusOptions): Promise<ExitCode> {
  const target = await resolveTarget(options);
  const operator = openTarget(target);
  if (operator === undefined) throw nothing(target, options);
  try {
    if (options.watch) return await watch(operator, name, options);
    const all = readStatus(operator);
    process.stdout.write(`${render(selectProcesses(all, name), name, options)}\n`);
    if (all.manager.pid === null && operator.instance().guardianPid === 0) throw noManager(all.instance, all.dir);
    return EXIT.done;
  } finally {
    operator.close();
  }
}
