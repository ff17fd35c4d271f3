/** `heartbeatMs` in definitions of an embedded Manager, with programs that know nothing of Holdfast. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { logDir, look, manager, within } from './embedded.js';
import { fixture, until } from './stage.js';

test('a hang is told with thread and place, and the next incarnation beats', async () => {
  await manager.start();
  const failures: (string | null)[] = [];
  manager.on('failure', ({ cause, detail }) => failures.push(cause, detail));
  await manager.define({ name: 'web', run: [fixture('spin-once.mjs'), join(logDir, 'once')], heartbeatMs: 300 });
  await until('a failure', () => failures.length > 0);
  await manager.waitFor('web', 'READY', within);
  const { incarnation, threads, lastFailure } = await look();
  expect(incarnation).toBe(2);
  expect(lastFailure).toMatchObject({
    cause: 'hang',
    thread: 'event-loop',
    where: expect.stringMatching(/^spin \(spin-once\.mjs:5:\d+\)$/),
    report: 'reports/web.1.txt',
  });
  expect(failures).toEqual(['hang', lastFailure?.brief]);
  expect(threads).toMatchObject([{ name: 'event-loop', periodMs: 300, grace: 1 }]);
});

test('a start that hangs is rejected in few words', async () => {
  await manager.start();
  const define = { run: [fixture('spin-once.mjs'), join(logDir, 'once')], ready: 'call', start: 'on-demand' } as const;
  await manager.define({ name: 'web', ...define, heartbeatMs: 300 });
  await expect(manager.startProcess('web')).rejects.toThrow(
    /^web failed to start: event-loop silent for [\d.]+ m?s in spin \(spin-once\.mjs:5:\d+\)$/,
  );
});

test('a process that embeds a Manager does not hand its own heartbeat on', async () => {
  await manager.start();
  await manager.define({
    name: 'web',
    run: [fixture('embed-two.mjs'), join(logDir, 'told')],
    heartbeatMs: 300,
    ready: 'alive',
  });
  await manager.waitFor('web', 'READY', within);
  const file = join(logDir, 'told');
  await until('both have told', () => existsSync(file) && readFileSync(file, 'utf8').endsWith('done\n'));
  const told = readFileSync(file, 'utf8');
  expect(told.split('\n')).toEqual([
    'plain: none',
    expect.stringMatching(/^beats: --require ".*preload\.cjs"$/),
    'done',
    '',
  ]);
});
