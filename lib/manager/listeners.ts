/** The listeners of a client: `on('state' | 'failure' | 'restart', …)`. */

import { ValueError } from '../errors.js';
import type { NativeOperator } from '../native.js';
import { show } from '../show.js';
import { EventCursor } from './event-log.js';
import type { ClientEvent, ClientListener, HoldfastEvent } from './types.js';
import type { Watch } from './watch.js';

/** Which moves each of them tells. */
const MEANING: Readonly<Record<ClientEvent, (event: HoldfastEvent) => boolean>> = {
  state: () => true,
  failure: (event) => event.to === 'FAIL',
  restart: (event) => event.from === 'FAIL' && event.to === 'STARTED',
};

export class Listeners {
  readonly #operator: NativeOperator;
  readonly #watch: Watch;
  readonly #all = new Map<ClientEvent, Set<ClientListener>>();
  #stop: (() => void) | undefined;

  constructor(operator: NativeOperator, watch: Watch) {
    this.#operator = operator;
    this.#watch = watch;
  }

  add(event: ClientEvent, listener: ClientListener): void {
    if (!Object.hasOwn(MEANING, event)) {
      throw new ValueError(`there is no event ${show(event)}: listen to one of ${Object.keys(MEANING).join(', ')}`);
    }
    if (typeof listener !== 'function')
      throw new ValueError(`a listener must be a function, and is ${show(listener)}: give one`);
    this.#listen();
    this.#all.set(event, (this.#all.get(event) ?? new Set()).add(listener));
  }

  remove(event: ClientEvent, listener: ClientListener): void {
    this.#all.get(event)?.delete(listener);
    const isEmpty = [...this.#all.values()].every((listeners) => listeners.size === 0);
    if (!isEmpty) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #listen(): void {
    if (this.#stop !== undefined) return;
    const cursor = new EventCursor(this.#operator, 'now');
    this.#stop = this.#watch.listen(() => {
      for (const event of cursor.read()) if (event.type === 'state') this.#tell(event);
    });
  }

  #tell(event: HoldfastEvent): void {
    for (const [name, listeners] of this.#all) {
      if (!MEANING[name](event)) continue;
      for (const listener of [...listeners]) {
        try {
          listener(event);
        } catch (error) {
          // As of any listener of an emitter: uncaught, but the others hear the event and the watch goes on.
          process.nextTick(() => {
            throw error;
          });
        }
      }
    }
  }
}
