/** The public types, as a program uses them. It is compiled, never run: by `npm run check`, and against the package by consumer.test.ts. */

import * as api from '../../lib/exos.js';
import {
  type Client,
  connect,
  currentThread,
  DeadlockDetectedError,
  type ExosError,
  type getProcessName,
  type getProcessState,
  type getSystemMac,
  type HoldfastEvent,
  type isCapabilitySupported,
  Manager,
  type MonitoredThread,
  monitorEventLoop,
  type ProcessControl,
  type ProcessSpec,
  ProcessState,
  ready,
  type Status,
  setProcessName,
  Thread,
  ValueError,
  waitForStateSync,
} from '../../lib/index.js';
import { MonitoredThreadPool, type PoolOptions, type RunOptions } from '../../lib/pool.js';

/** Compiles where both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
const same = <A, B>(_: Same<A, B>) => {};

same<ReturnType<typeof getProcessName>, string>(true);
same<ReturnType<typeof getProcessState>, ProcessState>(true);
same<ProcessState, 'FAIL' | 'STOPPED' | 'STARTED' | 'BOOTING' | 'LOADCFG' | 'READY'>(true);
same<ReturnType<typeof waitForStateSync>, boolean>(true);
same<ReturnType<typeof getSystemMac>, readonly number[] | null>(true);
same<ReturnType<typeof isCapabilitySupported>, boolean>(true);
same<ReturnType<typeof connect>, Promise<Client>>(true);
same<typeof api.get_process_state, typeof getProcessState>(true);
same<typeof api.ProcessState, typeof ProcessState>(true);

const state: ProcessState = ProcessState.READY;
const literal: 'READY' = ProcessState.READY;
ready();
setProcessName('web');
waitForStateSync('web', state, 1000);
waitForStateSync('web', literal, 1000);
api.set_process_name('web');

same<ReturnType<typeof currentThread>, MonitoredThread>(true);
same<typeof api.Thread, typeof Thread>(true);
const thread: Thread = new Thread(new URL('./worker.js', 'file:///'), { name: 'importer', workerData: 1 });
for (const one of [thread, currentThread()] satisfies MonitoredThread[]) {
  one.register(1.5);
  one.keepalive();
  one.busy(500, 'sorting');
  one.deregister();
  same<[typeof one.name, typeof one.threadId], [string, number]>(true);
}
same<Promise<number>, ReturnType<Thread['terminate']>>(true);
const end: () => void = monitorEventLoop(5, { onHang: 'abort' });
end();
// @ts-expect-error it aborts or reports
monitorEventLoop(5, { onHang: 'restart' });

const error: ExosError = new ValueError('x');
const { code, errno, syscall }: { code: string; errno?: number; syscall?: string } = error;
const deadlock: ExosError = new DeadlockDetectedError('x', { cause: [code, errno, syscall] });

const spec: ProcessSpec = {
  name: 'web',
  run: ['node', 'server.js'],
  env: { PORT: 8080, DEBUG: true, NAME: 'x' },
  umask: '022',
  limits: { nofile: 4096, core: 'unlimited', as: { soft: 1, hard: 2 } },
  dependsOn: ['db'],
  ready: 'call',
  startTimeoutMs: 5000,
  backoff: { maxMs: 1000 },
  limit: { count: 5, withinMs: 60_000 },
  heartbeatMs: 500,
  stopped: 'fail',
  stopSignal: 'SIGINT',
  log: { maxBytes: 1, keep: 2 },
};

export async function use(client: Client): Promise<void> {
  const manager = new Manager({ instance: 'shop', dir: '/dev/shm/x', logDir: '/var/log/shop' });
  const both: ProcessControl[] = [client, manager];
  for (const control of both) {
    await control.define(spec);
    await control.startProcess('web');
    await control.stopProcess('web', { force: true });
    await control.waitFor('web', 'READY', { timeoutMs: 5 });
    const status: Status = await control.status();
    same<(typeof status.processes)[number]['pid'], number | null>(true);
    for (const { threads, statusText, lastFailure } of status.processes) {
      same<typeof statusText, string | null>(true);
      for (const { excused, note, silentMs } of threads) {
        same<typeof excused, 'traced' | 'stopped' | 'frozen' | 'busy' | null>(true);
        same<[typeof note, typeof silentMs], [string | null, number]>(true);
      }
      if (lastFailure === null) continue;
      const { thread, where, report, silentMs, latenessMs, brief } = lastFailure;
      same<[typeof thread, typeof where, typeof report], [string | null, string | null, string | null]>(true);
      same<[typeof silentMs, typeof latenessMs, typeof brief], [number | null, number | null, string]>(true);
    }
    for await (const event of control.events({ history: true })) same<typeof event, HoldfastEvent>(true);
    control.on('failure', ({ cause }) =>
      same<typeof cause, 'crash' | 'exit' | 'startTimeout' | 'spawn' | 'lost' | 'hang' | null>(true),
    );
  }
  await manager.start();
  await manager.stop();
  client.close();
  await client.shutdown();
  await connect({ instance: 'shop' });

  // @ts-expect-error no such event
  client.on('exit', () => {});
  // @ts-expect-error states are upper case
  await client.waitFor('web', 'ready');
  // @ts-expect-error a running instance is not started by its client
  await client.start();
  // @ts-expect-error a Manager is stopped, not closed
  manager.close();
  // @ts-expect-error durations are in milliseconds
  await client.define({ name: 'web', run: 'true', stopTimeout: '5s' });
  // @ts-expect-error a silent thread of a stopped process is left alone or taken for hung
  await client.define({ name: 'web', run: 'true', stopped: 'maybe' });
  // @ts-expect-error a definition has a program
  await client.define({ name: 'web' });
  // @ts-expect-error a code is not written to
  deadlock.code = 'ERR_HOLDFAST_VALUE';
}

const poolOptions: PoolOptions = { filename: 'job.js', minThreads: 0, maxQueue: 'auto' };
const runOptions: RunOptions = { name: 'resize', signal: new AbortController().signal };
const pool = new MonitoredThreadPool<{ path: string }, number>(4, 'thumbnails', 15, poolOptions);
same<typeof api.MonitoredThreadPool, typeof MonitoredThreadPool>(true);
same<typeof pool.name, string>(true);
same<ReturnType<typeof pool.submit>, Promise<number>>(true);
same<ReturnType<typeof pool.map>, AsyncIterableIterator<number>>(true);
same<ReturnType<typeof pool.shutdown>, Promise<void>>(true);
pool.submit({ path: 'a.png' }, runOptions);
pool.map(new Set([{ path: 'a.png' }]), runOptions);
await pool.run({ path: 'a.png' });
await pool.shutdown(false);
const anything = new MonitoredThreadPool(1, null);
same<ReturnType<typeof anything.submit>, ReturnType<typeof anything.run>>(true);
// @ts-expect-error the tasks of this pool have a path
pool.submit({ file: 'a.png' });
// @ts-expect-error maxWorkers says it
new MonitoredThreadPool(1, null, 15, { maxThreads: 2 });
