import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import { connect } from '../../lib/index.js';
import { childrenOf, fixture, isRunning, until } from './stage.js';

const within = { timeoutMs: 10_000 };

describe('the owner', () => {
  let child: ChildProcess;
  let facts: { dir: string; manager: number; tree: number };
  let leaf: number;

  afterEach(() => child.kill('SIGKILL'));

  async function embed(how: string): Promise<void> {
    child = spawn(process.execPath, [fixture('embed-then-idle.mjs'), how], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line');
    facts = JSON.parse(line);
    if (isRunning(facts.tree)) [leaf = 0] = childrenOf(facts.tree);
  }

  async function allGone(): Promise<void> {
    await until('the tree is gone', () => ![facts.tree, leaf, facts.manager].some(isRunning));
    await until('the directory is gone', () => !existsSync(facts.dir));
  }

  test('a blocked event loop delays no recovery', async () => {
    await embed('block');
    const client = await connect({ dir: facts.dir });
    const failed = client.waitFor('tree', 'FAIL', within);
    process.kill(facts.tree, 'SIGKILL');
    await failed;
    await client.waitFor('tree', 'READY', within);
    expect((await client.status()).processes[0]).toMatchObject({ restarts: 1, state: 'READY' });
    client.close();
    child.kill('SIGKILL');
    await allGone();
  });

  test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('killed by %s: what it started ends with it', async (signal) => {
    await embed('block');
    expect(isRunning(leaf)).toBe(true);
    child.kill(signal);
    await once(child, 'exit');
    await allGone();
  });

  test('a Manager keeps no event loop alive', async () => {
    await embed('leave');
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
    await allGone();
  });
});
