// SPDX-License-Identifier: MIT
// Finds and loads the addon, from lib/ and dist/ alike: what was built here wins over a prebuilt file.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const bindings = require('bindings');

// Read from the ELF interpreter of this program: process.report would wait for every worker that is inside native code.
function libc() {
  let fd;
  try {
    fd = fs.openSync(process.execPath, 'r');
    const head = Buffer.alloc(4096);
    fs.readSync(fd, head, 0, head.length, 0);
    return head.includes('/ld-musl-') ? 'musl' : 'glibc';
  } catch {
    return 'glibc';
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function load(options) {
  return bindings({
    bindings: 'holdfast.node',
    module_root: path.resolve(__dirname, '..'),
    target: `${process.platform}-${process.arch}`,
    tagged: `holdfast.${libc()}.node`,
    try: [
      ['module_root', 'build', 'Release', 'bindings'],
      ['module_root', 'build', 'Debug', 'bindings'],
      ['module_root', 'prebuilds', 'target', 'tagged'],
    ],
    ...options,
  });
}

module.exports = { load };
