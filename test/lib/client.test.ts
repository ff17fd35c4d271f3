import { mkdirSync, rmSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { connect, type HoldfastEvent } from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { asleep, look, manager, pidOf, within } from './embedded.js';
import { isRunning, until } from './stage.js';

describe('watching', () => {
  beforeEach(() => manager.start());

  test('waitFor sees a state that has passed, and times out with what is now', async () => {
    await manager.define({ name: 'web', ...asleep });
    await manager.waitFor('web', 'READY', within);
    const failed = manager.waitFor('web', 'FAIL', within);
    const pid = await pidOf();
    process.kill(pid, 'SIGABRT');
    await failed;
    await manager.waitFor('web', 'READY', within);
    expect(await look()).toMatchObject({ restarts: 1, lastFailure: { cause: 'crash', signal: 'SIGABRT', phase: 'READY' } });
    await expect(manager.waitFor('web', 'LOADCFG', { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_TIMEOUT',
      message: 'web did not become LOADCFG within 20 ms, and is READY: look at its log, or wait longer',
    });
    await expect(manager.waitFor('web', 'ready' as never)).rejects.toMatchObject({ code: 'ERR_HOLDFAST_VALUE' });
    await expect(manager.waitFor('web', 'READY', { timeoutMs: -1 })).rejects.toMatchObject({ code: 'ERR_HOLDFAST_VALUE' });
  });

  test('listeners hear moves, failures and restarts, until they are taken off', async () => {
    const heard: Record<string, HoldfastEvent[]> = { state: [], failure: [], restart: [] };
    const keep = (event: HoldfastEvent) => heard.state?.push(event);
    manager.on('state', keep);
    manager.on('failure', (event) => heard.failure?.push(event));
    manager.on('restart', (event) => heard.restart?.push(event));
    await manager.define({ name: 'web', ...asleep });
    await manager.waitFor('web', 'READY', within);
    process.kill(await pidOf(), 'SIGKILL');
    await until('the restart', () => heard.restart?.length === 1);
    await manager.waitFor('web', 'READY', within);
    await until('the last move', () => heard.state?.at(-1)?.to === 'READY');
    expect(heard.state?.map(({ from, to }) => `${from} ${to}`)).toEqual([
      'STOPPED STARTED',
      'STARTED READY',
      'READY FAIL',
      'FAIL STARTED',
      'STARTED READY',
    ]);
    expect(heard.failure).toEqual([
      expect.objectContaining({
        type: 'state',
        name: 'web',
        cause: 'crash',
        signal: 'SIGKILL',
        exitCode: null,
        incarnation: 1,
      }),
    ]);
    manager.off('state', keep);
    await manager.stopProcess('web');
    await manager.startProcess('web');
    expect(heard.state).toHaveLength(5);
    expect(() => manager.on('exit' as never, () => {})).toThrow('listen to one of state, failure, restart');
  });

  test('events are one stream, in order, also those before', async () => {
    await manager.define({ name: 'web', ...asleep });
    await manager.waitFor('web', 'READY', within);
    const seen: HoldfastEvent[] = [];
    for await (const event of manager.events({ history: true })) {
      seen.push(event);
      if (event.to === 'READY') break;
    }
    expect(seen.map(({ type }) => type)).toContain('manager');
    expect(seen.map(({ sequence }) => sequence)).toEqual([...seen.keys()].map((at) => at + (seen[0]?.sequence ?? 0)));
    expect(seen.at(-1)).toMatchObject({
      name: 'web',
      from: 'STARTED',
      to: 'READY',
      cause: null,
      exitCode: null,
      signal: null,
    });
  });

  test('a stream ends with its manager', async () => {
    const stream = manager.events();
    const end = stream.next();
    await manager.stop();
    let last = await end;
    while (!last.done) last = await stream.next();
    expect(last.done).toBe(true);
  });

  test('waiting goes on over the death of a manager', async () => {
    await manager.define({ name: 'web', ...asleep });
    await manager.waitFor('web', 'READY', within);
    const { manager: before } = await manager.status();
    const pid = await pidOf();
    const stopped = manager.waitFor('web', 'STOPPED', within);
    process.kill(before.pid ?? 0, 'SIGKILL');
    await manager.stopProcess('web');
    await stopped;
    const { manager: after } = await manager.status();
    expect(after.pid).not.toBe(before.pid);
    expect(after.restarts).toBe(1);
    expect(isRunning(pid)).toBe(false);
  });
});

describe('connect', () => {
  test('finds nobody', async () => {
    const dir = `/dev/shm/holdfast-none.${process.pid}`;
    const nobody = { code: 'ERR_HOLDFAST_NO_MANAGER', message: `no manager runs in ${dir}: start one with "holdfast up"` };
    await expect(connect({ dir })).rejects.toMatchObject(nobody);
    mkdirSync(dir, { mode: 0o700 });
    new (native().Operator)(dir, true).close();
    await expect(connect({ dir })).rejects.toMatchObject(nobody);
    rmSync(dir, { recursive: true });
    await expect(connect({ dir: '/etc/hosts' })).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_HOLDFAST_/) });
  });

  test('gives the same interface on a running instance', async () => {
    await manager.start();
    const client = await connect({ dir: manager.dir });
    expect([client.instance, client.dir]).toEqual(['shop', manager.dir]);
    await client.define({ name: 'web', ...asleep, log: { keep: 1 } });
    await client.waitFor('web', 'READY', within);
    expect((await client.status()).processes[0]?.pid).toBe(await pidOf());
    const pending = client.waitFor('web', 'FAIL');
    client.close();
    client.close();
    const closed = { code: 'ERR_HOLDFAST_SHUTDOWN', message: 'the client is closed: open another one with connect()' };
    await expect(pending).rejects.toMatchObject(closed);
    await expect(client.status()).rejects.toMatchObject(closed);
    await expect(client.define({ name: 'web', ...asleep })).rejects.toMatchObject(closed);
    await expect(client.startProcess('web')).rejects.toMatchObject(closed);
    await expect(client.shutdown()).rejects.toMatchObject(closed);
    expect(() => client.events()).toThrow(expect.objectContaining(closed));
    expect((await look()).state).toBe('READY');
    await manager.remove('web');
  });

  test('what is pending when the instance ends is rejected', async () => {
    await manager.define({ name: 'web', ...asleep });
    await manager.start();
    const other = await connect({ dir: manager.dir });
    const pending = expect(other.waitFor('web', 'FAIL')).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NO_MANAGER' });
    await manager.stop();
    await pending;
    other.close();
  });
});
