import { expect, test } from 'vitest';
import * as exos from '../../lib/exos.js';
import * as holdfast from '../../lib/index.js';
import * as pool from '../../lib/pool.js';

/** The tables of docs/api.md, sections 1, 2 and 6: the documented name, and ours. */
const DOCUMENTED: Readonly<Record<string, string>> = {
  get_process_name: 'getProcessName',
  set_process_name: 'setProcessName',
  ready: 'ready',
  get_process_state: 'getProcessState',
  ProcessState: 'ProcessState',
  Thread: 'Thread',
  MonitoredThreadPool: 'MonitoredThreadPool',
  get_system_mac: 'getSystemMac',
  get_sysname: 'getSysname',
  is_capability_supported: 'isCapabilitySupported',
  ExosError: 'ExosError',
  DeadlockDetectedError: 'DeadlockDetectedError',
  PicklingError: 'PicklingError',
  ValueError: 'ValueError',
};

test.each(Object.entries(DOCUMENTED))('%s is %s', (documented, ours) => {
  const object: unknown = Reflect.get(exos, documented);
  expect(object).toBeDefined();
  expect(object).toBe(Reflect.get(holdfast, ours) ?? Reflect.get(pool, ours));
});

test.each(['register', 'keepalive', 'deregister'])('Thread.%s is a method', (method) => {
  expect(typeof Reflect.get(exos.Thread.prototype, method)).toBe('function');
  expect(typeof Reflect.get(holdfast.currentThread(), method)).toBe('function');
});

test.each(['submit', 'map', 'shutdown'])('MonitoredThreadPool.%s is a method', (method) => {
  expect(typeof Reflect.get(exos.MonitoredThreadPool.prototype, method)).toBe('function');
});

test('holdfast/exos has the documented names and no others', () => {
  expect(Object.keys(exos).sort()).toEqual(Object.keys(DOCUMENTED).sort());
});

test('holdfast has what a reader of the API expects, and no more', () => {
  const added = ['Manager', 'connect', 'currentThread', 'monitorEventLoop', 'waitForStateSync'];
  const elsewhere = Object.keys(pool); // its base class is needed at once, so that it is not loaded with the rest
  const names = [...Object.values(DOCUMENTED), ...added].filter((name) => !elsewhere.includes(name));
  expect(Object.keys(holdfast).sort()).toEqual([...new Set(names)].sort());
});

test('ProcessState has the documented members in the documented order, and its values are the strings', () => {
  expect(Object.entries(holdfast.ProcessState)).toEqual(
    ['FAIL', 'STOPPED', 'STARTED', 'BOOTING', 'LOADCFG', 'READY'].map((name) => [name, name]),
  );
  expect(Object.isFrozen(holdfast.ProcessState)).toBe(true);
});
