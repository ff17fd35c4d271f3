import type { NativeOperator } from '../native.js';
import { applyPlan, type Changes, rememberedFile } from './apply.js';
import { CliError, EXIT, noManager } from './fail.js';
import { printOutcomes, refuseFailures } from './outcome.js';
import { managerLives, openTarget, withManager } from './session.js';
import { ask, definitionsTakenIn, settle } from './settle.js';
import { DEFAULT_FILE, type TargetOptions } from './target.js';
import { prepare } from './up.js';

export interface ReloadOptions extends TargetOptions {
  /** False with --no-wait. */
  wait?: boolean;
}

function printChanges(changes: Changes): void {
  for (const [what, names] of Object.entries(changes)) {
    if (names.length > 0) process.stdout.write(`${what}: ${names.join(', ')}\n`);
  }
}

/** The file that is meant: the one named, else the one that the instance remembers. */
async function fileOf(file: string | undefined, options: TargetOptions): Promise<string> {
  if (file !== undefined) return file;
  return await withManager(options, async ({ operator }) => rememberedFile(operator) ?? DEFAULT_FILE);
}

async function waitForChanged(
  operator: NativeOperator,
  changes: Changes,
  before: ReturnType<NativeOperator['status']>,
): Promise<void> {
  const known = new Map(before.map((process) => [process.name, process]));
  const asked = [
    ...[...changes.added, ...changes.changed].map((name) => ask(known.get(name), name, 'define', 0)),
    ...changes.removed.map((name) => ask(known.get(name), name, 'remove', 0)),
  ];
  if (!(await definitionsTakenIn(operator)))
    throw new CliError(EXIT.noManager, 'the manager ended meanwhile: see holdfastd.log');
  const outcomes = await settle(operator, asked);
  if (outcomes === undefined)
    throw new CliError(EXIT.noManager, 'the manager ended before all was READY: see holdfastd.log');
  printOutcomes(outcomes);
  refuseFailures(outcomes);
}

/** Brings a running instance in line with its changed file: adds, removes, restarts what changed, and leaves the rest alone. */
export async function reload(file: string | undefined, options: ReloadOptions): Promise<void> {
  const { target, plan } = await prepare(await fileOf(file, options), options);
  const operator = openTarget(target);
  if (operator === undefined) throw noManager(target.instance, target.dir);
  try {
    if (!managerLives(operator)) throw noManager(target.instance, target.dir);
    const before = operator.status();
    const changes = applyPlan(operator, plan, target);
    printChanges(changes);
    if (options.wait !== false) await waitForChanged(operator, changes, before);
  } finally {
    operator.close();
  }
}
