/** The heartbeat cells of this process, as this thread sees them. */
import { threadId } from 'node:worker_threads';
import { publicly } from '../errors.js';
import { type NativeHearts, native } from '../native.js';
import { self } from '../process/self.js';

let known: NativeHearts | undefined;

/**
 * Attaches this process where a manager started it: where the cells lie depends on it. Throws where that fails, or there is
 * no addon.
 */
export function hearts(): NativeHearts {
  if (known === undefined) {
    self();
    known = native().hearts;
    publicly(() => known?.announce(threadId));
  }
  return known;
}
