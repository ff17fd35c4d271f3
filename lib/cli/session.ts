import { matchNames } from '../manager/instances.js';
import { type NativeOperator, native } from '../native.js';
import { nativeCode, noManager, unknownProcess } from './fail.js';
import { resolveTarget, type Target, type TargetOptions } from './target.js';

/** An open instance. */
export interface Session {
  readonly target: Target;
  readonly operator: NativeOperator;
}

/** Whether a manager, or the guardian that is about to start one, lives. */
export function managerLives(operator: NativeOperator): boolean {
  const { managerPid, guardianPid } = operator.instance();
  return managerPid !== 0 || guardianPid !== 0;
}

/** Opens the directory of an instance; undefined where there is none. Any other refusal is thrown with its reason. */
export function openTarget(target: Target): NativeOperator | undefined {
  try {
    return new (native().Operator)(target.dir, false);
  } catch (error) {
    if (nativeCode(error) === 'ERR_HOLDFAST_ENOENT') return undefined;
    throw error;
  }
}

/** Runs `use` on the instance that the options name, and closes it. Exit 4 where no manager runs. */
export async function withManager<Result>(
  options: TargetOptions,
  use: (session: Session) => Promise<Result>,
): Promise<Result> {
  const target = await resolveTarget(options);
  const operator = openTarget(target);
  if (operator === undefined) throw noManager(target.instance, target.dir);
  try {
    if (!managerLives(operator)) throw noManager(target.instance, target.dir);
    return await use({ target, operator });
  } finally {
    operator.close();
  }
}

/** The processes that the names mean, each once; exit 3 where one means none. */
export function resolveNames(operator: NativeOperator, names: readonly string[]): string[] {
  const known = operator.status().map((process) => process.name);
  const found = new Set<string>();
  for (const name of names) {
    const matches = matchNames(name, known);
    if (matches.length === 0) throw unknownProcess(name, known);
    for (const match of matches) found.add(match);
  }
  return [...found];
}
