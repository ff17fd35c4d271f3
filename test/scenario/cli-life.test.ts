/** The command line against a real holdfastd: what is left behind, what is waited for, what a reload restarts. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { daemonPath } from '../../lib/native.js';
import { lives, Stage } from './cli-stage.js';

const SLEEPS = 'run: sleep 1000, ready: alive, aliveFor: 20ms';

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.dispose());

function exe(pid: number): string {
  return readlinkSync(`/proc/${pid}/exe`);
}

/** Living processes that have the directory of the stage in their environment or arguments. */
function processesOfStage(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`).includes(stage.dir)) && lives(pid);
      } catch {
        return false; // it ended meanwhile
      }
    });
}

describe('up', () => {
  test('leaves holdfastd and the processes behind, and no Node', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}, instances: 2}\n`);
    const table = await stage.ok('up');
    expect(table).toMatch(/^NAME +STATE +PID\nweb\.1 +READY +\d+\nweb\.2 +READY +\d+\n$/);
    const { managerPid, guardianPid } = stage.instance();
    expect([exe(managerPid), exe(guardianPid)]).toEqual([daemonPath(), daemonPath()]);
    const pids = [managerPid, guardianPid, await stage.pid('web.1'), await stage.pid('web.2')];
    expect(processesOfStage().sort()).toEqual(pids.sort());
  });

  test('returns when all are READY, in the order of their dependencies', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}, dependsOn: db}\n  db: {run: sleep 1000, ready: alive, aliveFor: 300ms}\n`);
    await stage.ok('up');
    const { processes } = await stage.status();
    expect(processes.map((one) => one.state)).toEqual(['READY', 'READY']);
    const events = await stage.ok('events');
    expect(events.indexOf('db  STARTED → ')).toBeGreaterThan(0);
    expect(events.indexOf('web  STOPPED → STARTED')).toBeGreaterThan(events.indexOf('→ READY'));
  });

  test('two at once: both end well, and there is one manager', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}}\n`);
    const results = await Promise.all([stage.run('up'), stage.run('up'), stage.run('up')]);
    expect(results.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
      [0, ''],
    ]);
    expect(processesOfStage()).toHaveLength(3);
  });

  test('after both managers were killed: takes over what lives', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}}\n`);
    await stage.ok('up');
    const pid = await stage.pid('web');
    await stage.killManagers();
    expect((await stage.run('status')).code).toBe(4);
    await stage.ok('up');
    expect(await stage.pid('web')).toBe(pid);
  });

  test('--foreground: the very process becomes holdfastd; SIGTERM ends all', async () => {
    stage.write(`processes:\n  web: {run: [sh, -c, "echo hello; exec sleep 1000"], ready: alive, aliveFor: 20ms}\n`);
    const foreground = stage.start('up', '--foreground');
    await foreground.prints(/hello\n/);
    const pid = foreground.child.pid ?? 0;
    expect(exe(pid)).toBe(daemonPath());
    expect(stage.instance().guardianPid).toBe(pid);
    const web = await stage.pid('web');
    const { code } = await foreground.end('SIGTERM');
    expect(code).toBe(0);
    expect(lives(web)).toBe(false);
    expect(existsSync(stage.dir)).toBe(false);
  });
});

describe('down', () => {
  test('stops all, removes the directory, keeps the logs', async () => {
    stage.write('processes:\n  web: {run: [sh, -c, "echo hello; exec sleep 1000"], ready: alive, aliveFor: 20ms}\n');
    await stage.ok('up');
    const { managerPid, guardianPid } = stage.instance();
    const web = await stage.pid('web');
    await stage.ok('down');
    expect([managerPid, guardianPid, web].filter(lives)).toEqual([]);
    expect(existsSync(stage.dir)).toBe(false);
    expect(await stage.ok('logs', 'web')).toBe('hello\n');
  });

  test('with dead managers: ends what still lives', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}}\n`);
    await stage.ok('up');
    const web = await stage.pid('web');
    await stage.killManagers();
    expect(lives(web)).toBe(true);
    await stage.ok('down');
    expect(lives(web)).toBe(false);
    expect(existsSync(stage.dir)).toBe(false);
  });
});

describe('reload', () => {
  test('restarts what changed, and nothing else', async () => {
    stage.write(`processes:\n  a: {${SLEEPS}}\n  b: {${SLEEPS}}\n  c: {${SLEEPS}}\n`);
    await stage.ok('up');
    const before = { a: await stage.pid('a'), b: await stage.pid('b'), c: await stage.pid('c') };
    stage.write(`processes:\n  a: {${SLEEPS}, stopTimeout: 3s}\n  b: {${SLEEPS}, env: {A: 1}}\n  d: {${SLEEPS}}\n`);
    expect(await stage.ok('reload')).toMatch(/^added: d\nchanged: a, b\nremoved: c\nNAME/);
    expect(await stage.pid('a')).toBe(before.a);
    expect(await stage.pid('b')).not.toBe(before.b);
    expect(lives(before.c)).toBe(false);
    expect((await stage.status()).processes.map((one) => [one.name, one.state]).sort()).toEqual([
      ['a', 'READY'],
      ['b', 'READY'],
      ['d', 'READY'],
    ]);
  });

  test('a shell with another working directory changes nothing', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}}\n`);
    await stage.ok('up');
    const pid = await stage.pid('web');
    stage.env = { ...stage.env, PWD: '/elsewhere', OLDPWD: '/x', SHLVL: '7', npm_config_x: 'y' };
    expect(await stage.ok('reload')).toBe('unchanged: web\n');
    expect(await stage.pid('web')).toBe(pid);
  });

  test('a stop survives it; up starts again', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}, instances: 2}\n`);
    await stage.ok('up');
    await stage.ok('stop', 'web.2');
    await stage.ok('reload');
    expect(await stage.process('web.2')).toMatchObject({ state: 'STOPPED', wanted: 'stop', pid: null });
    await stage.ok('up');
    expect(await stage.process('web.2')).toMatchObject({ state: 'READY', wanted: 'run' });
  });
});

