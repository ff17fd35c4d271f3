import { existsSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { matchNames } from '../manager/instances.js';
import { defaultLogDir } from '../manager/log-dir.js';
import { rememberedLogDir } from './apply.js';
import { CliError, EXIT, unknownProcess } from './fail.js';
import { openTarget } from './session.js';
import { LogReader, Prefixer } from './tail.js';
import { DEFAULT_FILE, resolveTarget, type TargetOptions } from './target.js';

export interface LogsOptions extends TargetOptions {
  follow?: boolean;
  lines?: string;
}

/** The log of the manager itself. */
const OWN_LOG = 'holdfastd';
const LINES_DEFAULT = 20;

function lineCount(text: string | undefined): number {
  if (text === undefined) return LINES_DEFAULT;
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new CliError(EXIT.usage, `--lines expects a whole number such as 100; got "${text}"`);
}

/** Where the logs lie, and the names of the defined processes, whether the instance runs or not. */
async function findLogs(options: LogsOptions): Promise<{ folder: string; defined: string[] }> {
  const target = await resolveTarget(options);
  const operator = openTarget(target);
  try {
    const remembered = operator && rememberedLogDir(operator);
    const defined = operator?.status().map((process) => process.name) ?? [];
    return { folder: remembered ?? (await folderOfFile()) ?? defaultLogDir(target.instance), defined };
  } finally {
    operator?.close();
  }
}

/** `log.dir` of the file in the working directory: the logs outlive the instance, which has forgotten where they are. */
async function folderOfFile(): Promise<string | undefined> {
  if (!existsSync(DEFAULT_FILE)) return undefined;
  const { loadConfig } = await import('../config/load.js');
  return loadConfig(DEFAULT_FILE).logDir;
}

function namesInFolder(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((file) => (file.endsWith('.log') ? [file.slice(0, -'.log'.length)] : []));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function chooseNames(name: string | undefined, defined: readonly string[], folder: string): string[] {
  const found = namesInFolder(folder);
  const known = [...new Set([...defined, ...found])].filter((one) => one !== OWN_LOG);
  if (name === undefined) {
    // Of an instance that runs, what is defined; of one that is gone, what it left behind.
    const names = defined.length > 0 ? defined : known;
    return [...names, ...(found.includes(OWN_LOG) ? [OWN_LOG] : [])];
  }
  const meant = name === OWN_LOG ? [OWN_LOG] : matchNames(name, known);
  if (meant.length === 0) throw unknownProcess(name, [...known, OWN_LOG]);
  return meant;
}

interface Source {
  readonly reader: LogReader;
  readonly lines: Prefixer;
}

function openSources(names: readonly string[], folder: string, count: number): Source[] {
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => {
    const reader = new LogReader(join(folder, `${name}.log`));
    reader.seekToLines(count);
    const prefix = names.length > 1 ? `${name.padEnd(width)} | ` : '';
    return { reader, lines: new Prefixer(prefix, (bytes) => void process.stdout.write(bytes)) };
  });
}

function readAll(sources: readonly Source[]): void {
  for (const { reader, lines } of sources) reader.read((bytes) => lines.push(bytes));
}

/** Ends with an error only; a user interrupts it. The watch comes before the first read, so that nothing falls between them. */
function follow(folder: string, sources: readonly Source[]): Promise<never> {
  return new Promise((_, fail) => {
    const read = (): void => {
      try {
        readAll(sources);
      } catch (error) {
        fail(error);
      }
    };
    watch(folder, read).once('error', fail);
    read();
  });
}

/** Shows the ends of logs; with `follow` what is added, through rotations, until the command is interrupted. */
export async function logs(name: string | undefined, options: LogsOptions): Promise<void> {
  const count = lineCount(options.lines);
  const { folder, defined } = await findLogs(options);
  const names = chooseNames(name, defined, folder);
  if (names.length === 0 || !existsSync(folder)) {
    throw new CliError(EXIT.failed, `there are no logs in ${folder} yet: start something with "holdfast up"`);
  }
  const sources = openSources(names, folder, count);
  if (options.follow) await follow(folder, sources);
  readAll(sources);
  for (const { reader, lines } of sources) {
    lines.end();
    reader.close();
  }
}
