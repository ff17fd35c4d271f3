// SPDX-License-Identifier: MIT
// Required (NODE_OPTIONS) by programs whose definition has a `heartbeat`: the event loop of the main thread beats, without
// code in the program. Of the tree that a manager started, the first Node process that is no package manager does; this asks
// no more of the others than a look at their environment. It never throws, and says nothing unless a heartbeat that was
// asked for can't be had.
'use strict';
const { isMainThread } = require('node:worker_threads');

const PACKAGE_MANAGERS = /^(?:(?:npm|npx)(?:-cli)?|pnpm|pnpx|yarn|yarnpkg|yarn-\d[\w.-]*?|corepack)(?:\.[cm]?js)?$/;
/**
 * Of its own: the cell of monitorEventLoop, which a program may begin and end, is another one. No thread has this number.
 */
const KEY = 2 ** 32;
const BEATS_IN_PERIOD = 4;

function isPackageManager() {
  const { basename } = require('node:path');
  const script = process.argv[1];
  if (script === undefined) return false;
  const file = real(script);
  return [script, file].some((name) => PACKAGE_MANAGERS.test(basename(name))) || file === real(process.env.npm_execpath);
}

function real(file) {
  try {
    return file && require('node:fs').realpathSync(file);
  } catch {
    return file;
  }
}

function beat() {
  const { hearts } = require('./load.cjs').load();
  const periodMs = hearts.claimHeartbeat();
  if (periodMs === 0) return; // another process of the tree beats
  hearts.announce(0);
  const cell = hearts.claim('loop', KEY, 'event-loop');
  hearts.register(cell, periodMs, 1);
  hearts.beatFromLoop(cell, Math.max(1, Math.floor(periodMs / BEATS_IN_PERIOD)));
}

if (!isMainThread) {
  require('./announce.cjs');
} else if (process.env.HOLDFAST_HEARTBEAT && process.env.HOLDFAST_ATTACH && !isPackageManager()) {
  try {
    beat();
  } catch (error) {
    process.stderr.write(`holdfast: this process has no heartbeat: ${String(error?.message).split('\n')[0]}\n`);
  }
}
