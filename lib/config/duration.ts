const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** What a duration looks like: a number and a unit. */
export const DURATION = /^\d+(?:\.\d+)?(?:ms|s|m|h)$/;

/** Said where a duration is expected. */
export const DURATION_EXPECTED = 'expected a duration such as 500ms, 10s, 5m or 1h';

/** The longest that the core takes: one year. */
export const DURATION_MAX_MS = 365 * 24 * UNIT_MS.h!;

/** Milliseconds of `500ms`, `10s`, `5m`, `1h`; rounded to whole ones. NaN where it is none of those. */
export function parseDuration(text: string): number {
  if (!DURATION.test(text)) return Number.NaN;
  const unit = text.endsWith('ms') ? 'ms' : text.slice(-1);
  return Math.round(Number.parseFloat(text) * (UNIT_MS[unit] ?? Number.NaN));
}
