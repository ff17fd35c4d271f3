/** connect(): the client of an instance that runs already. */
import { ExosError, publicly } from '../errors.js';
import { type NativeOperator, native } from '../native.js';
import { OperatorClient } from './client.js';
import { defaultLogDir } from './log-dir.js';
import type { Client } from './types.js';
import { goneError } from './watch.js';

/** Which instance is meant. */
export interface ConnectOptions {
  /** `$HOLDFAST_INSTANCE`, then `default`, unless given. */
  instance?: string;
  /** `$HOLDFAST_DIR`, then the default place of the instance, unless given. */
  dir?: string;
}

/** Opens a directory; where there is none, nobody runs there. */
function open(dir: string): NativeOperator {
  try {
    return publicly(() => new (native().Operator)(dir, false));
  } catch (error) {
    if (error instanceof ExosError && error.code === 'ERR_HOLDFAST_NOENT') throw goneError(dir);
    throw error;
  }
}

/**
 * Connects to a running instance. Rejects with `ERR_HOLDFAST_NO_MANAGER` where none runs, with `ERR_HOLDFAST_VALUE` where `dir`
 * can't be the directory of an instance.
 */
export async function connect({ instance, dir }: ConnectOptions = {}): Promise<Client> {
  const name = instance ?? (process.env.HOLDFAST_INSTANCE || 'default');
  const place = publicly(() => native().resolveDir(dir ?? null, name));
  const operator = open(place);
  try {
    const { managerPid, guardianPid, instance: found } = publicly(() => operator.instance());
    if (managerPid === 0 && guardianPid === 0) throw goneError(place);
    const called = found === '' ? name : found;
    const logDir = publicly(() => operator.setting('log_dir')) ?? defaultLogDir(called);
    return new OperatorClient(operator, { instance: called, logDir });
  } catch (error) {
    operator.close();
    throw error;
  }
}
