import { Command, CommanderError } from 'commander';
import { didYouMean } from '../config/suggest.js';
import { CliError, EXIT, reportError } from './fail.js';
import { version } from './version.js';

/** A command that names an instance, as all do except `run`. */
function command(program: Command, signature: string, text: string): Command {
  return program
    .command(signature)
    .description(text)
    .option('--instance <name>', 'the instance ($HOLDFAST_INSTANCE, else `instance:` in the file, else default)')
    .option('--dir <path>', 'its directory in memory ($HOLDFAST_DIR, else below /dev/shm)');
}

const NO_WAIT = ['--no-wait', 'return at once'] as const;

function addLifeCommands(program: Command): void {
  command(program, 'up [file]', 'start the instance of a holdfast.yaml, or bring it in line with it')
    .option('--foreground', 'become the manager instead of starting one (for containers and systemd)')
    .option(...NO_WAIT)
    .action(async (file, options) => (await import('./up.js')).up(file, options));
  command(program, 'down', 'stop the instance and remove what it made')
    .option(...NO_WAIT)
    .action(async (options) => (await import('./down.js')).down(options));
  command(program, 'reload [file]', 'apply the changed file: add, remove and restart what changed')
    .option(...NO_WAIT)
    .action(async (file, options) => (await import('./reload.js')).reload(file, options));
}

function addProcessCommands(program: Command): void {
  command(program, 'start <name...>', 'start processes; `web` means `web.1`, `web.2`, … too')
    .option(...NO_WAIT)
    .action(async (names, options) => (await import('./request.js')).request('start', names, options));
  command(program, 'stop <name...>', 'stop processes; they stay stopped until `start` or `up`')
    .option('--force', 'kill at once, without the stop signal')
    .option(...NO_WAIT)
    .action(async (names, options) => (await import('./request.js')).request('stop', names, options));
  command(program, 'restart <name...>', 'stop processes and start them again')
    .option(...NO_WAIT)
    .action(async (names, options) => (await import('./request.js')).request('restart', names, options));
  command(program, 'signal <name> <signal>', 'send a signal to a process').action(async (name, signal, options) =>
    (await import('./signal.js')).signal(name, signal, options),
  );
}

function addLookCommands(program: Command, setExit: (code: number) => void): void {
  command(program, 'status [name]', 'show the processes, or everything about one')
    .option('--json', 'as JSON')
    .option('--watch', 'show it again whenever it changes')
    .action(async (name, options) => setExit(await (await import('./status.js')).status(name, options)));
  command(program, 'logs [name]', 'show the ends of the logs')
    .option('-f, --follow', 'go on with what is added')
    .option('--lines <count>', 'this many lines of each (20)')
    .action(async (name, options) => (await import('./logs.js')).logs(name, options));
  command(program, 'events', 'show what happened to the processes, and why')
    .option('-f, --follow', 'go on with what happens')
    .action(async (options) => (await import('./events.js')).events(options));
}

function addRunCommand(program: Command): void {
  program
    .command('run <command...>')
    .description('run one command under a manager of its own, in the foreground; ends with its exit code')
    .usage('[--restart POLICY] -- COMMAND…')
    .option('--restart <policy>', 'always, on-failure or never (never)')
    .passThroughOptions()
    .action(async (words, options) => (await import('./run.js')).run(words, options));
}

/** All commands. `setExit` gets the exit code of a command that has one beside errors. */
export function buildProgram(setExit: (code: number) => void): Command {
  const program = new Command('holdfast')
    .description('Keeps processes alive, and says why each one ended.')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError(false)
    .configureOutput({ outputError: () => {}, writeErr: () => {} })
    .exitOverride();
  addLifeCommands(program);
  addLookCommands(program, setExit);
  addProcessCommands(program);
  addRunCommand(program);
  for (const one of program.commands) one.copyInheritedSettings(program);
  return program;
}

/** What commander says in its own way, in ours: one line that says what to do, and exit 2. */
function usageError(error: CommanderError, program: Command, argv: readonly string[]): CliError {
  const names = program.commands.map((one) => one.name());
  const asked = program.commands.find((one) => one.name() === argv[0]);
  const help = asked === undefined ? 'holdfast --help' : `holdfast ${asked.name()} --help`;
  if (error.code === 'commander.help') return new CliError(EXIT.usage, `name a command: ${names.join(', ')}; see "${help}"`);
  const message = error.message
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replace('. Expected', ': expected')
    .replaceAll("'", '"');
  const word = /"(.*)"/.exec(message)?.[1] ?? '';
  let guess = '';
  if (error.code === 'commander.unknownCommand') guess = didYouMean(word, names);
  if (error.code === 'commander.unknownOption') {
    guess = didYouMean(
      word,
      (asked ?? program).options.flatMap((option) => option.long ?? []),
    );
  }
  return new CliError(EXIT.usage, `${message}${guess}; see "${help}"`);
}

/** Runs a command line, without the name of the program; the exit code. Never throws. */
export async function runCli(argv: readonly string[]): Promise<number> {
  let exit: number = EXIT.done;
  const program = buildProgram((code) => {
    exit = code;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exit;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error);
    const isAnswered = error.code === 'commander.helpDisplayed' || error.code === 'commander.version';
    return isAnswered ? EXIT.done : reportError(usageError(error, program, argv));
  }
}
