import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Manager } from '../../lib/index.js';
import { fixture, until } from './stage.js';

const run = promisify(execFile);
const dist = join(import.meta.dirname, '..', '..', 'dist', 'index.js');

/** Runs a program that no manager started, and gives what it prints. */
async function alone(script: string, env: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const text = `
    import * as holdfast from ${JSON.stringify(dist)};
    import { Worker } from 'node:worker_threads';
    const attempt = (call) => { try { return call() ?? 'done'; } catch (error) { return error.name + ' ' + error.code + ' ' + error.message; } };
    ${script}`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', text], {
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout);
}

describe('non-daemon mode: a program that no manager started', () => {
  test('is called node until it is renamed, and walks to READY', async () => {
    expect(
      await alone(`
        const { getProcessName, setProcessName, getProcessState, ready } = holdfast;
        const facts = [getProcessName(), getProcessState('node')];
        setProcessName('edge.1-a_b');
        facts.push(getProcessName(), getProcessState('edge.1-a_b'));
        ready();
        ready();
        facts.push(getProcessState('edge.1-a_b'));
        console.log(JSON.stringify(facts));`),
    ).toEqual(['node', 'BOOTING', 'edge.1-a_b', 'BOOTING', 'READY']);
  });

  test('a bad name is a ValueError with the documented sentence, and changes nothing', async () => {
    const sentence = (name: string) =>
      `ValueError ERR_HOLDFAST_VALUE Process name ${name} is invalid. Process names must begin with a letter, contain only alphanumeric, "_", "-" and "." characters, and be less than 32 characters long.`;
    expect(
      await alone(`
        const bad = ['', '9a', 'a b', 'a/b', 'ä', 'a'.repeat(32), 5];
        const facts = bad.map((name) => attempt(() => holdfast.setProcessName(name)));
        holdfast.setProcessName('a'.repeat(31));
        console.log(JSON.stringify([...facts, holdfast.getProcessName()]));`),
    ).toEqual([...['', '9a', 'a b', 'a/b', 'ä', 'a'.repeat(32), '5'].map(sentence), 'a'.repeat(31)]);
  });

  test('an unknown process is an ExosError that names the known one', async () => {
    const text =
      'ExosError ERR_HOLDFAST_UNKNOWN_PROCESS there is no process "db" (no manager started this program): known: node';
    expect(
      await alone(`console.log(JSON.stringify([
        attempt(() => holdfast.getProcessState('db')),
        attempt(() => holdfast.waitForStateSync('db', 'READY', 1000)),
        attempt(() => holdfast.getProcessState(5)),
        attempt(() => holdfast.waitForStateSync('node', 'ready', 1)),
        attempt(() => holdfast.waitForStateSync('node', 'READY', -1)),
        attempt(() => holdfast.waitForStateSync('node', 'READY')),
      ]));`),
    ).toEqual([
      text,
      text,
      'ValueError ERR_HOLDFAST_VALUE the name of a process must be a string, and is 5: give its name',
      "ValueError ERR_HOLDFAST_VALUE state must be a process state, and is 'ready': use one of FAIL, STOPPED, STARTED, BOOTING, LOADCFG, READY",
      'ValueError ERR_HOLDFAST_VALUE timeoutMs must be a number of milliseconds of 0 or more, and is -1: write one such as 5000',
      'ValueError ERR_HOLDFAST_VALUE timeoutMs must be a number of milliseconds of 0 or more, and is undefined: write one such as 5000',
    ]);
  });

  test('its main thread waiting for itself is a deadlock, unless the state is there already', async () => {
    const facts = (await alone(`console.log(JSON.stringify([
        holdfast.waitForStateSync('node', 'BOOTING', 0),
        attempt(() => holdfast.waitForStateSync('node', 'READY', Infinity)),
      ]));`)) as unknown[];
    expect(facts[0]).toBe(true);
    expect(facts[1]).toMatch(
      /^DeadlockDetectedError ERR_HOLDFAST_DEADLOCK waiting for node to become READY could never end/,
    );
  });

  test('a Worker shares its name and state, and can wait for them', async () => {
    expect(
      await alone(`
        const code = \`
          import('node:worker_threads').then(async ({ parentPort }) => {
            const holdfast = await import(${JSON.stringify(dist)});
            const tooShort = holdfast.waitForStateSync('shop', 'READY', 1);
            parentPort.postMessage('waiting');
            const seen = holdfast.waitForStateSync('shop', 'READY', 20_000);
            parentPort.postMessage([holdfast.getProcessName(), tooShort, seen, holdfast.getProcessState('shop')]);
          });\`;
        holdfast.setProcessName('shop');
        const worker = new Worker(code, { eval: true });
        worker.once('message', () => {
          holdfast.ready();
          worker.once('message', (facts) => console.log(JSON.stringify(facts)));
        });`),
    ).toEqual(['shop', false, true, 'READY']);
  });

  test('importing leaves no handle, and loads no addon', async () => {
    const facts = await alone(`
      const resources = process.getActiveResourcesInfo().filter((name) => !/TTY|Pipe|Req/.test(name));
      const maps = (await import('node:fs')).readFileSync('/proc/self/maps', 'utf8');
      console.log(JSON.stringify([resources, maps.includes('holdfast.node')]));`);
    expect(facts).toEqual([[], false]);
  });

  test('an environment that names a manager that is gone: importing is silent, a call says why', async () => {
    const facts = await alone(`console.log(JSON.stringify(attempt(() => holdfast.ready())));`, {
      HOLDFAST_ATTACH: '1:0:1:64=1.1:65=1.1:66=1.1',
      HOLDFAST_DIR: '/dev/shm/holdfast-none',
    });
    expect(facts).toMatch(/^ExosError ERR_HOLDFAST_NOTATTACHED this process is not attached to a manager: /);
  });
});

