/** Checks of single values of a definition. Each message says the process, the option, what was expected, what was given, the fix. */
import { ValueError } from '../errors.js';
import { show } from '../show.js';

const YEAR_MS = 365 * 24 * 3600 * 1000;

/** Where a value stands: the process, and the option with its parents (`backoff.maxMs`). */
export interface Place {
  readonly process: string;
  readonly option: string;
}

/** The error for a value that is not what was expected. */
export function refuse({ process, option }: Place, expected: string, value: unknown, fix: string): ValueError {
  return new ValueError(`${process}: ${option} must be ${expected}, and is ${show(value)}: ${fix}`);
}

/** A number from `min` to `max`; `fallback` where none is given. */
export function numberFrom(place: Place, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw refuse(place, `a number from ${min} to ${max}`, value, `write one such as ${fallback}`);
}

/** The same, for whole numbers. */
export function integerFrom(place: Place, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  throw refuse(place, `a whole number from ${min} to ${max}`, value, `write one such as ${fallback}`);
}

/** A duration in milliseconds, at most a year. */
export function milliseconds(place: Place, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= 0 && value <= YEAR_MS) return value;
  throw refuse(place, 'a number of milliseconds from 0 to 365 days', value, `write one such as ${fallback}`);
}

export function boolean(place: Place, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw refuse(place, 'true or false', value, `write ${fallback}`);
}

/** A string that the kernel can take: without a zero character, and not empty. */
export function text(place: Place, value: unknown, fix: string): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw refuse(place, 'a string that is not empty', value, fix);
}

export function oneOf<Word extends string>(place: Place, value: unknown, fallback: Word, words: readonly Word[]): Word {
  if (value === undefined) return fallback;
  if (words.includes(value as Word)) return value as Word;
  throw refuse(
    place,
    `one of ${words.map((word) => `'${word}'`).join(', ')}`,
    value,
    `write '${fallback}', or leave it out`,
  );
}

/** A plain object with no other keys than `known`; an empty one where none is given. */
export function record(place: Place, value: unknown, known?: readonly string[]): Readonly<Record<string, unknown>> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse(place, 'an object', value, known ? `write { ${known[0]}: … }` : 'write { name: value }');
  }
  if (known !== undefined) onlyKeys(place.process, `${place.option}.`, value, known);
  return value as Record<string, unknown>;
}

/** Refuses keys that nobody would read. */
export function onlyKeys(process: string, prefix: string, value: object, known: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new ValueError(`${process}: there is no option ${prefix}${unknown}: take it out; known: ${known.join(', ')}`);
}
