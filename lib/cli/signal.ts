import { constants } from 'node:os';
import { didYouMean } from '../config/suggest.js';
import { CliError, EXIT } from './fail.js';
import { resolveNames, withManager } from './session.js';
import type { TargetOptions } from './target.js';

/** The number of `SIGHUP`, `HUP`, `hup` or `1`. */
export function signalNumber(text: string): number {
  const known: Readonly<Record<string, number>> = constants.signals;
  const upper = text.toUpperCase();
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  const number = /^\d+$/.test(text) ? Number(text) : known[name];
  if (number !== undefined && number >= 1 && number <= 64) return number;
  throw new CliError(
    EXIT.usage,
    `there is no signal "${text}"${didYouMean(name, Object.keys(known))}: name one such as SIGHUP, or give its number`,
  );
}

/** Sends a signal to the processes that a name means. */
export async function signal(name: string, text: string, options: TargetOptions): Promise<void> {
  const number = signalNumber(text);
  await withManager(options, async ({ operator }) => {
    const meant = resolveNames(operator, [name]);
    const pids = new Map(operator.status().map((process) => [process.name, process.pid]));
    const dead = meant.find((one) => !pids.get(one));
    if (dead !== undefined) throw new CliError(EXIT.failed, `${dead} does not run: "holdfast start ${dead}" first`);
    for (const one of meant) operator.signal(one, number);
  });
}
