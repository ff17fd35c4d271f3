// SPDX-License-Identifier: MIT
// Required (--require) by Workers before their own code: from then on the isolate and the kernel thread of the Worker are
// known, so that its stack can be taken when it hangs. In a main thread it does nothing. It never throws: a Worker must
// start without it as well.
'use strict';
const { getEnvironmentData, isMainThread, setEnvironmentData, threadId } = require('node:worker_threads');

// See lib/heartbeat/thread.ts. It is taken out, or Workers of this one would inherit it.
function takeName() {
  const name = getEnvironmentData('holdfast.threadName');
  if (name === undefined) return;
  setEnvironmentData('holdfast.threadName', undefined);
  globalThis[Symbol.for('holdfast.threadName')] = name;
}

if (!isMainThread) {
  try {
    takeName();
    require('./load.cjs').load().hearts.announce(threadId);
  } catch {
    // Reports then say that this thread's stack can't be taken.
  }
}
