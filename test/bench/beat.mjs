// SPDX-License-Identifier: MIT
// What a beat costs, beside everything else that a program could do to say that it lives. JavaScript in beat-child.mjs (which also
// runs under a manager's eyes in no way differently: a beat is one store into memory), C in native/bench/beat.c.
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, run } from './command.mjs';
import { median, quantile, ratios } from './stats.mjs';
import { table } from './table.mjs';

const TARGET = 2;
const STRACE_BEATS = 1_000_000;
const CHILD = join(import.meta.dirname, 'beat-child.mjs');

/** The system calls of the thread that beats, between two that it makes for us: while it beats a million times. */
async function callsOfBeats(folder, signal) {
  const strace = await findProgram('strace');
  if (!strace) return { calls: null, why: 'strace is not installed: apt-get install strace' };
  const file = join(mkdtempSync(join(folder, 'strace-')), 'calls');
  await run(strace, ['-f', '-qq', '-o', file, process.execPath, CHILD, 'beats', String(STRACE_BEATS)], { signal });
  const lines = readFileSync(file, 'utf8').split('\n');
  const [from, to] = ['/holdfast-bench-begin', '/holdfast-bench-end'].map((mark) =>
    lines.findIndex((line) => line.includes(mark)),
  );
  if (from < 0 || to < from) return { calls: null, why: 'strace did not hear the marks' };
  const main = lines[from].split(' ')[0];
  const between = lines.slice(from + 1, to);
  return { calls: between.filter((line) => line.split(' ')[0] === main).length, first: between.slice(0, 5) };
}

/** @param options pairs (rounds), programs, folder, signal */
export async function beat({ pairs, programs, folder, signal }) {
  const js = JSON.parse(await run(process.execPath, [CHILD, 'compare', String(pairs)], { signal }));
  const c = JSON.parse(await run(join(programs, 'bench-beat'), [String(pairs)], { signal }));
  const system = await callsOfBeats(folder, signal);
  return {
    benchmark: 'beat',
    rounds: pairs,
    unit: 'ns',
    javascript: js,
    c,
    ratioToBare: median(ratios(js['keepalive()'], js['view[i]++'])),
    target: TARGET,
    strace: { beats: STRACE_BEATS, ...system },
  };
}

function rows(samples, ours) {
  return Object.entries(samples).map(([name, of]) => [
    name,
    median(of).toFixed(2),
    `${quantile(of, 0.25).toFixed(2)} to ${quantile(of, 0.75).toFixed(2)}`,
    median(ratios(of, samples[ours])).toFixed(1),
  ]);
}

export function beatText({ rounds, javascript, c, ratioToBare, target, strace }) {
  const head = ['', 'ns', 'middle half', 'times a beat'];
  const inC = Object.entries(c.ns).map(([name, ns]) => [name, ns.toFixed(2), (ns / c.ns.beat).toFixed(1)]);
  return [
    `beat: ${rounds} rounds, all in each; medians`,
    '',
    table(head, rows(javascript, 'keepalive()')),
    `keepalive() / view[i]++: ${ratioToBare.toFixed(2)}, wanted at most ${target.toFixed(1)}: ${ratioToBare <= target ? 'met' : 'missed'}`,
    '',
    table(['C', 'ns', 'times a beat'], inC),
    `C: beat / increment of a plain counter: ${c.ratio.beat_to_increment.toFixed(2)}, beat / plain store: ${c.ratio.beat_to_store.toFixed(2)}`,
    `system calls of ${strace.beats} keepalive(): ${strace.calls ?? `not counted: ${strace.why}`}, wanted 0`,
  ].join('\n');
}
