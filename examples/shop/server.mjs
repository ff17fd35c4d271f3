// SPDX-License-Identifier: MIT
// The shop: a small HTTP service that can be made to fail in the ways in which services do.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { getProcessName, getProcessState, ready } from 'holdfast';

const PRICES_URL = `http://127.0.0.1:${process.env.PRICES_PORT ?? 8081}/`;

/** One look at it and all seems well. On a long word that ends in "!" it tries every way to cut the word in parts, for minutes. */
function isCleanReview(text) {
  return /^(\w+\s?)*$/.test(text);
}

const pages = {
  '/': async () => {
    const prices = await (await fetch(PRICES_URL)).json();
    return { from: getProcessName(), pid: process.pid, pricesService: getProcessState('prices'), prices };
  },
  // What a bug in native code does: no JavaScript runs any more, no handler is asked.
  '/crash': () => {
    console.error('shop: /crash was asked for: SIGSEGV');
    process.kill(process.pid, 'SIGSEGV');
  },
  '/exit': () => {
    console.error('shop: /exit was asked for: code 3');
    process.exit(3);
  },
  // The process lives, and answers nobody any more.
  '/hang': () => {
    console.error('shop: /hang was asked for: a regular expression that does not end');
    return { clean: isCleanReview('wonderfulwonderfulwonderfulwonderful!') };
  },
  // A helper in a session of its own that is deaf to SIGTERM: the kind that survives its parent and holds on to things.
  '/leak-child': async () => {
    const child = spawn('sh', ['-c', 'trap "" TERM; echo deaf; exec sleep 3600'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.unref();
    await once(child.stdout, 'data');
    child.stdout.destroy();
    return { leaked: child.pid };
  },
};

async function answer(path) {
  const page = pages[path];
  if (page === undefined) return [404, { error: `no such page: ask for one of ${Object.keys(pages).join(', ')}` }];
  try {
    return [200, await page()];
  } catch (error) {
    return [503, { error: error.cause?.message ?? error.message }];
  }
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request.url);
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(body)}\n`);
});
server.listen(Number(process.env.SHOP_PORT ?? 8080), '127.0.0.1', () => {
  console.log(`shop: listening on port ${server.address().port}`);
  ready();
});
