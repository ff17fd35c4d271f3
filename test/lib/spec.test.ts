import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ValueError } from '../../lib/errors.js';
import { signalName } from '../../lib/manager/limits.js';
import { typeScriptOptions } from '../../lib/manager/run.js';
import { toNativeSpec } from '../../lib/manager/spec.js';
import type { ProcessSpec } from '../../lib/manager/types.js';

const defaults = { logDir: '/var/log/shop', cwd: '/srv', env: { PATH: '/bin', HOLDFAST_ATTACH: 'x', HOLDFAST_ID: 'y' } };
const convert = (spec: object) => toNativeSpec({ name: 'web', run: ['true'], ...spec } as ProcessSpec, defaults);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-spec-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('what is left out', () => {
  test('has the documented defaults', () => {
    expect(convert({})).toEqual({
      name: 'web',
      start: 'auto',
      ready: 'auto',
      restart: 'always',
      enabled: true,
      stopSignal: 15,
      stopTimeoutMs: 10_000,
      startTimeoutMs: 0,
      aliveForMs: 1000,
      backoff: { firstMs: 0, fromMs: 100, maxMs: 30_000, factor: 2, jitter: 0.1, resetAfterMs: 60_000 },
      heartbeatMs: 0,
      stopped: 'wait',
      limit: null,
      user: null,
      umask: null,
      nice: null,
      limits: [],
      log: { file: '/var/log/shop/web.log', maxBytes: 10 * 1024 * 1024, keep: 5 },
      cwd: '/srv',
      argv: ['true'],
      env: ['PATH=/bin'],
      dependsOn: [],
    });
  });

  test('an undefined option is one that is left out', () => {
    const empty = Object.fromEntries(
      ['cwd', 'env', 'user', 'backoff', 'limit', 'log', 'ready'].map((key) => [key, undefined]),
    );
    expect(convert(empty)).toEqual(convert({}));
  });

  test('only ready: call and a heartbeat have a start timeout', () => {
    expect(convert({ ready: 'call' }).startTimeoutMs).toBe(60_000);
    expect(convert({ ready: 'call', startTimeoutMs: 5 }).startTimeoutMs).toBe(5);
    expect(convert({ ready: 'alive' }).startTimeoutMs).toBe(0);
    expect(convert({ heartbeatMs: 500 }).startTimeoutMs).toBe(60_000);
    expect(convert({ ready: 'alive', heartbeatMs: 500, startTimeoutMs: 7 }).startTimeoutMs).toBe(7);
  });

  test('on-demand is never restarted', () => {
    expect(convert({ start: 'on-demand' })).toMatchObject({ start: 'on-demand', restart: 'never' });
  });
});

describe('what is given', () => {
  test.each<[object, object]>([
    [{ cwd: 'app' }, { cwd: '/srv/app' }],
    [{ cwd: '/opt' }, { cwd: '/opt' }],
    [{ umask: 0o22 }, { umask: 18 }],
    [{ umask: '022' }, { umask: 18 }],
    [{ umask: '0o77' }, { umask: 63 }],
    [{ nice: -5 }, { nice: -5 }],
    [{ stopSignal: 'SIGINT' }, { stopSignal: 2 }],
    [{ stopSignal: 'hup' }, { stopSignal: 1 }],
    [{ stopSignal: 9 }, { stopSignal: 9 }],
    [{ limit: { count: 5, withinMs: 60_000 } }, { limit: { count: 5, withinMs: 60_000 } }],
    [{ limits: { nofile: 4096 } }, { limits: [{ resource: 7, soft: 4096, hard: 4096 }] }],
    [
      { limits: { core: 'unlimited' } },
      { limits: [{ resource: 4, soft: Number.POSITIVE_INFINITY, hard: Number.POSITIVE_INFINITY }] },
    ],
    [{ limits: { nofile: { soft: 10, hard: 20 } } }, { limits: [{ resource: 7, soft: 10, hard: 20 }] }],
    [{ limits: { nofile: { soft: 10 } } }, { limits: [{ resource: 7, soft: 10, hard: 10 }] }],
    [{ dependsOn: 'db' }, { dependsOn: ['db'] }],
    [{ dependsOn: ['db', 'cache', 'db'] }, { dependsOn: ['db', 'cache'] }],
    [{ user: 'root' }, { user: { uid: 0, gid: 0 } }],
    [{ enabled: false }, { enabled: false }],
    [{ heartbeatMs: 10 }, { heartbeatMs: 10, stopped: 'wait' }],
    [{ stopped: 'fail' }, { heartbeatMs: 0, stopped: 'fail' }],
    [{ backoff: { maxMs: 500, factor: 3 } }, { backoff: { firstMs: 0, fromMs: 100, maxMs: 500, factor: 3, jitter: 0.1 } }],
    [{ log: { maxBytes: 1000 } }, { log: { file: '/var/log/shop/web.log', maxBytes: 1000, keep: 5 } }],
  ])('%j', (spec, expected) => expect(convert(spec)).toMatchObject(expected));

  test('env lies over envFile, which lies over what is inherited', () => {
    const file = join(folder, '.env');
    writeFileSync(file, 'A=file\nB=file\nQ="two words"\nPATH=/opt/bin\n');
    expect(convert({ envFile: file, env: { B: 'env', N: 1, T: true } }).env.sort()).toEqual(
      ['A=file', 'B=env', 'N=1', 'PATH=/opt/bin', 'Q=two words', 'T=true'].sort(),
    );
  });

  test('envFile counts from cwd', () => {
    writeFileSync(join(folder, 'here.env'), 'X=1\n');
    expect(convert({ cwd: folder, envFile: 'here.env' }).env).toContain('X=1');
  });

  test('no log folder throws the output away', () => {
    expect(toNativeSpec({ name: 'web', run: 'true' }, { logDir: '' }).log.file).toBe('');
  });
});

