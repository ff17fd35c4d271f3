/** native/preload.cjs: which process of a tree beats, and that the others hear nothing of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { nodes, run } from './alone.js';
import { logDir, look, manager, within } from './embedded.js';
import { fixture } from './stage.js';

const preload = join(import.meta.dirname, '../../native/preload.cjs');

beforeEach(() => writeFileSync(join(logDir, 'package.json'), '{ "type": "commonjs" }'));

/** A program that says whether the addon is in it. */
function teller(name: string): string {
  const file = join(logDir, name);
  writeFileSync(file, "console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes('holdfast.node'));");
  return file;
}

const gone = { HOLDFAST_ATTACH: '1:0:1:64=1.1:65=1.1:66=1.1', HOLDFAST_HEARTBEAT: '500' };

describe.each(nodes)('%s', (node) => {
  const loaded = { node, flags: ['--require', preload] };

  test('without a manager, or without a heartbeat, nothing is loaded', async () => {
    const nothing = { code: 0, stdout: 'false\n', stderr: '' };
    expect(await run(teller('a.cjs'), loaded)).toMatchObject(nothing);
    expect(await run(teller('a.cjs'), { ...loaded, env: { ...gone, HOLDFAST_HEARTBEAT: undefined } })).toMatchObject(
      nothing,
    );
  });

  test.each([
    'npm',
    'npm-cli.js',
    'npx',
    'npx-cli.js',
    'yarn',
    'yarn.js',
    'yarn-4.1.0.cjs',
    'pnpm',
    'pnpm.cjs',
    'corepack.js',
  ])('a package manager, %s, is let alone', async (name) => {
    expect(await run(teller(name), { ...loaded, env: gone })).toMatchObject({ code: 0, stdout: 'false\n', stderr: '' });
  });

  test('one of another name is found by what it says of itself', async () => {
    const file = teller('manager.cjs');
    const env = { ...gone, npm_execpath: file };
    expect(await run(file, { ...loaded, env })).toMatchObject({ code: 0, stdout: 'false\n', stderr: '' });
  });

  test('where attaching fails there is one line, and the program runs', async () => {
    const { code, stdout, stderr } = await run(teller('npm-watch.cjs'), { ...loaded, env: gone });
    expect([code, stdout]).toEqual([0, 'true\n']);
    expect(stderr).toMatch(/^holdfast: this process has no heartbeat: this process is not attached to a manager: .+\n$/);
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('a Worker announces itself', async () => {
    const file = join(logDir, 'workers.cjs');
    writeFileSync(
      file,
      `const { Worker } = require('node:worker_threads'); new Worker(${JSON.stringify(teller('a.cjs'))});`,
    );
    expect(await run(file, loaded)).toMatchObject({ code: 0, stdout: 'true\n', stderr: '' });
  });
});

describe('under a manager', () => {
  test('the program of a package manager beats, not the package manager', async () => {
    const npm = join(logDir, 'npm-cli.js');
    const child = `const { spawn } = require('node:child_process'); const child = spawn(process.execPath, [${JSON.stringify(fixture('idle.mjs'))}]);`;
    writeFileSync(
      npm,
      `${child} require('node:fs').writeFileSync(${JSON.stringify(join(logDir, 'pid'))}, String(child.pid));`,
    );
    await manager.define({ name: 'web', run: [npm], heartbeatMs: 500, ready: 'alive', aliveForMs: 100 });
    await manager.start();
    await manager.waitFor('web', 'READY', within);
    const pid = Number(readFileSync(join(logDir, 'pid'), 'utf8'));
    const { threads } = await look();
    expect(threads).toMatchObject([{ name: 'event-loop', tid: pid, periodMs: 500 }]);
    expect((await look()).pid).not.toBe(pid);
  });

  test('a program that monitors its loop itself, and ends that, keeps the heartbeat that was asked for', async () => {
    const file = join(logDir, 'both.mjs');
    writeFileSync(
      file,
      `import { monitorEventLoop, ready } from '${new URL('../../dist/index.js', import.meta.url)}';
      const end = monitorEventLoop(5); ready(); setTimeout(end, 300); setInterval(() => {}, 1000);`,
    );
    await manager.define({ name: 'web', run: [file], heartbeatMs: 700, ready: 'call' });
    await manager.start();
    await manager.waitFor('web', 'READY', within);
    expect((await look()).threads.map(({ periodMs }) => periodMs).sort()).toEqual([5000, 700]);
    for (;;) {
      const { threads } = await look();
      if (threads.length === 1) break;
    }
    expect((await look()).threads).toMatchObject([{ name: 'event-loop', periodMs: 700 }]);
  });
});
