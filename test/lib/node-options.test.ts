import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { PRELOAD, withoutPreload, withPreload } from '../../lib/manager/node-options.js';
import { toNativeSpec } from '../../lib/manager/spec.js';

const OURS = `--require "${PRELOAD}"`;

describe('the preload in NODE_OPTIONS', () => {
  test('is an absolute path to a file beside the addon', () => expect(PRELOAD).toMatch(/^\/.*\/native\/preload\.cjs$/));

  test.each<[string, string]>([
    ['', OURS],
    ['--no-warnings', `--no-warnings ${OURS}`],
    [OURS, OURS],
    [`--require ${PRELOAD} --no-warnings`, `--no-warnings ${OURS}`],
    [`--no-warnings  --require="${PRELOAD}"  --title=x`, `--no-warnings --title=x ${OURS}`],
    [`-r "${PRELOAD}" ${OURS}`, OURS],
    ['--require "/opt/holdfast/native/preload.cjs"', OURS],
    ['--require /opt/mine.cjs', `--require /opt/mine.cjs ${OURS}`],
  ])('behind %j, once', (given, expected) => expect(withPreload(given)).toBe(expected));

  test.each<[string, string]>([
    [OURS, ''],
    [`--no-warnings ${OURS}`, '--no-warnings'],
    [`${OURS} --title="a  b"`, '--title="a  b"'],
    [`--require /opt/a.cjs ${OURS} -r ./b.cjs`, '--require /opt/a.cjs -r ./b.cjs'],
    ['  --title="a\\"b" ', '  --title="a\\"b" '],
    ['--require', '--require'],
    ['--title="open', '--title="open'],
    ['--require "/a b/node_modules/holdfast/native/preload.cjs"', ''],
  ])('taken out of %j', (given, expected) => expect(withoutPreload(given)).toBe(expected));
});

describe('in a definition', () => {
  const optionsOf = (spec: object, env: Record<string, string> = {}): string | undefined =>
    toNativeSpec({ name: 'web', run: 'true', ...spec }, { logDir: '', cwd: '/', env })
      .env.find((line) => line.startsWith('NODE_OPTIONS='))
      ?.slice('NODE_OPTIONS='.length);

  test('only with a heartbeat, behind what env or the caller say', () => {
    expect(optionsOf({})).toBeUndefined();
    expect(optionsOf({ heartbeatMs: 500 })).toBe(OURS);
    expect(optionsOf({ heartbeatMs: 500 }, { NODE_OPTIONS: '--no-warnings' })).toBe(`--no-warnings ${OURS}`);
    expect(optionsOf({ heartbeatMs: 500, env: { NODE_OPTIONS: '--title=x' } }, { NODE_OPTIONS: OURS })).toBe(
      `--title=x ${OURS}`,
    );
  });

  test('that of a process with a heartbeat is not handed on to those that it defines', () => {
    expect(optionsOf({}, { NODE_OPTIONS: `--no-warnings ${OURS}` })).toBe('--no-warnings');
    expect(optionsOf({}, { NODE_OPTIONS: OURS })).toBeUndefined();
    expect(optionsOf({ env: { NODE_OPTIONS: '' } }, { NODE_OPTIONS: OURS })).toBeUndefined();
  });

  test('nor are the other marks of a supervised process', () => {
    const marks = ['ATTACH', 'HEARTBEAT', 'ID'].map((name) => [`HOLDFAST_${name}`, 'x']);
    const systemd = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'].map((name) => [name, '1']);
    const env = Object.fromEntries([...marks, ...systemd, ['A', 'b']]);
    expect(toNativeSpec({ name: 'web', run: 'true' }, { logDir: '', cwd: '/', env }).env).toEqual(['A=b']);
    const asked = toNativeSpec({ name: 'web', run: 'true', env: { NOTIFY_SOCKET: '/x' } }, { logDir: '', cwd: '/', env });
    expect(asked.env).toEqual(['A=b', 'NOTIFY_SOCKET=/x']);
  });
});

test.each(['plain', 'two words', 'a "quoted" one', 'back\\slash', 'ümläut'])(
  'Node reads the path of a folder %j',
  async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-options-'));
    try {
      const native = join(folder, name, 'native');
      mkdirSync(native, { recursive: true });
      writeFileSync(join(native, 'preload.cjs'), 'console.log("preloaded")');
      vi.resetModules();
      vi.doMock('node:url', () => ({ fileURLToPath: () => join(native, 'preload.cjs') }));
      const { withPreload: elsewhere, withoutPreload: back } = await import('../../lib/manager/node-options.js');
      const NODE_OPTIONS = elsewhere('--no-warnings');
      const text = execFileSync(process.execPath, ['-e', '0'], { env: { ...process.env, NODE_OPTIONS }, encoding: 'utf8' });
      expect(text).toBe('preloaded\n');
      expect(back(NODE_OPTIONS)).toBe('--no-warnings');
    } finally {
      vi.doUnmock('node:url');
      rmSync(folder, { recursive: true });
    }
  },
);
