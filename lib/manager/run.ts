/** The program of a definition: words, and Node's own files under Node. */
import { extname } from 'node:path';
import { ValueError } from '../errors.js';
import { type Place, refuse } from './check.js';
import { splitWords } from './words.js';

/** How this Node runs a TypeScript file: the options that it needs; undefined where it can't. */
export function typeScriptOptions(version: string = process.versions.node): string[] | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isAtLeast = (a: number, b: number) => major > a || (major === a && minor >= b);
  if (isAtLeast(24, 0) || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)) return [];
  return isAtLeast(22, 6) ? ['--experimental-strip-types'] : undefined;
}

function asWords(place: Place, run: unknown): string[] {
  if (typeof run === 'string') {
    try {
      return splitWords(run);
    } catch (error) {
      if (error instanceof ValueError) throw new ValueError(`${place.process}: ${place.option}: ${error.message}`);
      throw error;
    }
  }
  const isList = Array.isArray(run) && run.every((word) => typeof word === 'string');
  if (!isList) throw refuse(place, 'words in a string, or a list of strings', run, "write ['node', 'server.js']");
  return [...run];
}

/** The argument list: words are split, and a `.js`, `.mjs`, `.cjs` or `.ts` file is given to this Node. */
export function toArgv(processName: string, run: unknown): string[] {
  const place = { process: processName, option: 'run' };
  const words = asWords(place, run);
  const program = words[0];
  if (program === undefined || program === '')
    throw refuse(place, 'a program and its arguments', run, "write ['node', 'server.js']");
  if (words.some((word) => word.includes('\0'))) throw refuse(place, 'words without a zero character', run, 'take it out');
  const extension = extname(program);
  if (['.js', '.mjs', '.cjs'].includes(extension)) return [process.execPath, ...words];
  if (extension !== '.ts' && extension !== '.mts' && extension !== '.cts') return words;
  const options = typeScriptOptions();
  if (options !== undefined) return [process.execPath, ...options, ...words];
  throw new ValueError(
    `${processName}: run names ${program}, and Node ${process.versions.node} can't run TypeScript: use Node 22.18 or later, or name the compiled .js file`,
  );
}
