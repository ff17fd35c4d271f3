/** What the constructor of a pool takes, and what it says to the rest. */
import { ExosError, ValueError } from '../errors.js';
import { show } from '../show.js';

/** The documented sentence, with what was given and the fix. */
export function checkedWorkers(maxWorkers: unknown): number {
  if (Number.isInteger(maxWorkers) && (maxWorkers as number) > 0) return maxWorkers as number;
  const what = 'max_workers must be greater than 0';
  if (typeof maxWorkers === 'number' && maxWorkers <= 0) throw new ValueError(what);
  throw new ValueError(`${what}, a whole number, and is ${show(maxWorkers)}: give the number of threads, such as 4`);
}

export function checkedName(name: unknown): string | null {
  if (name === null || (typeof name === 'string' && name !== '')) return name;
  throw new ValueError(
    `the name of a pool must be a string that is not empty, or null, and is ${show(name)}: give its name`,
  );
}

/** What a task gets that comes too late. */
export function closedError(): ExosError {
  return new ExosError('cannot schedule new futures after shutdown', { code: 'ERR_HOLDFAST_SHUTDOWN' });
}
