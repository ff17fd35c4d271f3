import { foregroundEnvironment } from '../config/environment.js';
import { type Config, loadConfig } from '../config/load.js';
import { daemonPath, type NativeOperator, type NativeProcess, native } from '../native.js';
import { applyPlan, type Changes, makePlan, type Plan } from './apply.js';
import { daemonArguments, ensureManager } from './daemon.js';
import { waitUntilGone } from './down.js';
import { CliError, EXIT, nativeCode, noManager } from './fail.js';
import { printOutcomes, refuseFailures } from './outcome.js';
import { managerLives } from './session.js';
import { type Asked, ask, definitionsTakenIn, settle } from './settle.js';
import { DEFAULT_FILE, resolveTarget, type Target, type TargetOptions } from './target.js';

export interface UpOptions extends TargetOptions {
  foreground?: boolean;
  /** False with --no-wait. */
  wait?: boolean;
}

/** What `up` and `reload` do before they touch anything: read the file, check it, and find the instance that it names. */
export async function prepare(
  file: string,
  options: TargetOptions,
): Promise<{ config: Config; target: Target; plan: Plan }> {
  const config = loadConfig(file);
  const target = await resolveTarget(options, config);
  return { config, target, plan: makePlan(config, target) };
}

/** Those that run without being asked: what `up` starts again where it was stopped. */
function startedByUp(plan: Plan): string[] {
  return plan.specs.filter((spec) => spec.start === 'auto' && spec.enabled).map((spec) => spec.name);
}

/** Status of the processes as it is before a definition changes. */
function snapshot(operator: NativeOperator): Map<string, NativeProcess> {
  return new Map(operator.status().map((process) => [process.name, process]));
}

function askForStart(operator: NativeOperator, plan: Plan, changes: Changes, before: Map<string, NativeProcess>): Asked[] {
  const isNew = new Set([...changes.added, ...changes.changed]);
  const starts = startedByUp(plan).map((name) => {
    const sequence = operator.request(name, 'start');
    return ask(before.get(name), name, isNew.has(name) ? 'define' : 'start', sequence);
  });
  return [...starts, ...changes.removed.map((name) => ask(before.get(name), name, 'remove', 0))];
}

/** Opens the instance, made where it is missing. One that is just being stopped is waited for: it would take no orders. */
async function openForUp(target: Target): Promise<NativeOperator> {
  for (;;) {
    const operator = new (native().Operator)(target.dir, true);
    if (!operator.instance().shuttingDown || !managerLives(operator)) return operator;
    await waitUntilGone(operator, target);
    operator.close();
  }
}

/** The one process becomes holdfastd; only an error comes back. */
function becomeDaemon(operator: NativeOperator, target: Target, plan: Plan): never {
  for (const name of startedByUp(plan)) {
    try {
      operator.request(name, 'start'); // what a manager of the past had been told to stop
    } catch (error) {
      if (nativeCode(error) !== 'ERR_HOLDFAST_EUNKNOWN') throw error; // no manager has seen it yet: it starts by itself
    }
  }
  operator.close();
  const env = Object.entries(foregroundEnvironment(process.env)).map(([key, value]) => `${key}=${value}`);
  return native().exec(daemonPath(), ['holdfastd', ...daemonArguments(target, '--foreground')], env, []);
}

/** Starts an instance, or brings it in line with its file. */
export async function up(file: string | undefined, options: UpOptions): Promise<void> {
  const { target, plan } = await prepare(file ?? DEFAULT_FILE, options);
  const operator = await openForUp(target);
  try {
    if (options.foreground && managerLives(operator)) {
      const { managerPid } = operator.instance();
      throw new CliError(
        EXIT.failed,
        `a manager (pid ${managerPid}) runs the instance "${target.instance}" already: "holdfast down" first, or leave --foreground out`,
      );
    }
    const before = snapshot(operator);
    const changes = applyPlan(operator, plan, target);
    if (options.foreground) becomeDaemon(operator, target, plan);
    await ensureManager(operator, target);
    if (!(await definitionsTakenIn(operator))) throw noManager(target.instance, target.dir);
    const asked = askForStart(operator, plan, changes, before);
    if (options.wait === false) return;
    const outcomes = await settle(operator, asked);
    if (outcomes === undefined)
      throw new CliError(EXIT.noManager, 'the manager ended before all was READY: see holdfastd.log');
    printOutcomes(outcomes);
    refuseFailures(outcomes);
  } finally {
    operator.close();
  }
}
