// SPDX-License-Identifier: MIT
// The bare respawner of the Node benchmark: spawns again when its child exits, and does nothing else.
// `node respawn.cjs PROGRAM [ARGUMENTS]`; SIGTERM ends it and its child.
const { spawn } = require('node:child_process');
let child;

function start() {
  child = spawn(process.argv[2], process.argv.slice(3), { stdio: 'ignore' });
  child.on('exit', (code) => {
    if (code === null) return start();
    console.error(`respawn: ${process.argv[2]} ended with code ${code}`);
    process.exit(1); // it could not do its work: no use in trying again
  });
}

process.on('SIGTERM', () => {
  child.removeAllListeners('exit');
  child.kill('SIGKILL');
  process.exit();
});
start();
