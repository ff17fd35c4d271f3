// SPDX-License-Identifier: MIT
// Runs at `npm install`: does nothing where the native part is there already, else compiles it with npm's node-gyp.
'use strict';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const root = path.resolve(__dirname, '..');

function isBuilt() {
  const { load } = require('../native/load.cjs');
  try {
    load();
    return fs.existsSync(path.join(path.dirname(load({ path: true })), 'holdfastd'));
  } catch (error) {
    console.error(`holdfast: ${error.message.split('\n')[0]}: compiling`);
    return false;
  }
}

// node-gyp downloads the headers of Node unless it is told where they are; most installations have them beside the program.
function environment() {
  const prefix = path.resolve(process.execPath, '..', '..');
  const here = fs.existsSync(path.join(prefix, 'include/node/common.gypi'));
  return here ? { npm_config_nodedir: prefix, ...process.env } : process.env;
}

function compile() {
  const options = { cwd: root, env: environment(), stdio: 'inherit' };
  const bundled = process.env.npm_config_node_gyp; // npm sets it in every script; other package managers may not
  return bundled ? spawnSync(process.execPath, [bundled, 'rebuild'], options) : spawnSync('node-gyp', ['rebuild'], options);
}

if (process.env.npm_config_build_from_source === 'true' || !isBuilt()) {
  const { status } = compile();
  if (status !== 0) {
    console.error(
      'holdfast: it could not be compiled: install a C and C++ compiler, make and python3, then run `npm rebuild holdfast`',
    );
    process.exit(1);
  }
}
