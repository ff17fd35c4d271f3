import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { native } from '../native.js';
import { isValidName } from '../process/name.js';
import { CliError, EXIT } from './fail.js';

/** The file that is meant where none is named. */
export const DEFAULT_FILE = 'holdfast.yaml';

/** Options that every command takes. */
export interface TargetOptions {
  instance?: string;
  dir?: string;
}

/** The instance that a command acts on. */
export interface Target {
  readonly instance: string;
  /** Absolute path of its directory in memory. */
  readonly dir: string;
}

/** `instance:` of the file in the working directory; yaml is loaded only where the word occurs at all. */
async function instanceOfFolder(): Promise<string | undefined> {
  let text: string;
  try {
    text = readFileSync(DEFAULT_FILE, 'utf8');
  } catch {
    return undefined; // no file here: nothing to say about the name
  }
  if (!/\binstance\b/.test(text)) return undefined;
  const { parseDocument } = await import('yaml');
  const name = parseDocument(text, { logLevel: 'silent' }).get('instance');
  return typeof name === 'string' ? name : undefined;
}

/** --instance, else $HOLDFAST_INSTANCE, else `instance:` of `file` (the one in the working directory unless it was read), else `default`. */
export async function resolveTarget(options: TargetOptions, file?: { instance: string | undefined }): Promise<Target> {
  const named = options.instance ?? (process.env.HOLDFAST_INSTANCE || undefined);
  const instance = named ?? (file === undefined ? await instanceOfFolder() : file.instance) ?? 'default';
  if (!isValidName(instance)) {
    throw new CliError(
      EXIT.usage,
      `"${instance}" can't be the name of an instance: begin with a letter, use letters, digits, "_", "-" and ".", fewer than 32`,
    );
  }
  const dir = native().resolveDir(options.dir === undefined ? null : resolve(options.dir), instance);
  return { instance, dir };
}
