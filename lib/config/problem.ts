/** One thing that is wrong in a file, and where. */
export interface Problem {
  /** From 1; 0 where the problem has no place (the file can't be read). */
  readonly line: number;
  readonly column: number;
  /** The key, such as `processes.web.restart`; '' where it is the file as a whole. */
  readonly key: string;
  /** What was expected, and what was there. */
  readonly text: string;
}

/** `holdfast.yaml:12:5: processes.web.restart: expected …`. */
export function problemLine(file: string, problem: Problem): string {
  const place = problem.line > 0 ? `${file}:${problem.line}:${problem.column}` : file;
  return problem.key === '' ? `${place}: ${problem.text}` : `${place}: ${problem.key}: ${problem.text}`;
}

/** A definition file that can't be used. The message is the first problem, on one line; `problems` has them all. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
    const [first] = sorted;
    const more = sorted.length > 1 ? ` (and ${sorted.length - 1} more; fix this one first)` : '';
    super(first === undefined ? file : `${problemLine(file, first)}${more}`);
    this.file = file;
    this.problems = sorted;
  }
}

/** A value as it is shown in a message: short, on one line. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  const text =
    typeof value === 'object' ? JSON.stringify(value) : typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
