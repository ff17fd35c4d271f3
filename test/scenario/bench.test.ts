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
