// SPDX-License-Identifier: MIT
// Something happens to the shop: provoked, followed in the event log, and timed until the shop answers again.
import { DemoError, expect, until } from './stage.mjs';

/** A run of this length makes the next restart immediate: `resetAfter` of examples/shop/holdfast.yaml, and a little more. */
const GOOD_RUN_MS = 1100;

export async function processNamed(client, name) {
  const { processes } = await client.status();
  const found = processes.find((one) => one.name === name);
  expect(found !== undefined, `there is a process "${name}"`);
  return found;
}

/** The moves of the shop up to the READY of a later incarnation. */
async function movesUntilReady(events, incarnation) {
  const moves = [];
  for await (const event of events) {
    if (event.type !== 'state' || event.name !== 'shop') continue;
    moves.push(event);
    if (event.to === 'READY' && event.incarnation > incarnation) return moves;
  }
  throw new DemoError('the instance ended while the shop was to come back');
}

/** Asks the shop until another process than before answers; when that was. */
async function nextAnswer(stage, pidBefore) {
  const answer = await until('an answer of the next shop', async () => {
    const got = await stage.ask('/');
    return got?.status === 200 && got.body.pid !== pidBefore && { at: Date.now(), pid: got.body.pid };
  });
  return answer;
}

/**
 * Lets `provoke` do something to the shop, and waits until it serves again. Times are milliseconds since just before that: of
 * moves by the event log, of the first answer by this process; both read the same clock.
 */
export async function incident(stage, client, provoke) {
  const before = await until(
    'a run of the shop that is long enough',
    async () => {
      const shop = await processNamed(client, 'shop');
      return shop.state === 'READY' && shop.uptimeMs >= GOOD_RUN_MS && shop;
    },
    20,
  );
  const events = client.events(); // from now on
  const began = Date.now();
  const provoked = provoke(before);
  const [moves, answer] = await Promise.all([movesUntilReady(events, before.incarnation), nextAnswer(stage, before.pid)]);
  await provoked;
  const after = await processNamed(client, 'shop');
  expect(after.pid === answer.pid, `the process that answers (${answer.pid}) is the one of the status (${after.pid})`);
  expect(
    after.restarts === before.restarts + 1,
    `the shop was restarted once; it was ${after.restarts - before.restarts} times`,
  );
  const timeline = moves.map((move) => ({ state: move.to, ms: Date.parse(move.at) - began }));
  return { before, after, failure: after.lastFailure, timeline, readyMs: timeline.at(-1).ms, answerMs: answer.at - began };
}
