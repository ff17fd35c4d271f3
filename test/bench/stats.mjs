// SPDX-License-Identifier: MIT
// Figures from samples.

export function median(samples) {
  return quantile(samples, 0.5);
}

/** The sample that `part` of all lie below, with what lies between two of them taken in proportion. */
export function quantile(samples, part) {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

/** Sample by sample: what was measured in the same round belongs together. */
export function ratios(samples, bare) {
  return samples.map((sample, round) => sample / bare[round]);
}
