/** Resource limits, umask, signals: what the kernel knows by number. */
import { constants } from 'node:os';
import { ValueError } from '../errors.js';
import { type NativeSpec, native } from '../native.js';
import { type Place, record, refuse } from './check.js';

function amount(place: Place, value: unknown): number {
  if (value === 'unlimited') return Number.POSITIVE_INFINITY;
  if (typeof value === 'number' && value >= 0 && (value === Number.POSITIVE_INFINITY || Number.isInteger(value)))
    return value;
  throw refuse(place, "a whole number of 0 or more, or 'unlimited'", value, 'write one such as 4096');
}

/** Limits by the kernel's number, in order of the names. */
export function toLimits(process: string, value: unknown): NativeSpec['limits'] {
  const limits = Object.entries(record({ process, option: 'limits' }, value));
  if (limits.length === 0) return [];
  const { resources } = native().constants;
  return limits
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, limit]) => {
      const place = { process, option: `limits.${name}` };
      const resource = resources[name];
      if (resource === undefined) {
        throw new ValueError(
          `${process}: there is no limit ${name}: take it out; known: ${Object.keys(resources).join(', ')}`,
        );
      }
      if (typeof limit !== 'object') return { resource, soft: amount(place, limit), hard: amount(place, limit) };
      const { soft, hard } = record(place, limit, ['soft', 'hard']);
      if (soft === undefined && hard === undefined)
        throw refuse(place, 'a number, or { soft, hard }', limit, 'write one such as 4096');
      // One alone counts for both: what the other is now is nobody's to know here.
      const both = { resource, soft: amount(place, soft ?? hard), hard: amount(place, hard ?? soft) };
      if (both.soft <= both.hard) return both;
      throw refuse(place, 'soft at most hard', limit, 'raise hard');
    });
}

/** A number, or octal digits in a string. */
export function toUmask(process: string, value: unknown): number | null {
  if (value === undefined) return null;
  const isOctal = typeof value === 'string' && /^(0o)?[0-7]{1,4}$/.test(value);
  const mask = isOctal ? Number.parseInt(value.replace('0o', ''), 8) : value;
  if (Number.isInteger(mask) && (mask as number) >= 0 && (mask as number) <= 0o777) return mask as number;
  throw refuse({ process, option: 'umask' }, 'a number from 0 to 0o777, or octal digits in a string', value, "write '022'");
}

const names = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
// Node has aliases (SIGIOT, SIGPOLL) after the usual names.
for (const name of ['SIGABRT', 'SIGIO'] as const) names.set(constants.signals[name], name);

/** The number of `SIGTERM`, `TERM` or 15. */
export function toSignal(process: string, option: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 64) return value as number;
  const upper = typeof value === 'string' ? value.toUpperCase() : '';
  const known: Readonly<Record<string, number>> = constants.signals;
  const number = known[upper] ?? known[`SIG${upper}`];
  if (number !== undefined) return number;
  throw refuse({ process, option }, 'the name of a signal, or a number from 1 to 64', value, "write 'SIGTERM'");
}

/** The name of a signal: `SIGTERM`, or `SIG34` for one without. */
export function signalName(number: number): string {
  return names.get(number) ?? `SIG${number}`;
}
