/** Reading the event log of an instance: from a place on, in order, with a note where some were missed. */
import type { NativeOperator } from '../native.js';
import { toEvent } from './status.js';
import type { HoldfastEvent } from './types.js';
import type { Watch } from './watch.js';

const BATCH = 256;

/** A place in the log. */
export class EventCursor {
  readonly #operator: NativeOperator;
  #next: number;

  /** From now on, or from the oldest event that is still held. */
  constructor(operator: NativeOperator, from: 'now' | 'oldest') {
    this.#operator = operator;
    const { eventFirst, eventNext } = operator.instance();
    this.#next = from === 'now' ? eventNext : eventFirst;
  }

  /** What happened since the last call. The log is bounded: what was overwritten meanwhile becomes one `missed` event. */
  read(): HoldfastEvent[] {
    const all: HoldfastEvent[] = [];
    for (;;) {
      const { events, next } = this.#operator.events(this.#next, BATCH);
      const missed = next - this.#next - events.length;
      if (missed > 0) all.push(missedEvent(this.#next, missed));
      all.push(...events.map(toEvent));
      this.#next = next;
      if (events.length === 0) return all;
    }
  }
}

function missedEvent(sequence: number, count: number): HoldfastEvent {
  return {
    sequence,
    at: new Date().toISOString(),
    type: 'missed',
    name: null,
    incarnation: 0,
    pid: null,
    from: null,
    to: null,
    cause: null,
    exitCode: null,
    signal: null,
    errno: null,
    detail: `${count} events were overwritten before they were read`,
  };
}

/** The events of an instance, one after the other. It reads when it is asked, so a slow reader costs no memory. */
export async function* eventStream(watch: Watch, cursor: EventCursor): AsyncGenerator<HoldfastEvent, void, undefined> {
  for (;;) {
    const events = await watch.untilEnd(() => {
      const read = cursor.read();
      return read.length > 0 ? read : undefined;
    });
    if (events === undefined) return;
    yield* events;
  }
}