describe('one process', () => {
  test('killed: status and events say why, and it is back', async () => {
    stage.write(`processes:\n  web: {${SLEEPS}}\n`);
    await stage.ok('up');
    const follow = stage.start('events', '-f');
    const first = await stage.pid('web');
    process.kill(first, 'SIGKILL');
    await follow.prints(/web {2}READY → FAIL {2}killed by SIGKILL after .*\n(.*\n)*.*web {2}\w+ → READY/);
    await follow.end();
    const again = await stage.process('web');
    expect(again).toMatchObject({ state: 'READY', restarts: 1, lastFailure: { cause: 'crash', signal: 'SIGKILL' } });
    expect(again.pid).not.toBe(first);
    expect(await stage.ok('status', 'web')).toMatch(/last failure: +killed by SIGKILL/);
  });

  test('restart by the name of all instances; stop --force does not wait', async () => {
    stage.write(
      `processes:\n  web:\n    {run: [sh, -c, "trap '' TERM; sleep 1000 & wait; wait"], ready: alive, aliveFor: 20ms, stopTimeout: 1m, instances: 2}\n`,
    );
    await stage.ok('up');
    const before = [await stage.pid('web.1'), await stage.pid('web.2')];
    await stage.ok('stop', '--force', 'web');
    expect(before.filter(lives)).toEqual([]);
    await stage.ok('start', 'web');
    expect(await stage.process('web.1')).toMatchObject({ state: 'READY', incarnation: 2 });
    await stage.ok('stop', '--force', 'web.1', 'web.2');
  });

  test('on demand: runs to its end when it is started', async () => {
    stage.write(
      'processes:\n  job: {run: [sh, -c, "echo done"], start: on-demand}\n  bad: {run: [sh, -c, exit 5], start: on-demand}\n',
    );
    await stage.ok('up');
    expect(await stage.process('job')).toMatchObject({ state: 'STOPPED', incarnation: 0 });
    expect(await stage.ok('start', 'job')).toMatch(/job +STOPPED +- +ran to its end/);
    expect(await stage.ok('logs', 'job')).toBe('done\n');
    const { code, stderr } = await stage.run('start', 'bad');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^holdfast: bad is not READY: exited with code 5 after /)]);
  });

  test('signal reaches it', async () => {
    stage.write(
      `processes:\n  web: {run: [sh, -c, "trap 'echo got it' HUP; echo set; while :; do sleep 1000 & wait; done"]}\n`,
    );
    await stage.ok('up', '--no-wait');
    const log = stage.start('logs', 'web', '-f');
    await log.prints(/set\n/);
    await stage.ok('signal', 'web', 'HUP');
    await log.prints(/got it\n/);
    await log.end();
  });
});

test('logs of several carry their names; -f goes through rotations', async () => {
  const counts = '[sh, -c, "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo the end; exec sleep 1000"]';
  stage.write(
    `processes:\n  a: {run: ${counts}, log: {maxSize: 8KB, keep: 2}}\n  bb: {run: [sh, -c, "echo hello; exec sleep 1000"]}\n`,
  );
  await stage.ok('up');
  const log = stage.start('logs', '-f');
  await log.prints(/^a +\| the end$/m);
  await log.prints(/^bb +\| hello$/m);
  await log.end();
  expect(readdirSync(join(stage.folder, 'state/holdfast/default')).sort()).toEqual(
    expect.arrayContaining(['a.log', 'a.log.1', 'a.log.2', 'bb.log', 'holdfastd.log']),
  );
  expect(await stage.ok('logs', 'a', '--lines', '1')).toBe('the end\n');
});

test('status --watch --json prints a line for every change', async () => {
  stage.write(`processes:\n  web: {${SLEEPS}}\n`);
  await stage.ok('up');
  const watch = stage.start('status', '--watch', '--json');
  await watch.prints(/"state":"READY"/);
  await stage.ok('stop', 'web');
  await watch.prints(/"state":"STOPPED"/);
  await stage.ok('down');
  const { code, stdout } = await watch.ended;
  expect(code).toBe(4);
  for (const line of stdout.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('processes');
});

test('run: output as it comes, the code of the command, and nothing left', async () => {
  const base = `/dev/shm/holdfast-${process.geteuid?.()}`;
  const left = (): string[] => (existsSync(base) ? readdirSync(base).filter((name) => name.startsWith('run.')) : []);
  const { code, stdout } = await stage.run('run', '--', 'sh', '-c', 'printf "a\\nb"; exit 9');
  expect([code, stdout]).toEqual([9, 'a\nb']);
  const running = stage.start('run', '--', 'sh', '-c', 'echo $$; exec sleep 1000');
  const [, pid] = await running.prints(/^(\d+)\n/);
  await running.end('SIGTERM');
  expect(lives(Number(pid))).toBe(false);
  expect(left()).toEqual([]);
});
