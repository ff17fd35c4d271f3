/** The README is true: its files are written as they stand there, and its shell blocks are run in order, in one folder. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Stage, until } from './cli-stage.js';

const ROOT = join(import.meta.dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: Block[] = [...README.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
  language,
  text,
}));
const shell = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text);
/** What needs a network and an empty checkout; `.ci/run` runs these two. */
const installs = shell.filter((text) => text.includes('npm ci'));
const session = shell.filter((text) => !installs.includes(text));

/** Blocks that begin with the name of a file in a comment. */
const files = blocks.flatMap(({ language, text }) => {
  const name = /^(?:\/\/|#) (\S+\.\w+)\n/.exec(text)?.[1];
  return language === 'sh' || name === undefined ? [] : [{ name, text }];
});

let stage: Stage;

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A folder as a newcomer has it: `holdfast` on the PATH, and installed for imports. */
beforeAll(async () => {
  stage = new Stage();
  stage.write('{ "private": true }\n', 'package.json'); // a folder of its own, whatever lies above it
  const bin = join(stage.folder, 'bin');
  mkdirSync(bin);
  mkdirSync(join(stage.folder, 'node_modules'));
  symlinkSync(ROOT, join(stage.folder, 'node_modules/holdfast'));
  writeFileSync(join(bin, 'holdfast'), `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'dist/cli/main.js')}" "$@"\n`);
  chmodSync(join(bin, 'holdfast'), 0o755);
  const path = [bin, join(process.execPath, '..'), process.env.PATH].join(delimiter);
  stage.env = { ...stage.env, PATH: path, PORT: String(await freePort()) };
  for (const { name, text } of files) stage.write(text, name);
});
afterAll(() => stage.dispose());

/** Runs one block as a shell would that stops at the first error; what it printed. */
function run(block: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-eu', '-c', block], {
    cwd: stage.folder,
    env: stage.env,
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect([status, stderr], block).toEqual([0, '']);
  return stdout;
}

/** The block of the session that has this line. */
function blockWith(line: string): string {
  const found = session.filter((text) => text.split('\n').some((one) => one.startsWith(line)));
  expect(found, `blocks of README.md with "${line}"`).toHaveLength(1);
  return found[0] ?? '';
}

describe('README.md', () => {
  test('has two commands for a newcomer, and both are scripts of the package', () => {
    expect(installs.map((text) => text.trim())).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['demo', 'test']));
  });

  test('its links, and those of the other pages, lead to files', () => {
    const pages = [
      'README.md',
      'CONTRIBUTING.md',
      'native/README.md',
      ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
    ];
    const links = pages.flatMap((page) =>
      [...readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => ({
        page,
        target,
      })),
    );
    expect(new Set(links.map(({ page }) => page))).toContain('README.md');
    expect(links.filter(({ page, target }) => !existsSync(join(ROOT, page, '..', target)))).toEqual([]);
  });

  test('every shell block of the session is run by a test below', () => {
    const begins = [
      'holdfast up',
      'holdfast signal web KILL',
      'holdfast signal web USR2',
      'holdfast reload',
      'node embed.mjs',
    ];
    const run = begins.map(blockWith);
    expect(session).toEqual(run);
  });

  test('up, status, logs', async () => {
    const shown = run(blockWith('holdfast up'));
    expect(shown).toMatch(/^web +READY +\d+$/m);
    expect(shown).toMatch(/^worker +READY +\d+$/m);
    await until('the line of the web server in its log', async () =>
      (await stage.ok('logs', 'web')).includes('web: listening\n'),
    );
    const answer = await fetch(`http://127.0.0.1:${stage.env.PORT}/`);
    expect(await answer.text()).toBe('hello\n');
  });

  test('a kill -9: the reason is in events and status, and it comes back', async () => {
    const before = await stage.pid('web');
    run(blockWith('holdfast signal web KILL'));
    await until('the next web server', async () => {
      const { state, pid } = await stage.process('web');
      return state === 'READY' && pid !== before;
    });
    expect(await stage.ok('events')).toMatch(/web {2}READY → FAIL {2}killed by SIGKILL after .* s$/m);
    expect((await stage.process('web')).lastFailure).toMatchObject({ cause: 'crash', signal: 'SIGKILL' });
  });

  test('a hang: function and line are in events and status, and it comes back', async () => {
    const before = await stage.pid('web');
    run(blockWith('holdfast signal web USR2'));
    await until('the web server after the hang', async () => {
      const { state, pid } = await stage.process('web');
      return state === 'READY' && pid !== before;
    });
    const lines = files.find(({ name }) => name === 'server.mjs')?.text.split('\n') ?? [];
    const at = `spin (server.mjs:${lines.findIndex((line) => line.includes('for (;;)')) + 1}:3)`;
    const events = await stage.ok('events');
    expect(events).toMatch(/web {2}hung {2}event-loop silent for [\d.]+ s$/m);
    const [, where] = /web {2}READY → FAIL {2}event-loop silent for [\d.]+ s in (.*)$/m.exec(events) ?? [];
    expect(where).toBe(at);
    expect(README).toContain(` in ${at}\n`); // the output that it shows
    expect((await stage.process('web')).lastFailure).toMatchObject({ cause: 'hang', thread: 'event-loop', where });
    expect(await stage.ok('status', 'web')).toMatch(/\n +at spin \(file:.*\/server\.mjs:/);
  });

  test('reload, stop, start, run, down', () => {
    const shown = run(blockWith('holdfast reload'));
    expect(shown).toMatch(/^worker +STOPPED/m);
    expect(shown).toMatch(/^worker +READY +\d+$/m);
    expect(shown).toContain('supervised\n');
    expect(existsSync(stage.dir)).toBe(false);
  });

  test('embedding', () => {
    const lines = run(blockWith('node embed.mjs')).trimEnd().split('\n');
    expect(lines[0]).toMatch(/^worker READY -> FAIL killed by SIGKILL after \d+ ms$/);
    expect(lines.at(-1)).toMatch(/^worker \w+ -> READY/);
  });
});

test('the program of docs/hangs.md in C compiles', () => {
  const page = readFileSync(join(ROOT, 'docs/hangs.md'), 'utf8');
  const [, program = ''] = /^```c\n(.*?)^```$/ms.exec(page) ?? [];
  expect(program).toContain('hf_cell_beat(');
  const argv = [
    '-std=gnu11',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-fsyntax-only',
    `-I${join(ROOT, 'native/include')}`,
    '-xc',
    '-',
  ];
  const { status, stderr } = spawnSync('cc', argv, { input: program, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});
