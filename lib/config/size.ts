const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** What a size looks like: a number and a unit; one KB is 1024 bytes. */
export const SIZE = /^\d+(?:\.\d+)?(?:B|KB|MB|GB)$/;

/** Said where a size is expected. */
export const SIZE_EXPECTED = 'expected a size such as 512KB, 10MB or 1GB';

/** Bytes of `512KB`, `10MB`, `1GB`. NaN where it is none of those. */
export function parseSize(text: string): number {
  if (!SIZE.test(text)) return Number.NaN;
  const unit = /[A-Z]+$/.exec(text)?.[0] ?? '';
  return Math.round(Number.parseFloat(text) * (UNIT_BYTES[unit] ?? Number.NaN));
}
