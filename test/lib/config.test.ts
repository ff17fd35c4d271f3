import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../lib/config/load.js';
import { ConfigError } from '../../lib/config/problem.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
  file = join(folder, 'holdfast.yaml');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The message for a file, without the folder in front. */
function refusal(text: string): string {
  writeFileSync(file, text);
  try {
    loadConfig(file);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replace(`${folder}/`, '');
    throw error;
  }
  throw new Error('the file was accepted');
}

function load(text: string) {
  writeFileSync(file, text);
  return loadConfig(file);
}

describe('a good file', () => {
  test('every key arrives in the units of the library', () => {
    const config = load(`
instance: shop
sysname: edge-7
log: {dir: logs}
processes:
  db:
    run: 'postgres -D "/var/lib/my data"'
  web:
    run: [node, server.js, 8080]
    cwd: app
    env: {PORT: 08080, DEBUG: true, VERSION: 1.10, NAME: x}
    envFile: .env
    user: www-data
    umask: "022"
    nice: -5
    limits: {nofile: 4096, core: unlimited, as: {soft: 512MB, hard: 1GB}}
    start: auto
    instances: 3
    dependsOn: [db]
    ready: call
    startTimeout: 1.5m
    aliveFor: 500ms
    restart: on-failure
    backoff: {first: 0s, from: 100ms, factor: 1.5, max: 1h, jitter: 0, resetAfter: 60s}
    limit: {count: 5, within: 10s}
    heartbeat: 500ms
    stopped: fail
    stopSignal: SIGINT
    stopTimeout: 3s
    enabled: false
    log: {maxSize: 512KB, keep: 2}
`);
    expect(config).toMatchObject({ file, instance: 'shop', sysname: 'edge-7', logDir: join(folder, 'logs') });
    expect(config.processes[0]).toMatchObject({ name: 'db', run: 'postgres -D "/var/lib/my data"', cwd: folder });
    expect(config.processes[1]).toEqual({
      name: 'web',
      run: ['node', 'server.js', '8080'],
      cwd: join(folder, 'app'),
      env: { PORT: '08080', DEBUG: 'true', VERSION: '1.10', NAME: 'x' },
      envFile: join(folder, '.env'),
      user: 'www-data',
      umask: '022',
      nice: -5,
      limits: { nofile: 4096, core: 'unlimited', as: { soft: 512 * 1024 ** 2, hard: 1024 ** 3 } },
      start: 'auto',
      instances: 3,
      dependsOn: ['db'],
      ready: 'call',
      startTimeoutMs: 90_000,
      aliveForMs: 500,
      restart: 'on-failure',
      backoff: { firstMs: 0, fromMs: 100, factor: 1.5, maxMs: 3_600_000, jitter: 0, resetAfterMs: 60_000 },
      limit: { count: 5, withinMs: 10_000 },
      heartbeatMs: 500,
      stopped: 'fail',
      stopSignal: 'SIGINT',
      stopTimeoutMs: 3000,
      enabled: false,
      log: { maxBytes: 512 * 1024, keep: 2 },
    });
  });

  test('paths count from the folder of the real file, not of a link to it', () => {
    load('processes: {a: {run: x, cwd: b}}');
    mkdirSync(join(folder, 'elsewhere'));
    const link = join(folder, 'elsewhere', 'link.yaml');
    symlinkSync(file, link);
    expect(loadConfig(link)).toMatchObject({ file, processes: [{ cwd: join(folder, 'b') }] });
  });

  test('a heartbeat has a start timeout, whatever makes it READY', () => {
    const { processes } = load('processes: {a: {run: x, ready: alive, heartbeat: 1s, startTimeout: 3s}}');
    expect(processes).toMatchObject([{ ready: 'alive', heartbeatMs: 1000, startTimeoutMs: 3000 }]);
  });

  test('a merge key takes over what it names', () => {
    const { processes } = load('processes:\n  a: &a {run: x, nice: 3}\n  b: {<<: *a, nice: 4}\n');
    expect(processes).toMatchObject([
      { name: 'a', run: 'x', nice: 3 },
      { name: 'b', run: 'x', nice: 4 },
    ]);
  });
});