describe('daemon mode: a process that a manager started', () => {
  let folder: string;
  let manager: Manager;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-process-'));
    manager = new Manager({ logDir: folder });
  });
  afterEach(async () => {
    await manager.stop();
    rmSync(folder, { recursive: true });
  });

  test('has the name of its definition, and sees itself and its peers', async () => {
    const file = join(folder, 'facts.json');
    await manager.define({ name: 'peer', run: [fixture('ready-then-serve.mjs')], ready: 'call', start: 'on-demand' });
    const env = { HOLDFAST_SYSNAME: 'edge-7' };
    await manager.define({ name: 'teller', run: [fixture('tell-self.mjs'), file, 'peer'], ready: 'call', env });
    await manager.start();
    await manager.waitFor('teller', 'BOOTING', { timeoutMs: 10_000 });
    await manager.startProcess('peer');
    await manager.waitFor('teller', 'READY', { timeoutMs: 10_000 });
    await until('the facts', () => existsSync(file) && readFileSync(file, 'utf8').endsWith('}'));
    const facts = JSON.parse(readFileSync(file, 'utf8'));
    expect(facts).toMatchObject({
      pid: (await manager.status()).processes.find(({ name }) => name === 'teller')?.pid,
      name: 'teller',
      atImport: 'BOOTING',
      renamed: 'done',
      peerReady: true,
      peerFails: false,
      atEnd: 'READY',
      sysname: 'edge-7',
    });
    expect(facts.asleep).toMatch(/^ERR_HOLDFAST_DEADLOCK waiting for teller to become READY could never end/);
    expect(facts.peerState).toMatch(/^(STOPPED|STARTED|BOOTING|LOADCFG|READY)$/);
    expect(facts.unknown).toMatch(/^ERR_HOLDFAST_UNKNOWN_PROCESS there is no process "nobody": known: /);
    expect(facts.unknown).toMatch(/peer, teller|teller, peer/);
  });

  test('ready walks through every state, and observers see each', async () => {
    await manager.start();
    const events = manager.events();
    await manager.define({ name: 'web', run: [fixture('ready-then-serve.mjs')], ready: 'call' });
    const seen: string[] = [];
    for await (const { type, to } of events) {
      if (type === 'state' && to !== null) seen.push(to);
      if (to === 'READY') break;
    }
    expect(seen).toEqual(['STARTED', 'BOOTING', 'LOADCFG', 'READY']);
  });

  test('importing alone makes it BOOTING, and ready: call waits for more', async () => {
    await manager.define({
      name: 'web',
      run: [fixture('import-only.mjs')],
      ready: 'call',
      startTimeoutMs: 1000,
      restart: 'never',
    });
    await manager.start();
    await manager.waitFor('web', 'BOOTING', { timeoutMs: 10_000 });
    await manager.waitFor('web', 'FAIL', { timeoutMs: 10_000 });
    expect((await manager.status()).processes[0]?.lastFailure).toMatchObject({ cause: 'startTimeout', phase: 'BOOTING' });
  });

  test('a descendant attaches by an explicit call', async () => {
    await manager.define({ name: 'npm', run: [fixture('ready-in-child.mjs')], ready: 'call' });
    await manager.start();
    await manager.waitFor('npm', 'READY', { timeoutMs: 10_000 });
  });

  test('the system name is else the host name', async () => {
    const file = join(folder, 'facts.json');
    await manager.define({ name: 'teller', run: [fixture('tell-self.mjs'), file, 'teller'], ready: 'call' });
    await manager.start();
    await manager.waitFor('teller', 'READY', { timeoutMs: 10_000 });
    await until('the facts', () => existsSync(file) && readFileSync(file, 'utf8').endsWith('}'));
    expect(JSON.parse(readFileSync(file, 'utf8')).sysname).toBe(process.env.HOLDFAST_SYSNAME ?? hostname());
  });
});
