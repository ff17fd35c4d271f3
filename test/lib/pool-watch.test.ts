/** The rule of what a stuck pool is, with a clock that is moved by hand, and a judge that counts as the real one does. */
import { describe, expect, test } from 'vitest';
import { POOL_GRACE, PoolWatch, poolNote } from '../../lib/heartbeat/pool-watch.js';

const PERIOD = 1000;
const LOOK = PERIOD / 10;

/** A pool of `max` workers, of which `started` exist, and the judge above it. */
class Scene {
  nowMs = 0;
  completed = 0;
  running = 0;
  waiting = 0;
  started: number;
  announcedUntilMs = Number.NEGATIVE_INFINITY;
  /** Set while the loop that dispatches is blocked: its timer does not run. */
  blocked = false;
  readonly #watch = new PoolWatch();
  #silentFromMs = 0;

  readonly max: number;

  constructor(max: number, started = max) {
    this.max = max;
    this.started = started;
    this.look();
  }

  get idle(): boolean {
    return this.running < this.started;
  }

  get room(): boolean {
    return this.started < this.max;
  }

  look(): void {
    if (this.#watch.isAlive(this)) this.#silentFromMs = this.nowMs;
    const extraMs = this.#watch.extension(this.announcedUntilMs, this.nowMs);
    if (extraMs > 0) this.#silentFromMs = this.nowMs + extraMs;
  }

  submit(): void {
    this.look();
    if (this.idle) this.running++;
    else if (this.room) {
      this.started++;
      this.running++;
    } else this.waiting++;
  }

  end(): void {
    this.completed++;
    if (this.waiting > 0) this.waiting--;
    else this.running--;
    this.look();
  }

  pass(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs = Math.min(end, Math.floor(this.nowMs / LOOK + 1) * LOOK);
      if (!this.blocked) this.look();
    }
  }

  get deadlineMs(): number {
    return this.#silentFromMs + POOL_GRACE * PERIOD;
  }

  get failed(): boolean {
    return this.nowMs > this.deadlineMs;
  }
}

/** Passes the time until the judge condemns; when that was. */
function untilFailed(scene: Scene, limitMs: number): number {
  for (const end = scene.nowMs + limitMs; scene.nowMs < end && !scene.failed; ) scene.pass(1);
  return scene.failed ? scene.nowMs : Number.POSITIVE_INFINITY;
}

test.each([1, 4])('an idle pool lives, with %i workers and with none', (started) => {
  for (const workers of [started, 0]) {
    const scene = new Scene(4, workers);
    expect(untilFailed(scene, 10 * PERIOD)).toBe(Number.POSITIVE_INFINITY);
  }
});

test('its silence begins when the last free worker gets a job, wherever in a period that is', () => {
  for (let at = 0; at < 2 * PERIOD; at += 37) {
    const scene = new Scene(2);
    scene.pass(at);
    scene.submit();
    scene.pass(5);
    scene.submit();
    expect(untilFailed(scene, 10 * PERIOD)).toBe(at + 5 + POOL_GRACE * PERIOD + 1);
  }
});

test('or when the last job ended', () => {
  for (let at = 0; at < 2 * PERIOD; at += 37) {
    const scene = new Scene(2);
    for (let jobs = 0; jobs < 5; jobs++) scene.submit();
    scene.pass(at);
    scene.end();
    expect(untilFailed(scene, 10 * PERIOD)).toBe(at + POOL_GRACE * PERIOD + 1);
  }
});

test('jobs that take a little less than 3 periods live, on every worker, again and again', () => {
  const scene = new Scene(2);
  for (let jobs = 0; jobs < 20; jobs++) scene.submit();
  for (let ended = 0; ended < 20; ended += 2) {
    expect(untilFailed(scene, POOL_GRACE * PERIOD - 1)).toBe(Number.POSITIVE_INFINITY);
    scene.end();
    scene.end();
  }
  expect(scene.running + scene.waiting).toBe(0);
});

test('a job for ever beside a free worker, or one that may be started, is no failure; work that waits for a worker is', () => {
  const beside = new Scene(2);
  beside.submit();
  expect(untilFailed(beside, 10 * PERIOD)).toBe(Number.POSITIVE_INFINITY);

  const mayStart = new Scene(2, 1);
  mayStart.submit();
  expect(untilFailed(mayStart, 10 * PERIOD)).toBe(Number.POSITIVE_INFINITY);

  const none = new Scene(2, 0);
  none.waiting = 1; // it could be started, but is not
  expect(untilFailed(none, 10 * PERIOD)).toBe(POOL_GRACE * PERIOD + 1);
});

test('handing in more work is no sign of life', () => {
  const scene = new Scene(1);
  scene.submit();
  for (let tick = 0; tick < 40; tick++) {
    scene.pass(PERIOD / 10);
    scene.submit();
    if (scene.failed) break;
  }
  expect(scene.nowMs).toBe(POOL_GRACE * PERIOD + LOOK);
});

test('a loop that is blocked for 3 periods is a stuck pool, even an idle one; a tenth of a period less is none', () => {
  for (let at = 0; at < PERIOD; at += 37) {
    const scene = new Scene(4);
    scene.pass(at);
    scene.blocked = true;
    const failedAt = untilFailed(scene, 10 * PERIOD) - at;
    expect(failedAt).toBeGreaterThan(POOL_GRACE * PERIOD - LOOK);
    expect(failedAt).toBeLessThanOrEqual(POOL_GRACE * PERIOD + 1);
  }
});

describe('a job that says that it takes longer', () => {
  test('puts the deadline off by that, however long before its 3 periods are over it says so', () => {
    const scene = new Scene(1);
    scene.submit();
    scene.pass(2 * PERIOD);
    scene.announcedUntilMs = scene.nowMs + 20 * PERIOD;
    expect(untilFailed(scene, 50 * PERIOD)).toBe(22 * PERIOD + POOL_GRACE * PERIOD + 1);
  });

  test('does so while other jobs come and go', () => {
    const scene = new Scene(2);
    scene.submit();
    scene.announcedUntilMs = 20 * PERIOD;
    for (let jobs = 0; jobs < 5; jobs++) {
      scene.submit();
      scene.pass(PERIOD);
      scene.end();
    }
    scene.submit();
    expect(untilFailed(scene, 50 * PERIOD)).toBe(20 * PERIOD + POOL_GRACE * PERIOD + 1);
  });

  test('takes nothing of that over to the jobs after it', () => {
    const scene = new Scene(1);
    scene.submit();
    scene.announcedUntilMs = 20 * PERIOD;
    scene.pass(PERIOD);
    scene.announcedUntilMs = Number.NEGATIVE_INFINITY;
    scene.end();
    scene.submit();
    expect(untilFailed(scene, 50 * PERIOD)).toBe(PERIOD + POOL_GRACE * PERIOD + 1);
  });

  test('an announcement that is over puts nothing off', () => {
    const scene = new Scene(1);
    scene.announcedUntilMs = 10;
    scene.pass(20);
    scene.submit();
    expect(untilFailed(scene, 50 * PERIOD)).toBe(20 + POOL_GRACE * PERIOD + 1);
  });
});

test('what it says of itself fits into a cell', () => {
  expect(poolNote(12, 3421, 4, 4)).toBe('queue 12, oldest 3.4 s, 4/4 busy');
  expect(poolNote(9_999_999, 10 * 24 * 3600 * 1000, 512, 512)).toBe('queue 9999999, oldest 864000 s, 512/512 busy');
  expect(poolNote(9_999_999, 10 * 24 * 3600 * 1000, 512, 512).length).toBeLessThanOrEqual(47);
});
