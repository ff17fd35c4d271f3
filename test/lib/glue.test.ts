import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toNativeSpec } from '../../lib/manager/spec.js';
import { daemonPath, type NativeOperator, type NativeSpec, native } from '../../lib/native.js';

const dist = join(import.meta.dirname, '..', '..', 'dist', 'native.js');
const spec: NativeSpec = toNativeSpec({ name: 'web', run: ['true'] }, { logDir: '' });

let dir: string;
let operator: NativeOperator;
beforeEach(() => {
  dir = `/dev/shm/holdfast-glue-test.${process.pid}`;
  operator = new (native().Operator)(dir, true);
});
afterEach(async () => {
  operator.close();
  await rm(dir, { recursive: true });
});

describe('constants', () => {
  test('cross once, and in the order of C', () => {
    const { states, causes, events, nameSize, cellMax, threadFlags, resources } = native().constants;
    expect(states).toEqual(['FAIL', 'STOPPED', 'STARTED', 'BOOTING', 'LOADCFG', 'READY']);
    expect(causes).toEqual(['none', 'crash', 'exit', 'startTimeout', 'spawn', 'lost', 'hang']);
    expect(events[0]).toBe('state');
    expect(events).toContain('trouble');
    expect(events.slice(-3)).toEqual(['hung', 'excused', 'stopping']);
    expect(nameSize).toBe(32);
    expect(cellMax).toBe(1020);
    expect(threadFlags).toEqual({ traced: 1, stopped: 2, frozen: 4, busy: 8 });
    expect(resources).toMatchObject({ cpu: 0, nofile: 7, as: 9 });
  });
});

describe('an operator', () => {
  test('reads an instance that no manager runs', () => {
    expect(operator.instance()).toMatchObject({ dir, managerPid: 0, guardianPid: 0, shuttingDown: false });
    expect(operator.status()).toEqual([]);
    expect(operator.find('web')).toBeNull();
    expect(() => operator.threads('web')).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_EUNKNOWN' }));
  });

  test('tells a changed definition from the same one', () => {
    expect(operator.define(spec)).toBe(true);
    expect(operator.define(spec)).toBe(false);
    expect(operator.define({ ...spec, argv: ['true', 'ä'] })).toBe(true);
    expect(operator.instance().specsWanted).toBeGreaterThanOrEqual(2);
  });

  test('keeps settings', () => {
    expect(operator.setting('file')).toBeNull();
    operator.setSetting('file', '/srv/ä.yaml');
    expect(operator.setting('file')).toBe('/srv/ä.yaml');
  });

  test.each<[string, unknown]>([
    ['name', 7],
    ['name', 'a'.repeat(40)],
    ['start', 'later'],
    ['argv', 'true'],
    ['argv', ['a', 1]],
    ['env', ['A=\0']],
    ['stopSignal', '15'],
    ['stopTimeoutMs', -1],
    ['stopTimeoutMs', Number.NaN],
    ['heartbeatMs', '5s'],
    ['heartbeatMs', -1],
    ['stopped', 'maybe'],
    ['stopped', undefined],
    ['limits', Array.from({ length: 17 }, () => ({ resource: 0, soft: 0, hard: 0 }))],
    ['user', 5],
    ['umask', 0o10000],
    ['dependsOn', Array.from({ length: 65 }, (_, at) => `a${at}`)],
    ['log', null],
    ['backoff', undefined],
  ])('refuses a definition with a wrong %s', (key, value) => {
    expect(() => operator.define({ ...spec, [key]: value } as NativeSpec)).toThrow(TypeError);
    expect(operator.instance().specsWanted).toBe(0);
  });

  test('lets an exception of a getter through', () => {
    const trap = {
      ...spec,
      get cwd(): string {
        throw new RangeError('from the getter');
      },
    };
    expect(() => operator.define(trap)).toThrow(new RangeError('from the getter'));
  });

  test('a getter that closes it finds it closed', () => {
    const trap = {
      ...spec,
      get cwd() {
        operator.close();
        return '/';
      },
    };
    expect(() => operator.define(trap)).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_ECLOSED' }));
  });

  test('a directory that is none is refused with its code', () => {
    expect(() => new (native().Operator)(`${dir}.none`, false)).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_ENOENT' }),
    );
    expect(() => new (native().Operator)(5 as never, false)).toThrow(TypeError);
  });
});

