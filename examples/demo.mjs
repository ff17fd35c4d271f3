// SPDX-License-Identifier: MIT
// `npm run demo`: a real HTTP service crashes, hangs, exits, is killed and leaks a child; each time it comes back, and the reason is on
// the screen. Then the manager itself is killed. Everything that is told is checked: exit code 1 where something else happened.
// `--fast` leaves out the pauses for reading, which only a terminal gets.

import { good, pause, print, say, scene, table, tell, typed } from './demo/narrator.mjs';
import { DemoError, expect, lives, Stage, until } from './demo/stage.mjs';

const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const summary = [];

async function command(stage, ...argv) {
  await typed(`holdfast ${argv.join(' ')}`);
  await stage.holdfast(...argv);
}

async function comeUp(stage, connect) {
  await scene('1. A shop and its price service');
  say('The shop is an HTTP service; it depends on another process, "prices" (examples/shop/holdfast.yaml).');
  const began = performance.now();
  await command(stage, 'up');
  const tookMs = Math.round(performance.now() - began);
  const client = await connect({ dir: stage.dir });
  const order = [];
  for await (const event of client.events({ history: true })) {
    if (event.to === 'STARTED' || event.to === 'READY') order.push(`${event.name} ${event.to}`);
    if (order.length === 4) break;
  }
  expect(
    order.join() === 'prices STARTED,prices READY,shop STARTED,shop READY',
    `prices is READY before the shop: ${order}`,
  );
  const answer = await stage.ask('/');
  expect(answer?.status === 200, 'the shop answers');
  print();
  tell('what', `${order.join(', ')}; "up" took ${tookMs} ms`);
  tell('GET /', JSON.stringify(answer.body));
  return client;
}

/** Tells of one incident: what happened, why, how long it took. `expected` is cause and beginning of the reason. */
async function tellIncident(title, incident, [cause, reason]) {
  const { before, after, failure, timeline, readyMs, answerMs } = incident;
  expect(
    failure?.cause === cause && failure.brief.startsWith(reason),
    `cause ${cause}, "${reason} …"; it is ${JSON.stringify(failure)}`,
  );
  expect(!lives(before.pid), `the old shop (${before.pid}) is gone`);
  tell('what', timeline.map(({ state, ms }) => `${state} +${ms} ms`).join(', '));
  tell('why', `${failure.brief} (cause: ${failure.cause})`);
  tell(
    'recovery',
    `${good(`READY after ${readyMs} ms, first answer after ${answerMs} ms`)}; process ${before.pid} -> ${after.pid}`,
  );
  const againMs = timeline.find(({ state }) => state === 'STARTED').ms;
  summary.push([title, failure.brief, `${againMs} ms`, `${readyMs} ms`, `${answerMs} ms`]);
  await pause(1200);
}

async function crash(stage, client, incident) {
  await scene('2. It crashes: GET /crash');
  const happened = await incident(stage, client, () => stage.ask('/crash'));
  await tellIncident('GET /crash', happened, ['crash', 'killed by SIGSEGV']);
  await command(stage, 'logs', 'shop', '--lines', '3');
}

async function hang(stage, client, incident) {
  await scene('3. It hangs: GET /hang');
  say('It lives and answers nobody: a regular expression that takes minutes. No exit code will ever tell of it.');
  say('Its event loop has to turn every 500 ms ("heartbeat" in holdfast.yaml). Nothing in its code knows of that.');
  const happened = await incident(stage, client, () => stage.ask('/hang'));
  const { where, report } = happened.failure ?? {};
  expect(where?.startsWith('isCleanReview (server.mjs:'), `the function that hangs is named; it is ${where}`);
  expect(report !== null, 'a report with the stack was written');
  await tellIncident('GET /hang', happened, ['hang', 'event-loop silent for ']);
  await command(stage, 'status', 'shop');
}

async function exit(stage, client, incident) {
  await scene('4. It exits: GET /exit');
  const happened = await incident(stage, client, () => stage.ask('/exit'));
  await tellIncident('GET /exit', happened, ['exit', 'exited with code 3']);
}

async function kill(stage, client, incident) {
  await scene('5. It is killed: kill -9');
  const happened = await incident(stage, client, ({ pid }) => process.kill(pid, 'SIGKILL'));
  await tellIncident('kill -9', happened, ['crash', 'killed by SIGKILL']);
}

