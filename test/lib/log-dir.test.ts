import { homedir } from 'node:os';
import { expect, test } from 'vitest';
import { defaultLogDir } from '../../lib/manager/log-dir.js';

test.each<[Record<string, string>, string]>([
  [{ XDG_STATE_HOME: '/state', HOME: '/home/a' }, '/state/holdfast/shop'],
  [{ HOME: '/home/a' }, '/home/a/.local/state/holdfast/shop'],
  [{ XDG_STATE_HOME: 'relative', HOME: '/home/a' }, '/home/a/.local/state/holdfast/shop'],
  [{ XDG_STATE_HOME: '', HOME: '' }, `${homedir()}/.local/state/holdfast/shop`],
])('with %j the logs lie in %s', (env, folder) => expect(defaultLogDir('shop', env)).toBe(folder));