describe('wait', () => {
  test('ends with the time', async () => expect(await operator.wait(operator.changes(), 1, true)).toBe(false));

  test('ends at once with a change that came before', async () => {
    const earlier = (operator.changes() + 1) >>> 0;
    expect(await operator.wait(earlier, Number.POSITIVE_INFINITY, true)).toBe(true);
  });

  test('ends with close', async () => {
    const change = operator.wait(operator.changes(), Number.POSITIVE_INFINITY, true);
    operator.close();
    expect(await change).toBe(false);
  });

  test('one at a time', async () => {
    const change = operator.wait(operator.changes(), 20_000, true);
    expect(() => operator.wait(operator.changes(), 1, true)).toThrow(TypeError);
    operator.close();
    await change;
  });
});

test('every method of a closed one throws ERR_HOLDFAST_ECLOSED', () => {
  operator.close();
  operator.close();
  const calls: Record<Exclude<keyof NativeOperator, 'close'>, () => unknown> = {
    define: () => operator.define(spec),
    remove: () => operator.remove('web'),
    request: () => operator.request('web', 'start'),
    shutdown: () => operator.shutdown(),
    signal: () => operator.signal('web', 1),
    setting: () => operator.setting('file'),
    setSetting: () => operator.setSetting('file', 'x'),
    instance: () => operator.instance(),
    status: () => operator.status(),
    find: () => operator.find('web'),
    threads: () => operator.threads('web'),
    events: () => operator.events(0, 1),
    changes: () => operator.changes(),
    wait: () => operator.wait(0, 1, true),
    setRef: () => operator.setRef(true),
  };
  for (const [name, call] of Object.entries(calls)) {
    expect(call, name).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_ECLOSED', message: 'the handle is closed' }));
  }
});

test('a Worker may end while its operator waits', async () => {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(${JSON.stringify(dist)}).then(({ native }) => {
      const operator = new (native().Operator)(workerData, true);
      operator.wait(operator.changes(), Infinity, true);
      globalThis.kept = operator;
      parentPort.postMessage('waiting');
    });`;
  for (let round = 0; round < 5; round++) {
    const worker = new Worker(code, { eval: true, workerData: dir });
    await new Promise((resolve) => worker.once('message', resolve));
    expect(await worker.terminate()).toBe(1);
  }
  expect(operator.status()).toEqual([]);
});

describe('the system', () => {
  test('knows users and processes, and says which it does not', () => {
    expect(native().resolveUser('root')).toMatchObject({ uid: 0, gid: 0 });
    expect(() => native().resolveUser('nobody-of-that-name')).toThrow('there is no user nobody-of-that-name');
    expect(native().startTime(process.pid)).toBeGreaterThan(0);
    expect(() => native().startTime(4_194_303)).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_EUNKNOWN' }));
  });

  test('a kernel call that failed carries errno and syscall', () => {
    const call = () => native().exec('/none', ['none'], [], []);
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_ESYS', errno: -2, syscall: 'execve' }));
  });

  test('answers what the kernel has', () => {
    for (const feature of ['pidfd', 'membarrier', 'cgroup-kill', 'shm']) {
      expect(native().kernelHas(feature)).toBeTypeOf('boolean');
    }
    expect(() => native().kernelHas('magic')).toThrow(TypeError);
  });

  test('holdfastd lies beside the addon', () => expect(existsSync(daemonPath())).toBe(true));
});