describe('a bad file is refused with file, line, column and key', () => {
  test.each([
    ['restart: alway', 'restart: expected one of always, on-failure, never; got "alway" (did you mean "always"?)'],
    ['restrat: always', /restrat: unknown key \(did you mean "restart"\?\); known here: run, cwd/],
    ['heartbeat: 5', 'heartbeat: expected a duration such as 500ms, 10s, 5m or 1h; got 5'],
    ['heartbeat: 1ms', 'heartbeat: expected a duration from 10ms to 24h; got "1ms"'],
    ['heartbeat: 25h', 'heartbeat: expected a duration from 10ms to 24h; got "25h"'],
    ['stopped: maybe', 'stopped: expected one of wait, fail; got "maybe"'],
    ['stopped: wiat', 'stopped: expected one of wait, fail; got "wiat" (did you mean "wait"?)'],
    [
      'startTimeout: 0s\n    heartbeat: 1s',
      /startTimeout: expected more than 0s: with "heartbeat" somebody must beat by then/,
    ],
    ['runOn: both', /runOn: unknown key/],
    ['stopTimeout: 10', 'stopTimeout: expected a duration such as 500ms, 10s, 5m or 1h; got 10'],
    ['stopTimeout: 10 s', 'stopTimeout: expected a duration such as 500ms, 10s, 5m or 1h; got "10 s"'],
    ['stopTimeout: 9999h', 'stopTimeout: expected at most one year (8760h); got "9999h"'],
    [
      'stopSignal: SIGTREM',
      'stopSignal: expected the name of a signal such as SIGTERM; got "SIGTREM" (did you mean "SIGTERM"?)',
    ],
    ['umask: 022', 'umask: expected octal digits in quotes such as "022"; got 22'],
    ['nice: 20', 'nice: expected a whole number from -20 to 19; got 20'],
    ['nice: 1.5', 'nice: expected a whole number from -20 to 19; got 1.5'],
    ['instances: 0', 'instances: expected a whole number from 1 to 512; got 0'],
    ['enabled: maybe', 'enabled: expected true or false; got "maybe"'],
    ['limits: {nofiles: 3}', /limits\.nofiles: .*nofile/],
    ['limits: {nofile: -1}', /limits\.nofile: expected a whole number, a size/],
    ['log: {maxSize: 10M}', 'log.maxSize: expected a size such as 512KB, 10MB or 1GB; got "10M"'],
    ['limit: {count: 3}', 'limit.within: is missing: expected a duration such as 500ms, 10s, 5m or 1h'],
    ['limit: {count: 65, within: 1s}', 'limit.count: expected a whole number from 1 to 64; got 65'],
    ['backoff: {from: 10s, max: 1s}', 'backoff: from (10000 ms) is longer than max (1000 ms): raise max'],
    ['start: on-demand\n    restart: always', /restart: an on-demand process runs to completion/],
    [
      'startTimeout: 3s',
      'startTimeout: counts only with "ready: call" or "heartbeat": add one of them, or take startTimeout out',
    ],
    ['dependsOn: 7', /dependsOn: expected a list of at most 64 process names/],
    ['dependsOn: [wbe]', 'dependsOn[0]: there is no process "wbe" (did you mean "web"?); known: web'],
    ['dependsOn: web', 'dependsOn: a circle: web -> web; take one of these dependencies out'],
    ['env: {A: [x]}', 'env.A: expected text, a number, or true or false; got ["x"]'],
    ['env: {A: }', 'env.A: expected text, a number, or true or false; got nothing'],
  ])('%s', (line, expected) => {
    const message = refusal(`processes:\n  web:\n    run: x\n    ${line}\n`);
    if (typeof expected === 'string') expect(message).toContain(`processes.web.${expected}`);
    else expect(message).toMatch(expected);
    expect(message).toMatch(/^holdfast\.yaml:[45]:\d+: processes\.web\./);
    expect(message).not.toContain('\n');
  });

  test.each([
    ['', 'holdfast.yaml:1:1: the file is empty: it needs the key "processes"'],
    ['- a', 'holdfast.yaml:1:1: expected a mapping with the keys instance, sysname, log, processes; got ["a"]'],
    ['instance: x', 'holdfast.yaml:1:1: processes: is missing: expected a mapping of names to processes'],
    ['processes:\n  a: {run: [x\n', 'holdfast.yaml:3:1: not valid YAML: flow sequence'],
    ['processes:\n  a: {run: x}\n  a: {run: y}', 'holdfast.yaml:3:3: not valid YAML: map keys must be unique'],
    ['processes:\n  a: {run: *b}', 'holdfast.yaml:2:12: not valid YAML: there is no anchor &b above this'],
    ['processes:\n  web: {}', 'holdfast.yaml:2:3: processes.web.run: is missing: expected a program and its arguments'],
    ['processes:\n  web: {run: []}', 'holdfast.yaml:2:9: processes.web.run: expected a program and its arguments'],
    ['stack: {}\nprocesses: {}', 'holdfast.yaml:1:1: stack: unknown key; known here: instance, sysname, log, processes'],
    ['instance: a b\nprocesses: {}', 'holdfast.yaml:1:1: instance: expected a name of letters'],
    ['processes:\n  holdfastd: {run: x}', 'holdfast.yaml:2:3: processes.holdfastd: the name "holdfastd" is taken'],
  ])('%j', (text, expected) => expect(refusal(text)).toContain(expected));

  test('a name of 40 letters, with the documented sentence', () => {
    const name = 'a'.repeat(40);
    expect(refusal(`processes:\n  ${name}: {run: x}`)).toContain(
      `Process name ${name} is invalid. Process names must begin with a letter, contain only alphanumeric, "_", "-" and "." characters, and be less than 32 characters long.`,
    );
  });

  test('the number of an instance counts as part of the name', () => {
    const name = 'a'.repeat(29);
    expect(load(`processes:\n  ${name}: {run: x, instances: 9}`).processes).toHaveLength(1);
    expect(refusal(`processes:\n  ${name}: {run: x, instances: 10}`)).toContain(`Process name ${name}.10 is invalid.`);
  });

  test('two that would have one name, and too many', () => {
    expect(refusal('processes:\n  web: {run: x, instances: 2}\n  web.1: {run: x}')).toContain('"web.1" would be made twice');
    expect(refusal('processes:\n  a: {run: x, instances: 300}\n  b: {run: x, instances: 300}')).toContain(
      '600 processes are too many',
    );
  });

  test('a circle over several processes is named', () => {
    const text =
      'processes:\n  a: {run: x, dependsOn: [b.2]}\n  b: {run: x, dependsOn: c, instances: 2}\n  c: {run: x, dependsOn: [a]}';
    expect(refusal(text)).toBe(
      'holdfast.yaml:2:15: processes.a.dependsOn: a circle: a -> b -> c -> a; take one of these dependencies out',
    );
  });

  test('the first problem in the file is the one that is told, and the rest is counted', () => {
    const text = 'processes:\n  a:\n    run: x\n    zork: 1\n    nice: 99\n    blip: 2\n';
    expect(refusal(text)).toMatch(/^holdfast\.yaml:4:5: processes\.a\.zork: .* \(and 2 more; fix this one first\)$/);
  });

  test('a missing file, a folder, no text', () => {
    const message = (path: string): string => {
      try {
        loadConfig(path);
      } catch (error) {
        return (error as Error).message;
      }
      return 'accepted';
    };
    expect(message(join(folder, 'none.yaml'))).toBe(
      `${join(folder, 'none.yaml')}: there is no such file: write one, or name another`,
    );
    expect(message(folder)).toBe(`${folder}: this is a directory: name the file in it`);
    writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00]));
    expect(message(file)).toBe(`${file}: this is no text in UTF-8`);
  });
});
