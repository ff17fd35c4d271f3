/** The report of a hang names the function and the line; where it can't, it says so, and has what the kernel knows. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { holdfast, nodes, run } from './alone.js';

const HEAD = [
  `import { monitorEventLoop, Thread } from '${holdfast}'`,
  "import * as fs from 'node:fs'",
  "import { execFileSync } from 'node:child_process'",
  "import { deepStrictEqual } from 'node:assert'",
].join('; ');
const TAIL = [
  "monitorEventLoop(0.3, { onHang: 'report' });",
  'setTimeout(() => hang(), 20);',
  'setInterval(() => {}, 60_000);',
];

/** How it hangs, from line 2 of hang.mjs on; how the report tells where, up to the column; and the newest frame, where it is another one. */
type Way = readonly [code: readonly string[], where: string, frame?: string];

const IN_JAVASCRIPT: Readonly<Record<string, Way>> = {
  'a loop, three calls deep': [
    ['function hang() { second(); }', 'function second() { third(); }', 'function third() {', '  while (true);', '}'],
    'third (hang.mjs:5',
  ],
  'a catastrophic regular expression': [
    ['function hang() {', '  return /^(a+)+$/.test("a".repeat(60) + "!");', '}'],
    'hang (hang.mjs:3',
    'RegExp.test (<anonymous>)',
  ],
  'Atomics.wait for ever': [
    ['function hang() {', '  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);', '}'],
    'hang (hang.mjs:3',
    'Atomics.wait (<anonymous>)',
  ],
  'a method': [
    ['class Server {', '  listen() { while (true); }', '}', 'const hang = () => new Server().listen();'],
    'Server.listen (hang.mjs:3',
  ],
  'an async function, later': [['async function hang() {', '  await null;', '  while (true);', '}'], 'hang (hang.mjs:4'],
  'a function without a name': [['const hang = () => [1].map(() => {', '  while (true);', '});'], '<anonymous> (hang.mjs:3'],
  'a callback of a builtin': [
    ['const hang = () => [2, 1].sort(compare);', 'function compare() { while (true); }'],
    'compare (hang.mjs:3',
  ],
  'evaluated code': [
    ['function hang() {', '  eval("(function evaluated() { while (true); })()");', '}'],
    'evaluated (hang.mjs:3',
  ],
  'code that Node calls': [
    ['const endless = { get a() { while (true); } };', 'const hang = () => deepStrictEqual(endless, { a: 1 });'],
    'get a (hang.mjs:2',
  ],
  'a deep recursion': [
    ['function hang(depth = 3000) {', '  if (depth > 0) hang(depth - 1);', '  while (true);', '}'],
    'hang (hang.mjs:4',
  ],
  'a name of other letters': [['const hang = () => größe();', 'function größe() { while (true); }'], 'größe (hang.mjs:3'],
};

const NO_ANSWER = 'no answer in 300 ms: it is inside a builtin, a system call or native code';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-stack-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The first report of a program that hangs. The kernel's view is the end of it. */
async function report(node: string, code: readonly string[]): Promise<string> {
  const file = join(folder, 'hang.mjs');
  writeFileSync(file, [HEAD, ...code, ...TAIL].join('\n'));
  return (await run(file, { node, killOn: /^system call: .*\n/m })).stderr;
}

describe.each(nodes)('%s', (node) => {
  test.each(Object.entries(IN_JAVASCRIPT))('%s', async (_, [code, where, frame]) => {
    const text = await report(node, code);
    expect(text).toMatch(
      /^Because the event-loop \(\d+\) thread of process \d+, has not responded within 1 periods of 0\.3 s/,
    );
    expect(/^where: (.*):\d+\)$/m.exec(text)?.[1]).toBe(where);
    const [, newest] = /^JavaScript stack of event-loop \(threadId 0, tid \d+\):\n {4}at (.*)$/m.exec(text) ?? [];
    expect(newest).toContain(frame ?? 'hang.mjs');
  });

  test('fs.readSync of an empty FIFO: what the kernel knows', async () => {
    const fifo = join(folder, 'fifo');
    const open = `execFileSync('mkfifo', ['${fifo}']); const fd = fs.openSync('${fifo}', 'r+');`;
    const text = await report(node, [open, 'const hang = () => fs.readSync(fd, Buffer.alloc(1));']);
    expect(text).toContain(NO_ANSWER);
    expect(text).toMatch(/^where: read of fifo, fd \d+$/m);
    expect(text).toMatch(/^system call: read of fd \d+ \(.*\/fifo\)$/m);
  });

  test('child_process.execSync of a command that does not end', async () => {
    const text = await report(node, ['const hang = () => execFileSync("sleep", ["5"]);']);
    expect(text).toContain(NO_ANSWER);
    expect(text).toMatch(/^where: epoll_p?wait of \[eventpoll\], fd \d+$/m);
  });

  test('JSON.parse of seconds: that it runs in a builtin or native code', async () => {
    const long = `const text = "[" + '{"a":1},'.repeat(6_000_000) + "1]";`;
    const text = await report(node, [long, 'const hang = () => JSON.parse(text);']);
    expect(text).toContain(NO_ANSWER);
    expect(text).toMatch(/^where: running a builtin or native code$/m);
  });

  test('a Worker in a loop', async () => {
    const worker = join(folder, 'worker.mjs');
    const code = [
      `import { monitorEventLoop } from '${holdfast}';`,
      'setTimeout(() => endless(), 50);',
      'function endless() {',
    ];
    writeFileSync(worker, [...code, '  while (true);', '}', "monitorEventLoop(0.3, { onHang: 'report' });"].join('\n'));
    const text = await report(node, [`new Thread('${worker}');`, 'const hang = () => {};']);
    expect(text).toMatch(/^Because the event-loop-1 \(\d+\) thread/);
    expect(text).toMatch(/^where: endless \(worker\.mjs:4:\d+\)$/m);
    expect(text).toMatch(/^JavaScript stack of event-loop-1 \(threadId 1, tid \d+\):\n {4}at endless /m);
  });

  test('the threads that were asked for too: one that spins, one that is idle, one that is gone', async () => {
    const spins = JSON.stringify('setTimeout(function endless() { for (;;); }, 50)');
    const idles = JSON.stringify('setInterval(() => {}, 60_000)');
    const text = await report(node, [
      `const { native } = await import(new URL('native.js', '${holdfast}'));`,
      `new Thread(${spins}, { eval: true, execArgv: [], name: 'spins' }); new Thread(${idles}, { eval: true, execArgv: [] });`,
      "const { hearts } = native(); const cell = hearts.claim('pool', 1, 'importers');",
      'hearts.captureAlso(cell, [1, 2, 99]); hearts.register(cell, 700, 1);',
      "const hang = () => hearts.judgeHere(cell, 'report');",
    ]);
    const [, judged, first, second, third] = text.split(/^JavaScript stack of /m);
    expect(judged).toMatch(/^importers \(threadId 0, tid \d+\):\n {4}none: it waits for events, and runs no JavaScript\n/);
    expect(first).toMatch(/^spins \(threadId 1, tid \d+\):\n {4}at Timeout\.endless .*\[worker eval\]:1/);
    expect(second).toMatch(
      /^worker-2 \(threadId 2, tid \d+\):\n {4}none: it waits for events, .*\n {4}state: S \(sleeping\)\n/,
    );
    expect(third).toMatch(/^worker-99 \(threadId 99, tid 0\):\n {4}not known: that thread has ended/);
  });
});