describe('run', () => {
  test.each<[unknown, string[]]>([
    ['node "my server.js"', ['node', 'my server.js']],
    [
      ['sh', '-c', 'exit 3'],
      ['sh', '-c', 'exit 3'],
    ],
    ['server.js --port 80', [process.execPath, 'server.js', '--port', '80']],
    [['a.mjs'], [process.execPath, 'a.mjs']],
    ['./a.cjs', [process.execPath, './a.cjs']],
    ['js', ['js']],
  ])('%j', (run, argv) => expect(convert({ run }).argv).toEqual(argv));

  test.each<[string, string[] | undefined]>([
    ['20.19.0', undefined],
    ['22.5.9', undefined],
    ['22.6.0', ['--experimental-strip-types']],
    ['22.18.0', []],
    ['23.5.0', ['--experimental-strip-types']],
    ['23.6.0', []],
    ['24.0.0', []],
    ['26.10.0', []],
  ])('TypeScript under Node %s', (version, options) => expect(typeScriptOptions(version)).toEqual(options));

  test.runIf(typeScriptOptions() === undefined)('a .ts file is refused where this Node cannot run it', () => {
    expect(() => convert({ run: 'a.ts' })).toThrow(/can't run TypeScript: use Node 22.18 or later, or name the compiled/);
  });
});

describe('is refused, with option, expectation, value and fix', () => {
  test.each<[object, RegExp]>([
    [
      { name: '9web' },
      /^Process name 9web is invalid\. Process names must begin with a letter, contain only alphanumeric, "_", "-" and "\." characters, and be less than 32 characters long\.$/,
    ],
    [{ name: 'a'.repeat(32) }, /is invalid/],
    [{ name: 'a\nb' }, /^Process name a\?b is invalid/],
    [{ name: undefined }, /must have a name/],
    [{ name: 'holdfastd' }, /taken by the manager/],
    [{ heartbeat: 5 }, /^web: there is no option heartbeat: take it out; known: name, run, cwd/],
    [{ heartbeatMs: 5 }, /^web: heartbeatMs must be a whole number from 10 to 86400000, and is 5: write one such as 5000$/],
    [{ heartbeatMs: '5s' }, /heartbeatMs must be a whole number/],
    [{ heartbeatMs: 86_400_001 }, /heartbeatMs must be a whole number/],
    [{ heartbeatMs: 500, startTimeoutMs: 0 }, /^web: startTimeoutMs must be above 0 with heartbeatMs, and is 0: write/],
    [{ stopped: 'maybe' }, /^web: stopped must be one of 'wait', 'fail', and is 'maybe'/],
    [{ runOn: 'all' }, /no option runOn/],
    [{ backoff: { max: 1 } }, /no option backoff\.max: .*known: firstMs, fromMs/],
    [{ run: '' }, /^web: run must be a program and its arguments, and is '': write/],
    [{ run: [] }, /run must be a program/],
    [{ run: [''] }, /run must be a program/],
    [{ run: ['a', 1] }, /run must be words in a string, or a list of strings/],
    [{ run: "a 'b" }, /^web: run: a ' is not closed/],
    [{ run: ['a', 'b\0c'] }, /without a zero character/],
    [{ run: undefined }, /run must be words/],
    [
      { stopTimeoutMs: '5s' },
      /^web: stopTimeoutMs must be a number of milliseconds from 0 to 365 days, and is '5s': write one such as 10000$/,
    ],
    [{ stopTimeoutMs: -1 }, /stopTimeoutMs must be/],
    [{ stopTimeoutMs: Number.NaN }, /stopTimeoutMs must be/],
    [{ stopTimeoutMs: Number.POSITIVE_INFINITY }, /stopTimeoutMs must be/],
    [{ start: 'later' }, /start must be one of 'auto', 'on-demand', and is 'later'/],
    [{ ready: 'soon' }, /ready must be one of 'auto', 'call', 'alive'/],
    [{ restart: true }, /restart must be one of/],
    [{ start: 'on-demand', restart: 'always' }, /restart must be 'never' with start: 'on-demand'/],
    [{ startTimeoutMs: 5 }, /startTimeoutMs counts only with ready: 'call' or heartbeatMs/],
    [{ enabled: 'yes' }, /enabled must be true or false, and is 'yes'/],
    [{ backoff: { factor: 0.5 } }, /backoff\.factor must be a number from 1 to 1000/],
    [{ backoff: { jitter: 2 } }, /backoff\.jitter/],
    [{ backoff: { fromMs: 60_000 } }, /backoff\.fromMs must be at most maxMs \(30000\)/],
    [{ backoff: 5 }, /backoff must be an object, and is 5/],
    [{ limit: { count: 5 } }, /limit must be given with count and withinMs/],
    [{ limit: { count: 0, withinMs: 1 } }, /limit\.count must be a whole number from 1 to 64/],
    [{ limit: { count: 1, withinMs: 0 } }, /limit\.withinMs must be above 0/],
    [{ limits: { files: 1 } }, /there is no limit files: .*known: .*nofile/],
    [{ limits: { nofile: -1 } }, /limits\.nofile must be a whole number of 0 or more/],
    [{ limits: { nofile: { soft: 2, hard: 1 } } }, /soft at most hard/],
    [{ limits: { nofile: {} } }, /a number, or \{ soft, hard \}/],
    [{ umask: '9' }, /umask must be a number from 0 to 0o777/],
    [{ umask: 0o1000 }, /umask/],
    [{ nice: 20 }, /nice must be a whole number from -20 to 19/],
    [{ stopSignal: 'SIGFOO' }, /stopSignal must be the name of a signal/],
    [{ stopSignal: 65 }, /stopSignal/],
    [{ dependsOn: 5 }, /dependsOn must be a list of names/],
    [{ dependsOn: ['a b'] }, /Process name a b is invalid/],
    [{ user: 'nobody-of-that-name' }, /^web: user: there is no user nobody-of-that-name/],
    [{ envFile: '/none/.env' }, /^web: envFile can't be read: ENOENT/],
    [{ env: { 'A=B': 1 } }, /must be a name without "="/],
    [{ env: { A: null } }, /env\.A must be a string, number or boolean/],
    [{ cwd: '' }, /cwd must be a string that is not empty/],
    [{ log: { keep: -1 } }, /log\.keep must be a whole number from 0 to 1000/],
  ])('%j', (spec, message) => {
    expect(() => convert(spec)).toThrow(ValueError);
    expect(() => convert(spec)).toThrow(message);
  });

  test.each([undefined, null, 'web', []])('%j is no definition', (spec) => {
    expect(() => toNativeSpec(spec as never, defaults)).toThrow(/a definition must be an object/);
  });
});

test('signals have their usual names', () => {
  expect([6, 9, 11, 15, 29, 34].map(signalName)).toEqual(['SIGABRT', 'SIGKILL', 'SIGSEGV', 'SIGTERM', 'SIGIO', 'SIG34']);
});
