/**
 * What jobs say of how long they will take. A worker of a pool writes it into memory that it shares with the thread that dispatches; no
 * message is sent, so neither loop has to turn.
 *
 * The table, one for a thread that makes pools and the workers below it: 512 entries of 80 bytes, found by Node's threadId.
 *   0   int32   threadId of the worker, 0: never used.       Taken by compare-and-swap, also from a worker whose time is over
 *   4   int32   bytes of `why`
 *   8   int64   when it was said, in microseconds of CLOCK_MONOTONIC
 *   16  int64   until when it takes.                         Stored last: an entry counts until then
 *   24  byte[56] why, UTF-8
 * The worker writes, the dispatcher reads. A worker that dies leaves an entry that nobody asks for and that its end frees.
 */
import { getEnvironmentData, setEnvironmentData, threadId } from 'node:worker_threads';
import { monotonicMs } from './clock.js';

const KEY = 'holdfast.announced.1';
const ENTRIES = 512;
const ENTRY_BYTES = 80;
const WORDS = ENTRY_BYTES / 4;
const LONGS = ENTRY_BYTES / 8;
const WHY_BYTES = 56;

/** What one worker said last. */
export interface Announcement {
  readonly saidMs: number;
  readonly untilMs: number;
  readonly why: string;
}

export class AnnouncementTable {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #longs: BigInt64Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(ENTRIES * ENTRY_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#longs = new BigInt64Array(buffer);
  }

  /** False where every entry belongs to a thread whose time is not over. */
  write(thread: number, nowMs: number, untilMs: number, why: string): boolean {
    const entry = this.#find(thread) ?? this.#take(thread, nowMs);
    if (entry === undefined) return false;
    const bytes = new Uint8Array(WHY_BYTES);
    const { written } = new TextEncoder().encodeInto(why, bytes);
    new Uint8Array(this.buffer, entry * ENTRY_BYTES + 24, WHY_BYTES).set(bytes);
    Atomics.store(this.#words, entry * WORDS + 1, written);
    Atomics.store(this.#longs, entry * LONGS + 1, microseconds(nowMs));
    Atomics.store(this.#longs, entry * LONGS + 2, microseconds(untilMs));
    return true;
  }

  read(thread: number): Announcement | undefined {
    const entry = this.#find(thread);
    if (entry === undefined) return undefined;
    const untilMs = Number(Atomics.load(this.#longs, entry * LONGS + 2)) / 1000;
    const saidMs = Number(Atomics.load(this.#longs, entry * LONGS + 1)) / 1000;
    const length = Atomics.load(this.#words, entry * WORDS + 1);
    const at = entry * ENTRY_BYTES + 24;
    return { saidMs, untilMs, why: Buffer.from(this.buffer, at, length).toString() };
  }

  #find(thread: number): number | undefined {
    for (const entry of places(thread)) {
      const owner = Atomics.load(this.#words, entry * WORDS);
      if (owner === 0) return undefined; // an entry never becomes unused again, so it lies before the first unused one
      if (owner === thread) return entry;
    }
    return undefined;
  }

  #take(thread: number, nowMs: number): number | undefined {
    return this.#swap(thread, (owner) => owner === 0) ?? this.#swap(thread, (_, entry) => this.#isOver(entry, nowMs));
  }

  #isOver(entry: number, nowMs: number): boolean {
    return Atomics.load(this.#longs, entry * LONGS + 2) < microseconds(nowMs);
  }

  #swap(thread: number, mayTake: (owner: number, entry: number) => boolean): number | undefined {
    for (const entry of places(thread)) {
      const owner = Atomics.load(this.#words, entry * WORDS);
      if (mayTake(owner, entry) && Atomics.compareExchange(this.#words, entry * WORDS, owner, thread) === owner)
        return entry;
    }
    return undefined;
  }
}

function* places(thread: number): Generator<number> {
  for (let step = 0; step < ENTRIES; step++) yield (thread + step) % ENTRIES;
}

function microseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1000));
}

let table: AnnouncementTable | undefined;

function sharedTable(): AnnouncementTable | undefined {
  const buffer = getEnvironmentData(KEY);
  if (table === undefined && buffer instanceof SharedArrayBuffer) table = new AnnouncementTable(buffer);
  return table;
}

/** The table of this thread, for its pools. Workers that it makes from now on write into it. */
export function announcements(): AnnouncementTable {
  const found = sharedTable();
  if (found !== undefined) return found;
  table = new AnnouncementTable();
  setEnvironmentData(KEY, table.buffer);
  return table;
}

/** Says that what runs in this thread takes `ms` from now on. Nobody hears it where the thread is no worker of a pool. */
export function announce(ms: number, why: string): void {
  if (threadId === 0) return;
  const nowMs = monotonicMs();
  sharedTable()?.write(threadId, nowMs, nowMs + ms, why);
}
