/** Workers whose stack can be taken: native/announce.cjs runs in them before their own code. */
import { fileURLToPath } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

const SCRIPT = fileURLToPath(new URL('../../native/announce.cjs', import.meta.url));
/**
 * A flag that no Node has: a Worker with it is refused before it is made, and the refusal lists every flag that it refuses.
 */
const NO_FLAG = '--holdfast-refuse-this-worker';

let inherited: readonly string[] | undefined;

/**
 * The same options, for a Worker that announces itself. Those with an environment of its own, resource limits and so on stay
 * as they are.
 *
 * Node gives a Worker the flags of its parent only as long as none are given, so they are given here; but not those that it
 * refuses to hear.
 */
export function withAnnounce<Options extends Pick<WorkerOptions, 'execArgv'>>(options: Options): Options {
  const others = options.execArgv ?? inheritedFlags();
  if (others.includes(SCRIPT)) return options;
  // First: what Node does not know ends its reading of the list.
  return { ...options, execArgv: ['--require', SCRIPT, ...others] };
}

function inheritedFlags(): readonly string[] {
  inherited ??= inheritable(process.execArgv);
  return inherited;
}

/** The flags that a Worker may be given. */
function inheritable(flags: readonly string[]): string[] {
  let rest = [...flags];
  for (;;) {
    if (rest.length === 0) return rest;
    const refused = refusedOf(rest);
    const kept = rest.filter((flag, at) => !refused.has(flag) && !isValueOfRefused(rest, at, refused));
    if (kept.length === rest.length) return rest;
    rest = kept;
  }
}

/** A flag and its value may be two words: a word that is no flag belongs to the one before. */
function isValueOfRefused(flags: readonly string[], at: number, refused: ReadonlySet<string>): boolean {
  return at > 0 && !flags[at]!.startsWith('-') && refused.has(flags[at - 1]!);
}

function refusedOf(flags: readonly string[]): ReadonlySet<string> {
  try {
    new Worker('', { eval: true, execArgv: [NO_FLAG, ...flags] }).terminate();
  } catch (error) {
    const list = /: (.*)$/s.exec((error as Error).message)?.[1] ?? '';
    return new Set(flags.filter((flag) => `, ${list}, `.includes(`, ${flag}, `)));
  }
  return new Set();
}
