// SPDX-License-Identifier: MIT
// What a keeper costs while nothing happens: its memory beside 0, 10 and 100 sleeping children, and the system calls that
// holdfastd makes in ten idle seconds. Memory is PSS: pages that processes share are counted once among them.
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { findProgram, keep } from './command.mjs';
import { holdfast, pm2, supervisord } from './keepers.mjs';
import { table } from './table.mjs';

const SLEEPER = ['/bin/sleep', '1000000'];
const TARGET_BYTES = 4 * 1024 * 1024;
const SETTLE_MS = 1000; // threads have gone to sleep, and freed memory went back
const ATTACH_MS = 1000; // strace interrupts what it attaches to: what follows from that is not idleness

function pssOf(pid) {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
}

/**
 * Listens to `pids`, threads and all, for `seconds`; then `stop()` ends them while strace still listens: if it hears nothing of
 * that, it would not have heard the rest either.
 */
async function idleCalls(pids, seconds, folder, stop, signal) {
  const strace = await findProgram('strace');
  if (!strace) {
    await stop();
    return { seconds, calls: null, why: 'strace is not installed: apt-get install strace' };
  }
  const file = join(folder, 'idle.strace');
  const tracer = keep(strace, ['-f', '-qq', '-ttt', '-o', file, ...pids.flatMap((pid) => ['-p', String(pid)])]);
  await rest(ATTACH_MS);
  const from = Date.now() / 1000;
  const aborted = await rest(seconds * 1000, null, { signal }).catch((error) => error);
  const to = Date.now() / 1000;
  await stop();
  if (aborted) throw aborted;
  await tracer.over; // by itself, when those that it listens to are gone
  const begun = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => /^(?<pid>\d+) +(?<at>[\d.]+) (?<call>\w+\(.*)$/.exec(line)?.groups) // not "<... resumed>", not "+++ exited"
    .filter(Boolean);
  const deaf = pids.find((pid) => !begun.some((call) => Number(call.pid) === pid && Number(call.at) >= to));
  if (deaf) return { seconds, calls: null, why: `strace heard nothing of process ${deaf}, not even its end` };
  const idle = begun.filter(({ at }) => Number(at) >= from && Number(at) < to);
  return { seconds, calls: idle.length, first: idle.slice(0, 20) };
}

async function measure(keeper, count, idleSeconds, folder, signal) {
  const running = await keeper.start({ argv: SLEEPER, count });
  let stop = running.stop;
  try {
    await rest(SETTLE_MS, null, { signal });
    const pssBytes = running.pids.map(pssOf).reduce((a, b) => a + b);
    const row = { keeper: keeper.name, children: count, processes: running.pids.length, pssBytes };
    if (!idleSeconds) return row;
    stop = async () => {};
    return { ...row, idle: await idleCalls(running.pids, idleSeconds, folder, running.stop, signal) };
  } finally {
    await stop();
  }
}

/** @param options counts (children), programs, folder, others, idleSeconds */
export async function footprint({ counts, programs, others, idleSeconds, folder: root, signal }) {
  const rows = [];
  const notMeasured = [];
  let idle = null;
  const makers = [(folder) => holdfast(programs, folder), ...(others ? [(folder) => pm2(folder, root), supervisord] : [])];
  for (const [number, make] of makers.entries()) {
    const ours = number === 0;
    const possible = counts.filter((count) => count > 0 || ours); // the others don't run without a program
    for (const count of possible) {
      const folder = mkdtempSync(join(root, 'footprint-'));
      const keeper = make(folder);
      const why = await keeper.prepare();
      if (why) {
        notMeasured.push({ name: keeper.name, why });
        break;
      }
      const listen = ours && idle === null && count > 0 ? idleSeconds : 0;
      const { idle: heard, ...row } = await measure(keeper, count, listen, folder, signal);
      rows.push(row);
      idle = heard ?? idle;
    }
  }
  return { benchmark: 'footprint', targetBytes: TARGET_BYTES, rows, idle, notMeasured };
}

const mb = (bytes) => (bytes / 1024 / 1024).toFixed(2);

export function footprintText({ rows, idle, notMeasured }) {
  const most = rows.filter(({ keeper }) => keeper === 'holdfastd').at(-1);
  const verdict = most.pssBytes <= TARGET_BYTES ? 'met' : 'missed';
  const calls = idle?.calls ?? `not counted: ${idle?.why}`;
  return [
    'footprint: memory of the keeper itself, its children not counted',
    '',
    table(
      ['', 'children', 'processes', 'PSS MiB'],
      rows.map(({ keeper, children, processes, pssBytes }) => [keeper, children, processes, mb(pssBytes)]),
    ),
    `holdfastd with ${most.children} children: ${mb(most.pssBytes)} MiB, wanted at most ${mb(TARGET_BYTES)}: ${verdict}`,
    ...(idle
      ? [`system calls of holdfastd (both processes, all threads) in ${idle.seconds} idle seconds: ${calls}, wanted 0`]
      : []),
    ...notMeasured.map(({ name, why }) => `${name} is not in the table: ${why}`),
  ].join('\n');
}
