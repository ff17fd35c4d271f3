/** A fresh embedded manager before each test of a file that imports this, and none after it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { Manager } from '../../lib/index.js';

export const asleep = { run: ['sleep', '1000'], ready: 'alive', aliveForMs: 10 } as const;
export const within = { timeoutMs: 10_000 };

export let logDir: string;
export let manager: Manager;
beforeEach(() => {
  logDir = mkdtempSync(join(tmpdir(), 'holdfast-manager-'));
  manager = new Manager({ instance: 'shop', logDir });
});
afterEach(async () => {
  await manager.stop();
  rmSync(logDir, { recursive: true });
});

/** The one process, or the one of that name. */
export async function look(name = 'web') {
  const found = (await manager.status()).processes.find((process) => process.name === name);
  if (found === undefined) throw new Error(`${name} is not there`);
  return found;
}

export async function pidOf(name = 'web'): Promise<number> {
  return (await look(name)).pid ?? 0;
}
