/** The benchmarks in their smallest size, so that they don't rot. What the figures are is not judged here. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

function bench(...args: string[]) {
  const main = join(import.meta.dirname, '../bench/main.mjs');
  const { pid, status, stdout, stderr } = spawnSync(process.execPath, [main, ...args, '--no-others', '--json']);
  expect(stderr.toString()).toBe('');
  expect(status).toBe(0);
  expect(existsSync(`/dev/shm/holdfast-bench.${pid}`)).toBe(false);
  return JSON.parse(stdout.toString());
}

test('recover kills each service once a round, and gives samples, ratios and their medians', () => {
  const { parts, pairs } = bench('recover', '--pairs', '2');
  expect(pairs).toBe(2);
  expect(parts.map(({ part }: { part: string }) => part)).toEqual(['node', 'c']);
  for (const { samples, ratios, medianRatios } of parts) {
    expect(Object.keys(samples)).toEqual(['bare', 'holdfastd']);
    for (const ns of [...samples.bare, ...samples.holdfastd]) expect(ns).toBeGreaterThan(100_000);
    const expected = [0, 1].map((round) => samples.holdfastd[round] / samples.bare[round]);
    expect(ratios.holdfastd).toEqual(expected);
    expect(medianRatios.holdfastd).toBeCloseTo(expected.reduce((a, b) => a + b) / 2);
  }
});

test('footprint measures both processes, and hears no system call of theirs', () => {
  const { rows, idle, targetBytes } = bench('footprint', '--children', '0,3', '--idle', '1');
  expect(rows).toMatchObject([
    { keeper: 'holdfastd', children: 0, processes: 2 },
    { keeper: 'holdfastd', children: 3, processes: 2 },
  ]);
  for (const { pssBytes } of rows) {
    expect(pssBytes).toBeGreaterThan(100_000);
    expect(pssBytes).toBeLessThan(targetBytes);
  }
  if (idle.calls === null) expect(idle.why).toContain('strace is not installed');
  else expect(idle.first).toEqual([]);
});

test('beat measures JavaScript and C in each round, and hears no system call of a million beats', () => {
  const { rounds, javascript, c, ratioToBare, strace } = bench('beat', '--pairs', '1');
  expect(rounds).toBe(1);
  expect(Object.keys(javascript)).toEqual(['keepalive()', 'view[i]++', 'Atomics.store', 'a Node-API call', 'process.send']);
  for (const samples of Object.values(javascript)) expect(samples).toEqual([expect.any(Number)]);
  expect(Object.keys(c.ns)).toEqual(['beat', 'increment', 'store', 'datagram']);
  for (const ns of [...Object.values(javascript).flat(), ...Object.values(c.ns)]) expect(ns).toBeGreaterThan(0);
  expect(ratioToBare).toBeCloseTo(javascript['keepalive()'][0] / javascript['view[i]++'][0]);
  expect(strace.beats).toBe(1_000_000);
  if (strace.calls === null) expect(strace.why).toContain('strace is not installed');
  else expect(strace.first).toEqual([]);
});

test('sweep looks at each heartbeat of each size, and condemns none that beats', () => {
  const { ns_per_cell: nsPerCell, paced, paced_with_fast: withFast, met } = bench('sweep', '--seconds', '1');
  expect(Object.keys(nsPerCell)).toEqual(['1000', '10000', '100000']);
  for (const { median, best } of Object.values<{ median: number; best: number }>(nsPerCell)) {
    expect(best).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(best);
  }
  for (const measured of [paced, withFast]) {
    expect(measured).toMatchObject({ cells: 100_000, period_ms: 1000 });
    expect(measured.cpu_percent).toBeGreaterThan(0);
    expect(measured.slow_looks_per_s).toBeGreaterThanOrEqual(measured.cells); // at least one look a period
  }
  expect(withFast.wakes_per_s).toBeGreaterThan(paced.wakes_per_s);
  expect(Object.keys(met)).toEqual(['cpu', 'apart', 'nobody']);
});

test('detect finds every hang, none before its period was over', () => {
  const { hangs, samples, tooEarly, medianPeriods } = bench('detect', '--hangs', '3', '--seed', '7');
  expect(hangs).toBe(3);
  expect(samples).toHaveLength(3);
  for (const { periodNs, silentNs, latenessNs, periods } of samples) {
    expect(periodNs).toBeGreaterThanOrEqual(100e6);
    expect(periodNs).toBeLessThanOrEqual(2000e6);
    expect(periods).toBe(silentNs / periodNs);
    expect(latenessNs).toBeGreaterThanOrEqual(0);
  }
  expect(tooEarly).toBe(0);
  expect(medianPeriods).toBeGreaterThanOrEqual(1);
});
