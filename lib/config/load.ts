import { readFileSync, realpathSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { instanceNames } from '../manager/instances.js';
import type { ProcessSpec } from '../manager/types.js';
import { isValidName } from '../process/name.js';
import { checkProcesses } from './check.js';
import { type Path, YamlDocument } from './document.js';
import { expandProcess } from './expand.js';
import { ConfigError, type Problem, show } from './problem.js';
import { type FileContents, fileSchema } from './schema.js';

/** What a holdfast.yaml says, checked. */
export interface Config {
  /** Its real path. */
  readonly file: string;
  readonly instance: string | undefined;
  readonly sysname: string | undefined;
  /** Absolute. */
  readonly logDir: string | undefined;
  /** In the order of the file; `instances` not yet expanded. */
  readonly processes: readonly ProcessSpec[];
  /** An error that points at a key of the file. */
  errorAt(path: Path, text: string): ConfigError;
}

const READ_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file: write one, or name another',
  EISDIR: 'this is a directory: name the file in it',
  EACCES: 'this user may not read it: change its mode or owner',
  ENOTDIR: 'a part of the path is no directory',
  ELOOP: 'symbolic links lead in a circle',
};

/** The path as it is shown: short where the file lies below the working directory. */
function shownPath(file: string): string {
  const short = relative(process.cwd(), resolve(file));
  return short !== '' && !short.startsWith('..') ? short : resolve(file);
}

function readText(file: string, shown: string): { text: string; real: string } {
  try {
    const bytes = readFileSync(file);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { text, real: realpathSync(file) };
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const text =
      READ_PROBLEMS[code] ?? (code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'this is no text in UTF-8' : message);
    throw new ConfigError(shown, [{ line: 0, column: 0, key: '', text }]);
  }
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: PropertyKey[];
  readonly message: string;
  readonly keys?: string[];
}

/** Several unknown keys of one mapping are one issue; its message speaks of the first. */
function issueProblems(issue: Issue, document: YamlDocument): Problem[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code !== 'unrecognized_keys') return [document.problem(path, issue.message)];
  return (issue.keys ?? []).map((key, i) => document.problem([...path, key], i === 0 ? issue.message : 'unknown key'));
}

function parse(document: YamlDocument, shown: string): FileContents {
  const syntax = document.syntaxProblems();
  if (syntax.length > 0) throw new ConfigError(shown, syntax);
  let values: unknown;
  try {
    values = document.toValues();
  } catch (error) {
    throw new ConfigError(shown, [document.problem([], (error as Error).message)]);
  }
  if (values === null || values === undefined) {
    throw new ConfigError(shown, [document.problem([], 'the file is empty: it needs the key "processes"')]);
  }
  const result = fileSchema.safeParse(values, { reportInput: true });
  if (result.success) return result.data;
  const issues = result.error.issues as readonly Issue[];
  throw new ConfigError(
    shown,
    issues.flatMap((issue) => issueProblems(issue, document)),
  );
}

/** Reads and checks a holdfast.yaml. ConfigError with file, line, column and key for whatever is wrong in it. */
export function loadConfig(file: string): Config {
  const shown = shownPath(file);
  const { text, real } = readText(file, shown);
  const document = new YamlDocument(text);
  const contents = parse(document, shown);
  const folder = dirname(real);
  const processes = Object.entries(contents.processes).map(([name, entry]) => expandProcess(name, entry, folder));
  const problems: Problem[] = [];
  const report = (path: Path, message: string): void => void problems.push(document.problem(path, message));
  const { instance } = contents;
  if (instance !== undefined && !isValidName(instance)) {
    report(['instance'], `expected a name of letters, digits, "_", "-" and ".", shorter than 32; got ${show(instance)}`);
  }
  checkProcesses(
    processes.map((spec) => ({ spec, names: instanceNames(spec) })),
    report,
  );
  if (problems.length > 0) throw new ConfigError(shown, problems);
  return {
    file: real,
    instance,
    sysname: contents.sysname,
    logDir: contents.log?.dir === undefined ? undefined : resolve(folder, contents.log.dir),
    processes,
    errorAt: (path, message) => new ConfigError(shown, [document.problem(path, message)]),
  };
}
