// SPDX-License-Identifier: MIT
// What it costs the manager to look at many heartbeats. The work is done by native/bench/sweep.c, which drives the same monitor as the
// manager does, in the same way; this says what was wanted of it.
import { join } from 'node:path';
import { run } from './command.mjs';
import { table } from './table.mjs';

const CELLS = 100_000;
const PERIOD_MS = 1000;
const CPU_PERCENT_MAX = 1;

/** @param options seconds (each measurement), programs, signal */
export async function sweep({ seconds, programs, signal }) {
  const args = [CELLS, PERIOD_MS, seconds].map(String);
  const result = JSON.parse(await run(join(programs, 'bench-sweep'), args, { signal }));
  const { paced, paced_with_fast: withFast } = result;
  return {
    benchmark: 'sweep',
    ...result,
    targetCpuPercent: CPU_PERCENT_MAX,
    met: {
      cpu: paced.cpu_percent <= CPU_PERCENT_MAX,
      apart: withFast.slow_looks_per_s <= paced.slow_looks_per_s * 1.05, // looks at a grid that begins where it may
      nobody: paced.condemned === 0 && withFast.condemned === 0,
    },
  };
}

const verdict = (met) => (met ? 'met' : 'missed');

export function sweepText({ ns_per_cell: nsPerCell, paced, paced_with_fast: withFast, met, targetCpuPercent }) {
  const row = (name, of) => [name, of.cpu_percent.toFixed(2), of.wakes_per_s.toFixed(0), of.slow_looks_per_s.toFixed(0)];
  return [
    'sweep: one look at one heartbeat',
    table(
      ['cells', 'ns, median', 'ns, best'],
      Object.entries(nsPerCell).map(([cells, { median, best }]) => [cells, median.toFixed(2), best.toFixed(2)]),
    ),
    '',
    `${paced.cells} heartbeats with a period of ${paced.period_ms} ms, in real time for ${paced.seconds} s, while another process beats them`,
    table(
      ['', '% of one core', 'wakes/s', 'looks/s at the slow ones'],
      [row('alone', paced), row('with one of 10 ms among them', withFast)],
    ),
    `cost: ${paced.cpu_percent.toFixed(2)} % of one core, wanted at most ${targetCpuPercent} %: ${verdict(met.cpu)}`,
    `one of 10 ms adds no look at the slow ones: ${verdict(met.apart)}; nobody was condemned: ${verdict(met.nobody)}`,
  ].join('\n');
}
