import { stateName } from '../process/state.js';
import { paintFor, paintState } from './color.js';
import { CliError, EXIT } from './fail.js';
import type { Outcome } from './settle.js';
import { renderTable } from './table.js';

/** Prints what became of the processes: one line each. Of those that are removed there is nothing to say. */
export function printOutcomes(all: readonly Outcome[]): void {
  const outcomes = all.filter(({ ok, process: seen }) => !ok || seen !== undefined);
  if (outcomes.length === 0) return;
  const paint = paintFor(process.stdout);
  const rows = outcomes.map(({ name, process: seen, text }) => {
    const state = seen === undefined ? '-' : paintState(stateName(seen.state), paint);
    return [name, state, seen === undefined || seen.pid === 0 ? '-' : String(seen.pid), text];
  });
  process.stdout.write(`${renderTable(['NAME', 'STATE', 'PID', ''], rows, paint)}\n`);
}

/** Exit 1 where a process did not get where it should, with the names and where to look. */
export function refuseFailures(outcomes: readonly Outcome[]): void {
  const failed = outcomes.filter((outcome) => !outcome.ok);
  const [first] = failed;
  if (first === undefined) return;
  const names = failed.map((outcome) => outcome.name).join(', ');
  const why =
    failed.length === 1 ? `${first.name} is not READY: ${first.text}` : `${failed.length} processes are not READY: ${names}`;
  throw new CliError(EXIT.failed, `${why}; see "holdfast logs ${first.name}"`);
}
