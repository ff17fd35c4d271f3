import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { Manager } from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { asleep, logDir, look, manager, pidOf, within } from './embedded.js';
import { isRunning, until } from './stage.js';

describe('its life', () => {
  test('runs what was defined before and after start, and leaves nothing behind', async () => {
    await manager.define({ name: 'early', ...asleep });
    await manager.start();
    await manager.define({ name: 'late', ...asleep });
    for (const name of ['early', 'late']) await manager.waitFor(name, 'READY', within);
    const { dir, manager: daemon, processes } = await manager.status();
    const pids = [daemon.pid ?? 0, ...processes.map(({ pid }) => pid ?? 0)];
    expect(pids.every(isRunning)).toBe(true);
    expect(dir).toBe(manager.dir);
    await manager.stop();
    expect(pids.some(isRunning)).toBe(false);
    expect(existsSync(dir)).toBe(false);
  });

  test('status has the documented shape', async () => {
    await manager.define({ name: 'web', ...asleep });
    await manager.define({ name: 'idle', run: 'true', start: 'on-demand' });
    await manager.start();
    await manager.waitFor('web', 'READY', within);
    const status = await manager.status();
    expect(Object.keys(status)).toEqual(['instance', 'dir', 'manager', 'processes']);
    expect(status.instance).toBe('shop');
    expect(status.manager).toEqual({ pid: expect.any(Number), uptimeMs: expect.any(Number), restarts: 0 });
    expect(await look('web')).toEqual({
      name: 'web',
      state: 'READY',
      pid: expect.any(Number),
      incarnation: 1,
      uptimeMs: expect.any(Number),
      restarts: 0,
      wanted: 'run',
      enabled: true,
      waitingFor: null,
      limited: false,
      cpuPercent: expect.any(Number),
      memoryBytes: expect.any(Number),
      threads: [],
      statusText: null,
      lastFailure: null,
    });
    expect(await look('idle')).toMatchObject({
      state: 'STOPPED',
      pid: null,
      uptimeMs: null,
      wanted: 'stop',
      cpuPercent: null,
      memoryBytes: null,
    });
  });

  test('before start, and after stop, calls say what to do', async () => {
    const before = { code: 'ERR_HOLDFAST_NO_MANAGER', message: 'this Manager is not started: await start() first' };
    const after = { code: 'ERR_HOLDFAST_SHUTDOWN', message: 'this Manager has been stopped: make a new one' };
    const calls = [
      () => manager.remove('web'),
      () => manager.startProcess('web'),
      () => manager.stopProcess('web'),
      () => manager.restartProcess('web'),
      () => manager.status(),
      () => manager.waitFor('web', 'READY'),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject(before);
    await manager.stop();
    for (const call of calls) await expect(call()).rejects.toMatchObject(after);
    await expect(manager.define({ name: 'web', ...asleep })).rejects.toMatchObject(after);
    await expect(manager.start()).rejects.toMatchObject(after);
    expect(() => manager.on('state', () => {})).toThrow(expect.objectContaining(after));
  });

  test('a bad name or directory is refused in a sentence', () => {
    expect(() => new Manager({ instance: 'a b' })).toThrow(
      /^instance must begin with a letter, .* and is 'a b': rename it$/,
    );
    const elsewhere = new Manager({ dir: `/dev/shm/${'a'.repeat(80)}` });
    expect(() => elsewhere.dir).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_VALUE' }));
  });

  test('what a dead owner left is swept by the next, what a living one has is not', () => {
    const base = `/dev/shm/holdfast-${process.geteuid?.()}`;
    const left = join(base, 'embed.4194303.5.1');
    const mine = join(base, `embed.${process.pid}.${native().startTime(process.pid)}.77`);
    for (const dir of [left, mine]) new (native().Operator)(dir, true).close();
    expect(existsSync(manager.dir)).toBe(true);
    expect([left, mine].map((dir) => existsSync(dir))).toEqual([false, true]);
    rmSync(mine, { recursive: true });
  });

  test('stop ends the processes even after guardian and manager were both killed', async () => {
    await manager.define({ name: 'web', ...asleep });
    await manager.start();
    await manager.waitFor('web', 'READY', within);
    const pid = await pidOf();
    const { dir } = manager;
    const operator = new (native().Operator)(dir, false);
    const { guardianPid, managerPid } = operator.instance();
    operator.close();
    // A guardian that is stopped starts no manager meanwhile.
    for (const [victim, signal] of [
      [guardianPid, 'SIGSTOP'],
      [managerPid, 'SIGKILL'],
      [guardianPid, 'SIGKILL'],
    ] as const) {
      process.kill(victim, signal);
    }
    await until('both are gone', () => !isRunning(guardianPid) && !isRunning(managerPid));
    expect(isRunning(pid)).toBe(true);
    await manager.stop();
    expect(isRunning(pid)).toBe(false);
    expect(existsSync(dir)).toBe(false);
  });

  test('a second manager on one directory is refused', async () => {
    await manager.start();
    const second = new Manager({ dir: manager.dir, logDir });
    await expect(second.start()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NO_MANAGER', message: /another manager/ });
    await second.stop();
    expect((await manager.status()).manager.pid).not.toBeNull();
  });
});

describe('requests', () => {
  beforeEach(() => manager.start());

  test('start, restart and stop settle when it is so', async () => {
    await manager.define({ name: 'web', ...asleep, start: 'on-demand' });
    expect((await look()).state).toBe('STOPPED');
    await manager.startProcess('web');
    const first = await look();
    expect(first.state).toBe('READY');
    await manager.startProcess('web');
    expect((await look()).pid).toBe(first.pid);
    await manager.restartProcess('web');
    expect(await look()).toMatchObject({ state: 'READY', incarnation: 2 });
    expect(isRunning(first.pid ?? 0)).toBe(false);
    const second = await pidOf();
    await manager.stopProcess('web');
    expect(await look()).toMatchObject({ state: 'STOPPED', pid: null, wanted: 'stop' });
    expect(isRunning(second)).toBe(false);
    await manager.remove('web');
    expect((await manager.status()).processes).toEqual([]);
  });

  test('stop with force does not wait for the grace', async () => {
    await manager.define({
      name: 'web',
      run: ['sh', '-c', "trap '' TERM; while :; do sleep 0.05; done"],
      ready: 'alive',
      aliveForMs: 50,
    });
    await manager.waitFor('web', 'READY', within);
    const begin = performance.now();
    await manager.stopProcess('web', { force: true });
    expect(performance.now() - begin).toBeLessThan(5000);
  });

  test('a start that fails is rejected with what happened', async () => {
    await manager.define({ name: 'missing', run: '/none/program', start: 'on-demand' });
    await manager.define({ name: 'exits', run: ['sh', '-c', 'exit 3'], start: 'on-demand' });
    await expect(manager.startProcess('missing')).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_FAILED',
      message: 'missing failed to start: could not be executed: No such file or directory',
    });
    expect((await look('missing')).lastFailure).toMatchObject({ cause: 'spawn', errno: 'ENOENT' });
    await expect(manager.startProcess('exits')).rejects.toThrow(/^exits failed to start: exited with code 3 after /);
    expect((await look('exits')).lastFailure).toMatchObject({ cause: 'exit', exitCode: 3, signal: null });
    expect((await look('exits')).lastFailure).not.toHaveProperty('errno');
  });

  test('an on-demand program that ended well has been started', async () => {
    await manager.define({ name: 'job', run: ['true'], start: 'on-demand' });
    await manager.startProcess('job');
    expect((await look('job')).state).toBe('STOPPED');
  });

  test('what is not enabled, or waits for what is stopped, says so', async () => {
    await manager.define({ name: 'off', ...asleep, enabled: false });
    await expect(manager.startProcess('off')).rejects.toMatchObject({ code: 'ERR_HOLDFAST_DISABLED' });
    await manager.define({ name: 'db', ...asleep, start: 'on-demand' });
    await manager.define({ name: 'web', ...asleep, dependsOn: 'db' });
    await expect(manager.startProcess('web')).rejects.toThrow('web waits for db, which is stopped: start db first');
    await manager.startProcess('db');
    await manager.waitFor('web', 'READY', within);
  });

  test('an unknown process is named, with the known ones', async () => {
    await manager.define({ name: 'web', ...asleep });
    for (const call of [
      () => manager.startProcess('nobody'),
      () => manager.remove('nobody'),
      () => manager.waitFor('nobody', 'READY'),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'ERR_HOLDFAST_UNKNOWN_PROCESS',
        message: "there is no process 'nobody': known: web",
      });
    }
  });

  test('a bad definition is refused, and changes nothing', async () => {
    await expect(manager.define({ name: 'web', run: 'true', restart: 'maybe' as never })).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_VALUE',
    });
    await manager.define({ name: 'a', ...asleep, dependsOn: 'b' });
    await expect(manager.define({ name: 'b', ...asleep, dependsOn: 'a' })).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_VALUE',
    });
    expect((await manager.status()).processes.map(({ name }) => name)).toEqual(['a']);
  });

  test('instances come and go with their definition', async () => {
    const names = async () => (await manager.status()).processes.map(({ name }) => name).sort();
    await manager.define({ name: 'web', ...asleep, instances: 3 });
    await manager.define({ name: 'after', ...asleep, dependsOn: 'web' });
    await manager.startProcess('web');
    await manager.waitFor('after', 'READY', within);
    expect(await names()).toEqual(['after', 'web.1', 'web.2', 'web.3']);
    await manager.define({ name: 'web', ...asleep, instances: 2 });
    await until('web.3 is gone', () => !readSpecs().includes('web.3'));
    await manager.stopProcess('web');
    expect([(await look('web.1')).state, (await look('web.2')).state]).toEqual(['STOPPED', 'STOPPED']);
    await manager.remove('web');
    expect(await names()).toEqual(['after']);
  });

  function readSpecs(): string[] {
    const operator = new (native().Operator)(manager.dir, false);
    try {
      return operator.status().map(({ name }) => name);
    } finally {
      operator.close();
    }
  }

  test('output goes to the log of the process', async () => {
    await manager.define({ name: 'talk', run: ['sh', '-c', 'echo out; echo err >&2'], start: 'on-demand' });
    await manager.startProcess('talk');
    const file = join(logDir, 'talk.log');
    await until('the log', () => existsSync(file) && readFileSync(file, 'utf8') === 'out\nerr\n');
  });
});
