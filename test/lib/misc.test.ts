import { hostname } from 'node:os';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ValueError } from '../../lib/errors.js';
import { isCapabilitySupported } from '../../lib/misc/capability.js';
import { getSystemMac, pickMac } from '../../lib/misc/mac.js';
import { getSysname } from '../../lib/misc/sysname.js';

const none = '00:00:00:00:00:00';
const address = (mac: string, internal = false) => ({ mac, internal });

describe('the MAC address', () => {
  test('is of the first interface with a device', () => {
    const interfaces = { docker0: [address('02:42:00:00:00:01')], eth0: [address('0a:1b:2c:3d:4e:ff')] };
    expect(pickMac(interfaces, (name) => name === 'eth0')).toEqual([10, 27, 44, 61, 78, 255]);
  });

  test('is else of the first that is not internal and not zero', () => {
    const interfaces = {
      lo: [address('01:01:01:01:01:01', true)],
      tun0: [address(none)],
      br0: [address(none), address('02:00:00:00:00:07')],
    };
    expect(pickMac(interfaces, () => false)).toEqual([2, 0, 0, 0, 0, 7]);
  });

  test('is null where there is none', () => {
    expect(pickMac({ lo: [address(none, true)], tun0: undefined }, () => true)).toBeNull();
  });

  test('of this machine is null or six bytes', () => {
    const mac = getSystemMac();
    if (mac === null) return;
    expect(mac).toHaveLength(6);
    expect(mac.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)).toBe(true);
    expect(mac.some((byte) => byte !== 0)).toBe(true);
  });
});

describe('the name of the system', () => {
  afterEach(() => vi.unstubAllEnvs());

  test('is the one of the configuration', () => {
    vi.stubEnv('HOLDFAST_SYSNAME', 'edge-7');
    expect(getSysname()).toBe('edge-7');
  });

  test('is else the host name', () => {
    vi.stubEnv('HOLDFAST_SYSNAME', undefined);
    expect(getSysname()).toBe(hostname());
  });
});

describe('capabilities', () => {
  const RECOGNISED = [
    'stacking',
    'checkpointing',
    'thread-monitoring',
    'pool-monitoring',
    'hang-stack',
    'membarrier',
    'cgroup-kill',
    'sd-notify',
    'user',
  ];

  test.each(RECOGNISED)('%s is recognised', (capability) => {
    expect(typeof isCapabilitySupported(capability)).toBe('boolean');
  });

  test.each(['thread-monitoring', 'pool-monitoring', 'hang-stack', 'sd-notify'])('%s is in this release', (capability) =>
    expect(isCapabilitySupported(capability)).toBe(true),
  );

  test.each(['stacking', 'checkpointing'])('%s is not in this release', (capability) =>
    expect(isCapabilitySupported(capability)).toBe(false),
  );

  test('only root can run a process as another user', () => {
    expect(isCapabilitySupported('user')).toBe(process.geteuid?.() === 0);
  });

  test.each(['', 'Stacking', 'toString', undefined, 7])(
    '%s is a ValueError that lists the recognised ones',
    (capability) => {
      const call = () => isCapabilitySupported(capability as string);
      expect(call).toThrow(ValueError);
      expect(call).toThrow(RECOGNISED.join(', '));
    },
  );
});