async function leak(stage, client, incident) {
  await scene('6. It leaves a child behind: GET /leak-child, then GET /crash');
  const leaked = (await stage.ask('/leak-child'))?.body.leaked;
  expect(leaked > 0 && lives(leaked), 'the shop has started a child');
  process.kill(leaked, 'SIGTERM');
  say(`Process ${leaked} has a session of its own and ignores SIGTERM. After the crash nobody would look for it.`);
  const happened = await incident(stage, client, () => stage.ask('/crash'));
  expect(!lives(leaked), `the leaked child ${leaked} is gone when the next shop is READY`);
  await tellIncident('GET /leak-child, /crash', happened, ['crash', 'killed by SIGSEGV']);
  tell('tree', `process ${leaked} was found and killed before the next shop was started`);
}

const identities = ({ processes }) =>
  processes
    .map(({ name, pid, restarts }) => `${name} ${pid} (${restarts} restarts)`)
    .sort()
    .join(', ');

/** Ask for the shop again and again, one request after the other, and count. */
class Customers {
  #isOver = false;
  #counts = { answered: 0, failed: 0 };
  #done;

  constructor(stage) {
    this.#done = this.#shop(stage);
  }

  async #shop(stage) {
    while (!this.#isOver) this.#counts[(await stage.ask('/'))?.status === 200 ? 'answered' : 'failed']++;
  }

  async goHome() {
    this.#isOver = true;
    await this.#done;
    return this.#counts;
  }
}

async function killManager(stage, client, incident) {
  await scene('7. The manager itself is killed: kill -9');
  const before = await client.status();
  const customers = new Customers(stage);
  const events = client.events();
  const began = Date.now();
  process.kill(before.manager.pid, 'SIGKILL');
  let tookMs = 0;
  for await (const event of events) {
    if (event.type !== 'manager') continue;
    tookMs = Date.parse(event.at) - began;
    break;
  }
  const after = await until('the status of the next manager', async () => {
    const status = await client.status();
    return status.manager.pid !== null && status.manager.pid !== before.manager.pid && status;
  });
  const { answered, failed } = await customers.goHome();
  expect(
    identities(after) === identities(before),
    `the same processes as before (${identities(before)}): ${identities(after)}`,
  );
  expect(failed === 0 && answered > 0, `the shop answered all the time; ${failed} of ${answered + failed} requests failed`);
  tell('what', `manager ${before.manager.pid} -> ${after.manager.pid}, ${good(`in charge after ${tookMs} ms`)}`);
  tell('running', `${identities(after)}: as before`);
  tell('shop', `answered all ${answered} requests meanwhile`);
  print();
  say('The new manager has adopted them, and watches as the old one did:');
  const happened = await incident(stage, client, ({ pid }) => process.kill(pid, 'SIGKILL'));
  await tellIncident('kill -9, new manager', happened, ['crash', 'killed by SIGKILL']);
}

async function lookBack(stage) {
  await scene('8. What is known of it afterwards');
  await command(stage, 'status');
  await pause(1200);
  await command(stage, 'events');
  await pause(1200);
}

async function comeDown(stage, client) {
  await scene('9. Down');
  client.close();
  await command(stage, 'down');
  const left = stage.remaining();
  expect(left.length === 0, `no process is left; there are ${left}`);
  stage.strike();
  tell('left', 'no process, no file in memory');
  await scene('Summary: from the failure to …');
  table([['what was done', 'what Holdfast says', 'started again', 'READY', 'first answer'], ...summary]);
  print();
  say('Most of it is the time that Node takes to start, and of the hang the 500 ms after which silence is one.');
  say('No JavaScript of Holdfast runs between failure and restart.');
}

async function main(stage) {
  const { connect } = await import('holdfast');
  const { incident } = await import('./demo/incident.mjs');
  const client = await comeUp(stage, connect);
  for (const part of [crash, hang, exit, kill, leak, killManager]) await part(stage, client, incident);
  await lookBack(stage);
  await comeDown(stage, client);
}

let stage;
for (const [signal, code] of Object.entries(SIGNAL_CODES)) {
  process.on(signal, () => {
    stage?.strike();
    process.exit(code);
  });
}
try {
  stage = await Stage.build();
  await main(stage);
} catch (error) {
  console.error(`demo: ${error instanceof DemoError ? error.message : error.stack}`);
  process.exitCode = 1;
} finally {
  stage?.strike();
  process.exit(); // what still waits for something in a story that went wrong waits in vain
}
