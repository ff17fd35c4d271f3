// SPDX-License-Identifier: MIT
// How long a hang stays unseen, in periods of its heartbeat, from the last beat by the program's own record to the verdict.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';
import { holdfast } from './keepers.mjs';
import { median, quantile } from './stats.mjs';
import { table } from './table.mjs';

const MEDIAN_MAX = 1.1;
const BOUND = { periods: 1.15, ms: 5, share: 48 / 50 };

/** @param options hangs (how many), seed, programs, folder, signal */
export async function detect({ hangs, seed, programs, folder, signal }) {
  const logs = join(folder, 'detect');
  mkdirSync(logs);
  const keeper = holdfast(programs, folder);
  const running = await keeper.start({ argv: ['/bin/sleep', '1000000'], count: 1 });
  try {
    const args = [running.dir, logs, String(hangs), join(programs, 'bench-beater'), String(seed)];
    const lines = (await run(join(programs, 'bench-detect'), args, { signal })).trim().split('\n');
    const samples = lines.map((line) => line.split(' ').map(Number)).map(toSample);
    return { benchmark: 'detect', hangs, seed, samples, ...figures(samples) };
  } finally {
    await running.stop();
  }
}

function toSample([periodNs, silentNs, latenessNs]) {
  return { periodNs, silentNs, latenessNs, periods: silentNs / periodNs };
}

function figures(samples) {
  const periods = samples.map((sample) => sample.periods);
  const within = samples.filter(
    ({ periodNs, silentNs, latenessNs }) => silentNs - latenessNs <= BOUND.periods * periodNs + BOUND.ms * 1e6,
  );
  return {
    tooEarly: periods.filter((value) => value < 1).length,
    medianPeriods: median(periods),
    withinBound: within.length,
    met: {
      early: periods.every((value) => value >= 1),
      median: median(periods) <= MEDIAN_MAX,
      bound: within.length / samples.length >= BOUND.share,
    },
  };
}

const verdict = (met) => (met ? 'met' : 'missed');

export function detectText({ hangs, samples, tooEarly, medianPeriods, withinBound, met }) {
  const periods = samples.map((sample) => sample.periods);
  const over = samples.map(({ silentNs, periodNs }) => (silentNs - periodNs) / 1e6);
  const lateness = samples.map(({ latenessNs }) => latenessNs / 1e6);
  const row = (name, values, digits) => [
    name,
    ...[0, 0.25, 0.5, 0.75, 1].map((part) => quantile(values, part).toFixed(digits)),
  ];
  return [
    `detect: ${hangs} hangs with periods from 100 ms to 2 s, from the last beat to the verdict`,
    table(
      ['', 'least', 'quarter', 'median', '3 quarters', 'most'],
      [row('periods', periods, 3), row('ms after the period', over, 1), row('lateness of the judge, ms', lateness, 1)],
    ),
    `below 1.00 period: ${tooEarly}, wanted none: ${verdict(met.early)}`,
    `median: ${medianPeriods.toFixed(3)} periods, wanted at most ${MEDIAN_MAX.toFixed(2)}: ${verdict(met.median)}`,
    `within ${BOUND.periods} periods and ${BOUND.ms} ms, lateness taken off: ${withinBound} of ${hangs}, wanted ${BOUND.share * 100} %: ${verdict(met.bound)}`,
  ].join('\n');
}
