/** The public types, as a program uses them. It is compiled, never run: by `npm run check`, and against the package by consumer.test.ts. */

import * as api from '../../lib/exos.js';
import {
  type Client,
  connect,
  DeadlockDetectedError,
  type ExosError,
  type getProcessName,
  type getProcessState,
  type getSystemMac,
  type HoldfastEvent,
  type isCapabilitySupported,
  Manager,
  type ProcessControl,
  type ProcessSpec,
  ProcessState,
  ready,
  type Status,
  setProcessName,
  ValueError,
  waitForStateSync,
} from '../../lib/index.js';

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
    for await (const event of control.events({ history: true })) same<typeof event, HoldfastEvent>(true);
    control.on('failure', ({ cause }) =>
      same<typeof cause, 'crash' | 'exit' | 'startTimeout' | 'spawn' | 'lost' | null>(true),
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
  // @ts-expect-error a definition has a program
  await client.define({ name: 'web' });
  // @ts-expect-error a code is not written to
  deadlock.code = 'ERR_HOLDFAST_VALUE';
}
