// SPDX-License-Identifier: MIT
// The JavaScript side of `npm run bench -- beat`.  beat-child.mjs compare ROUNDS | beats COUNT
import { fork } from 'node:child_process';
import { accessSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentThread } from '../../dist/index.js';
import { native } from '../../dist/native.js';

const LOOP = 20_000_000;
const CALLS = 2_000_000;
const MESSAGES = 20_000;
const NS_PER_MS = 1e6;
const WARM_UPS = 10;

const view = new Int32Array(new ArrayBuffer(64));
const shared = new Int32Array(new SharedArrayBuffer(64));
const thread = currentThread();

/** Nanoseconds for one of `count`. Each subject has a loop of its own, so that none is compiled for another's types. */
function timed(count, loop) {
  const began = performance.now();
  loop(count);
  return ((performance.now() - began) * NS_PER_MS) / count;
}

function beatLoop(count) {
  for (let i = 0; i < count; i++) thread.keepalive();
}

function viewLoop(count) {
  const slot = 0;
  for (let i = 0; i < count; i++) view[slot]++;
}

function atomicsLoop(count) {
  for (let i = 0; i < count; i++) Atomics.store(shared, 0, i);
}

function nativeLoop(count) {
  const { hearts } = native();
  for (let i = 0; i < count; i++) hearts.offset(0); // a call across Node-API that does nearly nothing
}

function sendLoop(count) {
  for (let i = 0; i < count; i++) process.send('beat');
}

/** process.send needs a parent: a child of this process measures it. */
function sendRound() {
  return new Promise((resolve, reject) => {
    const child = fork(import.meta.filename, ['send', String(MESSAGES)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.on('error', reject);
    child.on('close', () => resolve(Number(text)));
    child.on('message', () => {}); // received, as a parent does
  });
}

async function compare(rounds) {
  thread.register(3600);
  const subjects = [
    ['keepalive()', LOOP, beatLoop],
    ['view[i]++', LOOP, viewLoop],
    ['Atomics.store', LOOP, atomicsLoop],
    ['a Node-API call', CALLS, nativeLoop],
  ];
  const samples = Object.fromEntries([...subjects.map(([name]) => [name, []]), ['process.send', []]]);
  for (const [, count, loop] of subjects) timed(count, loop); // compiled
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < subjects.length; at++) {
      const [name, count, loop] = subjects[(at + round) % subjects.length];
      samples[name].push(timed(count, loop));
    }
    samples['process.send'].push(await sendRound());
  }
  thread.deregister();
  console.log(JSON.stringify(samples));
}

/** Between two system calls that are easily found, nothing but beats. */
async function beats(count) {
  thread.register(3600);
  for (let warm = 0; warm < WARM_UPS; warm++) {
    beatLoop(count);
    await sleep(20); // V8 compiles in other threads, and takes the code over between two runs
  }
  const mark = (name) => {
    try {
      accessSync(name);
    } catch {
      // it is not there: only the call counts
    }
  };
  mark('/holdfast-bench-begin');
  beatLoop(count);
  mark('/holdfast-bench-end');
}

const [verb, count] = process.argv.slice(2);
if (verb === 'compare') await compare(Number(count));
else if (verb === 'beats') await beats(Number(count));
else {
  const ns = timed(Number(count), sendLoop);
  process.stdout.write(String(ns), () => process.disconnect());
}
