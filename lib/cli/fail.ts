import { didYouMean } from '../config/suggest.js';

/** What a command ends with. */
export const EXIT = { done: 0, failed: 1, usage: 2, unknownProcess: 3, noManager: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command: one line on stderr that says what to do, and the exit code. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The instance has no manager, or is not there at all. */
export function noManager(instance: string, dir: string): CliError {
  return new CliError(
    EXIT.noManager,
    `no manager runs for the instance "${instance}" in ${dir}: start it with "holdfast up"`,
  );
}

/** No process has that name. */
export function unknownProcess(name: string, known: readonly string[]): CliError {
  const list = known.length === 0 ? 'none is defined' : `known: ${known.join(', ')}`;
  return new CliError(EXIT.unknownProcess, `there is no process "${name}"${didYouMean(name, known)}; ${list}`);
}

const EXIT_OF_CODE: Readonly<Record<string, ExitCode>> = {
  ERR_HOLDFAST_EUNKNOWN: EXIT.unknownProcess,
  ERR_HOLDFAST_UNKNOWN_PROCESS: EXIT.unknownProcess,
  ERR_HOLDFAST_ENOMANAGER: EXIT.noManager,
  ERR_HOLDFAST_NO_MANAGER: EXIT.noManager,
};

/** The code that an error of the native part carries; '' for other errors. */
export function nativeCode(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && code.startsWith('ERR_HOLDFAST_') ? code : '';
}

/** Whether an error is one that a user can understand; anything else is a fault of Holdfast, and its stack is worth showing. */
function isExpected(error: Error): boolean {
  return error.name === 'CliError' || error.name === 'ConfigError' || 'code' in error || error.cause !== undefined;
}

/** Writes the line for an error to stderr; the exit code. */
export function reportError(error: unknown): ExitCode {
  if (!(error instanceof Error)) {
    process.stderr.write(`holdfast: ${String(error)}\n`);
    return EXIT.failed;
  }
  process.stderr.write(`holdfast: ${error.message.replace(/\s*\n\s*/g, ' ')}\n`);
  if (!isExpected(error)) process.stderr.write(`${error.stack ?? ''}\n`);
  return error instanceof CliError ? error.exitCode : (EXIT_OF_CODE[nativeCode(error)] ?? EXIT.failed);
}
