import { existsSync } from 'node:fs';
import type { NativeOperator } from '../native.js';
import { ensureManager } from './daemon.js';
import { noManager } from './fail.js';
import { managerLives, openTarget } from './session.js';
import { resolveTarget, type Target, type TargetOptions } from './target.js';

export interface DownOptions extends TargetOptions {
  /** False with --no-wait. */
  wait?: boolean;
}

/** The last one out rings nobody: look again after this time. */
const LOOK_AGAIN_MS = 50;

/** Waits until manager and guardian have ended. */
export async function waitUntilGone(operator: NativeOperator, target: Target): Promise<void> {
  while (existsSync(target.dir) && managerLives(operator)) {
    await operator.wait(operator.changes(), LOOK_AGAIN_MS, true);
  }
}

/**
 * Stops every process of an instance, then its manager, and removes the directory. Where the manager is dead, one is started to
 * do it: it alone knows how to end what still lives.
 */
export async function down(options: DownOptions): Promise<void> {
  const target = await resolveTarget(options);
  const operator = openTarget(target);
  if (operator === undefined) throw noManager(target.instance, target.dir);
  try {
    await ensureManager(operator, target);
    operator.shutdown();
    if (options.wait !== false) await waitUntilGone(operator, target);
  } finally {
    operator.close();
  }
}
