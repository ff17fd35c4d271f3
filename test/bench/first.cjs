// SPDX-License-Identifier: MIT
// The service of the Node benchmark: does what native/bench/first.c does. `node first.cjs FIFO`
const began = process.hrtime.bigint(); // before anything else: this is the moment that is measured
const { openSync, writeSync } = require('node:fs');
writeSync(openSync(process.argv[2], 'w'), new BigInt64Array([BigInt(process.pid), began]));
setInterval(() => {}, 1 << 30);
