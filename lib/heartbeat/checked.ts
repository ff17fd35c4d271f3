/** What a heartbeat may ask for. */
import { ValueError } from '../errors.js';
import { show } from '../show.js';

const YEAR_S = 365 * 24 * 3600;
const PERIOD_MIN_S = 0.01;

/** The period in milliseconds. Throws a ValueError for what is no period in seconds. */
export function checkedPeriodMs(periodSeconds: unknown): number {
  if (typeof periodSeconds === 'number' && periodSeconds >= PERIOD_MIN_S && periodSeconds <= YEAR_S)
    return periodSeconds * 1000;
  throw new ValueError(
    `the period of a heartbeat must be a number of seconds above 0, from ${PERIOD_MIN_S} to ${YEAR_S} (a year), and is ${show(periodSeconds)}: write one such as 5`,
  );
}

/** Throws a ValueError where `ms` is no time, or `why` no text. */
export function checkBusy(ms: unknown, why: unknown): void {
  if (typeof ms !== 'number' || !(ms >= 0 && ms <= YEAR_S * 1000)) {
    throw new ValueError(
      `ms must be a number of milliseconds from 0 to ${YEAR_S * 1000} (a year), and is ${show(ms)}: write how much longer it takes`,
    );
  }
  if (typeof why !== 'string') {
    throw new ValueError(`why must be a string, and is ${show(why)}: write what takes so long`);
  }
}
