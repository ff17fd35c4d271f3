/** Walks the table of situations in docs/cli.md: each row is made true, its command is run, and exit code and text are compared. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { daemonPath } from '../../lib/native.js';
import { readSituations, type Situation, textMatches } from './cli-situations.js';
import { type Result, Running, Stage } from './cli-stage.js';

const WEB = '{run: [sh, -c, "echo hello from web; exec sleep 1000"], ready: alive, aliveFor: 20ms}';
const GOOD = `processes:\n  web: ${WEB}\n`;
const BROKEN = 'processes:\n  web: {run: [sh\n';
const FAILS = '{run: [sh, -c, exit 3], restart: never}';

let stage: Stage;
let mounted: string | undefined;

beforeEach(() => {
  stage = new Stage();
});
afterEach(async () => {
  if (mounted !== undefined) execFileSync('umount', [mounted]);
  mounted = undefined;
  await stage.dispose();
});

async function up(text = GOOD): Promise<void> {
  stage.write(text);
  await stage.ok('up');
}

/** The instance directory on a file system of its own that has room for nothing. False where this user may not mount. */
function fullTmpfs(): boolean {
  const place = join(stage.parent, 'full');
  mkdirSync(place);
  const options = ['-t', 'tmpfs', '-o', 'size=16k,mode=700', 'none', place];
  if (spawnSync('mount', options).status !== 0) return false;
  mounted = place;
  stage.dir = join(place, 'i');
  stage.write(GOOD);
  return true;
}

function makeDir(change: () => void): true {
  mkdirSync(stage.dir, { mode: 0o700 });
  change();
  stage.write(GOOD);
  return true;
}

const isRoot = process.getuid?.() === 0;

/** Makes each situation true; false where this user or machine can't. */
const situations: Record<string, () => unknown> = {
  anything: () => {},
  'no file': () => {},
  'broken YAML': () => stage.write(BROKEN),
  'a misspelt key': () => stage.write('processes:\n  web:\n    run: x\n    restrat: always\n'),
  'a misspelt value': () => stage.write('processes:\n  web:\n    run: x\n    restart: alway\n'),
  'a heartbeat without a unit': () => stage.write('processes:\n  web:\n    run: x\n    heartbeat: 5\n'),
  'a heartbeat of 1ms': () => stage.write('processes:\n  web:\n    run: x\n    heartbeat: 1ms\n'),
  'a misspelt stopped': () => stage.write('processes:\n  web:\n    run: x\n    stopped: maybe\n'),
  'a start timeout that nothing asks for': () => stage.write('processes:\n  web:\n    run: x\n    startTimeout: 5s\n'),
  'a circle': () => stage.write('processes:\n  web: {run: x, dependsOn: [db]}\n  db: {run: x, dependsOn: [web]}\n'),
  'an unknown dependency': () => stage.write('processes:\n  web: {run: x, dependsOn: [dbb]}\n  db: {run: x}\n'),
  'a name of 40 letters': () => stage.write(`processes:\n  ${'a'.repeat(40)}: {run: x}\n`),
  'an unknown user': () => stage.write('processes:\n  web: {run: x, user: nobody-of-that-name}\n'),
  'a good file': () => stage.write(GOOD),
  'it runs already': async () => {
    await up();
    stage.write(GOOD, 'other.yaml');
  },
  'a missing program': () => stage.write('processes:\n  web: {run: /no/such/program, restart: never}\n'),
  'an unreadable cwd': () => stage.write('processes:\n  web: {run: "true", cwd: holdfast.yaml, restart: never}\n'),
  'a program that exits': () => stage.write(`processes:\n  web: ${FAILS}\n`),
  'a heartbeat that nobody feeds': () =>
    stage.write('processes:\n  web: {run: sleep 9, heartbeat: 100ms, startTimeout: 300ms, restart: never}\n'),
  'it waits for one that fails': () => stage.write(`processes:\n  db: ${FAILS}\n  web: {run: sleep 9, dependsOn: [db]}\n`),
  'broken YAML while it runs': async () => {
    await up();
    stage.write(BROKEN);
  },
  'one more in the file': async () => {
    await up();
    stage.write(`${GOOD}  db: ${WEB}\n`);
  },
  'no manager': () => stage.write(GOOD),
  'the manager was killed': async () => {
    await up();
    await stage.killManagers();
  },
  'a process is stopped': async () => {
    await up();
    await stage.ok('stop', 'web');
  },
  'a process is disabled': () => up('processes:\n  web: {run: sleep 9, enabled: false}\n'),
  'a directory of another user': () => isRoot && makeDir(() => chownSync(stage.dir, 65_534, 65_534)),
  'a directory that is open to others': () => makeDir(() => chmodSync(stage.dir, 0o755)),
  'a full tmpfs': () => isRoot && fullTmpfs(),
  'a segment of random bytes': () =>
    makeDir(() =>
      writeFileSync(join(stage.dir, 'segment'), Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 7919) % 251)), {
        mode: 0o600,
      }),
    ),
};

const rows = readSituations(readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8'));

test('every situation of the table can be made, and all of them are used', () => {
  expect([...new Set(rows.map((row) => row.situation))].sort()).toEqual(Object.keys(situations).sort());
});

async function runRow({ command, argv }: Situation): Promise<Result> {
  if (command !== 'holdfastd') return await stage.run(...argv);
  return await new Running(daemonPath(), ['--dir', stage.dir, '--instance', 'default'], stage.folder, stage.env).ended;
}

/** Commands that are meant to change what runs. */
const CHANGES = /^holdfast (up|reload|stop|start|restart|down)\b/;

async function runningPids(): Promise<string> {
  const { manager, processes } = await stage.status();
  return JSON.stringify([manager.pid, processes.map((one) => [one.name, one.pid])]);
}

test.for(rows)('$command, $situation: $exit', async (row, { skip }) => {
  if ((await situations[row.situation]?.()) === false) return skip('it needs root');
  const isUp = /runs|killed|stopped|one more/.test(row.situation);
  const before = isUp ? await runningPids() : '';
  const { code, stdout, stderr } = await runRow(row);
  expect({ code, text: row.text.startsWith('holdfast: ') ? stderr : stdout + stderr }).toEqual({
    code: row.exit,
    text: expect.stringMatching(textMatches(row.text)),
  });
  if (row.command.startsWith('holdfast ') && stderr !== '') expect(stderr).toMatch(/^holdfast: [^\n]+\n$/);
  const isHarmless = row.exit !== 0 || !CHANGES.test(row.command) || row.command === 'holdfast up';
  if (isUp && isHarmless) expect(await runningPids()).toBe(before);
});
