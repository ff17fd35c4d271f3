// SPDX-License-Identifier: MIT
// How long a service that was killed stays away: from kill -9 to the first instruction of its replacement. Every round kills the
// same service under each keeper, and the figure is the median of the ratios to the bare respawner of the same round.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, stopAll } from './command.mjs';
import { bare, holdfast, pm2, supervisord } from './keepers.mjs';
import { median, quantile, ratios } from './stats.mjs';
import { table } from './table.mjs';

const PARTS = [
  { part: 'node', title: 'a Node program', target: 1.1, pauseMs: 150 }, // it has loaded all of itself by then
  { part: 'c', title: 'a C program', target: 1.5, pauseMs: 50 },
];

function keepersOf(part, folder, { programs, folder: shared, others }) {
  const ours = [bare(programs, part), holdfast(programs, folder)];
  return others ? [...ours, pm2(folder, shared), supervisord(folder)] : ours;
}

function serviceOf(part, programs) {
  return part === 'node' ? [process.execPath, join(import.meta.dirname, 'first.cjs')] : [join(programs, 'bench-first')];
}

function systemdWhy() {
  const runs = readFileSync('/proc/1/comm', 'utf8').trim() === 'systemd';
  return runs ? 'a benchmark writes no unit files into a running system' : 'it does not run on this machine';
}

async function readyKeepers(all, others) {
  const keepers = [];
  const notMeasured = others ? [{ name: 'systemd', why: systemdWhy() }] : [];
  for (const keeper of all) {
    const why = await keeper.prepare();
    if (why) notMeasured.push({ name: keeper.name, why });
    else keepers.push(keeper);
  }
  return { keepers, notMeasured };
}

/** One line a kill: number of the keeper, nanoseconds. */
function samplesOf(keepers, output) {
  const samples = Object.fromEntries(keepers.map(({ name }) => [name, []]));
  for (const line of output.trim().split('\n')) {
    const [number, ns] = line.split(' ').map(Number);
    samples[keepers[number].name].push(ns);
  }
  return samples;
}

async function measure({ part, title, target, pauseMs }, options) {
  const folder = join(options.folder, part);
  mkdirSync(folder);
  const { keepers, notMeasured } = await readyKeepers(keepersOf(part, folder, options), options.others);
  const fifos = keepers.map(({ name }) => join(folder, `${name}.fifo`));
  await run('mkfifo', fifos);
  const running = [];
  try {
    const argv = serviceOf(part, options.programs);
    for (const [i, keeper] of keepers.entries()) running.push(await keeper.start({ argv: [...argv, fifos[i]], count: 1 }));
    const strike = join(options.programs, 'bench-strike');
    const { pairs, signal } = options;
    const samples = samplesOf(keepers, await run(strike, [String(pairs), String(pauseMs), ...fifos], { signal }));
    const entries = Object.entries(samples).map(([name, of]) => [name, ratios(of, samples.bare)]);
    return {
      part,
      title,
      target,
      unit: 'ns',
      samples,
      ratios: Object.fromEntries(entries),
      medianRatios: Object.fromEntries(entries.map(([name, of]) => [name, median(of)])),
      notMeasured,
    };
  } finally {
    await stopAll(running);
  }
}

/** @param options pairs, programs (folder of the built programs), folder (for scratch files), others (measure these too) */
export async function recover(options) {
  const parts = [];
  for (const part of PARTS) parts.push(await measure(part, options));
  return { benchmark: 'recover', pairs: options.pairs, parts };
}

const ms = (ns) => (ns / 1e6).toFixed(2);

function partText({ title, target, samples, ratios, medianRatios, notMeasured }) {
  const rows = Object.entries(samples).map(([name, of]) => [
    name,
    ms(quantile(of, 0.25)),
    ms(median(of)),
    ms(quantile(of, 0.75)),
    medianRatios[name].toFixed(2),
    `${quantile(ratios[name], 0.25).toFixed(2)} to ${quantile(ratios[name], 0.75).toFixed(2)}`,
  ]);
  const got = medianRatios.holdfastd;
  return [
    `${title}, milliseconds from kill -9 to its replacement's first instruction`,
    table(['', 'quarter', 'median', '3 quarters', 'ratio', 'middle half'], rows),
    `holdfastd / bare: ${got.toFixed(3)}, wanted at most ${target.toFixed(2)}: ${got <= target ? 'met' : 'missed'}`,
    ...notMeasured.map(({ name, why }) => `${name} is not in the table: ${why}`),
  ].join('\n');
}

export function recoverText({ pairs, parts }) {
  return [
    `recover: ${pairs} rounds, each kills all once; ratio: median of the rounds' ratios to bare`,
    ...parts.map(partText),
  ].join('\n\n');
}
