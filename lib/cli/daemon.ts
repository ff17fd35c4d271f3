import { inheritedEnvironment } from '../config/environment.js';
import { startDaemon } from '../manager/guardian.js';
import type { NativeOperator } from '../native.js';
import { CliError, EXIT } from './fail.js';
import { managerLives } from './session.js';
import type { Target } from './target.js';

const HELD = 'another manager holds the instance';

/** The arguments that make holdfastd the manager of an instance. */
export function daemonArguments(target: Target, ...more: string[]): string[] {
  return ['--dir', target.dir, '--instance', target.instance, ...more];
}

/** Starts holdfastd in a session of its own and waits until it has taken over; false where another manager was first. */
async function spawnDaemon(target: Target): Promise<boolean> {
  try {
    await startDaemon(daemonArguments(target), inheritedEnvironment(process.env));
    return true;
  } catch (cause) {
    const text = (cause as Error).message;
    if (text.includes(HELD)) return false;
    throw new CliError(EXIT.failed, text, { cause });
  }
}

const OTHER_READY_MS = 10_000;

/** Waits until the manager that another command started has announced itself. */
async function waitForOther(operator: NativeOperator, target: Target): Promise<void> {
  const until = performance.now() + OTHER_READY_MS;
  while (!managerLives(operator)) {
    const seen = operator.changes();
    const left = until - performance.now();
    if (left <= 0) {
      throw new CliError(
        EXIT.failed,
        `another process holds the lock in ${target.dir} but no manager appears: end it and try again`,
      );
    }
    await operator.wait(seen, Math.min(left, 100), true);
  }
}

/** Makes sure that a manager runs. True where this call started it. */
export async function ensureManager(operator: NativeOperator, target: Target): Promise<boolean> {
  if (managerLives(operator)) return false;
  if (await spawnDaemon(target)) return true;
  await waitForOther(operator, target);
  return false;
}
