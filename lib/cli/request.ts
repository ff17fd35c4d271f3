import { CliError, EXIT } from './fail.js';
import { printOutcomes, refuseFailures } from './outcome.js';
import { resolveNames, withManager } from './session.js';
import { ask, definitionsTakenIn, settle } from './settle.js';
import type { TargetOptions } from './target.js';

export interface RequestOptions extends TargetOptions {
  /** Skips the grace of a stop. */
  force?: boolean;
  /** False with --no-wait. */
  wait?: boolean;
}

/** `start`, `stop` and `restart`: asks for it, and waits until the processes are where they were asked to be. */
export async function request(verb: 'start' | 'stop' | 'restart', names: string[], options: RequestOptions): Promise<void> {
  await withManager(options, async ({ operator }) => {
    await definitionsTakenIn(operator);
    const known = new Map(operator.status().map((process) => [process.name, process]));
    const meant = resolveNames(operator, names);
    const disabled = meant.find((name) => verb !== 'stop' && known.get(name)?.enabled === false);
    if (disabled !== undefined) {
      throw new CliError(
        EXIT.failed,
        `${disabled} is disabled: take "enabled: false" out of the file and "holdfast reload"`,
      );
    }
    const how = verb === 'stop' && options.force ? 'stop-force' : verb;
    const asked = meant.map((name) => ask(known.get(name), name, verb, operator.request(name, how)));
    if (options.wait === false) return;
    const outcomes = await settle(operator, asked);
    if (outcomes === undefined) throw new CliError(EXIT.noManager, `the manager ended before that: see holdfastd.log`);
    printOutcomes(outcomes);
    refuseFailures(outcomes);
  });
}
