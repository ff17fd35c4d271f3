import { constants } from 'node:os';
import * as z from 'zod';
import { DURATION, DURATION_EXPECTED, DURATION_MAX_MS, parseDuration } from './duration.js';
import { show } from './problem.js';
import { SIZE, SIZE_EXPECTED } from './size.js';
import { didYouMean } from './suggest.js';

/** Names of the resources that `limits` knows; the kernel's, without RLIMIT_. */
export const RESOURCES = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
] as const;

const INSTANCES_MAX = 512; // HF_PROCESS_MAX: what one instance directory holds
const DEPENDS_MAX = 64; // HF_DEPENDS_MAX
const LIMIT_COUNT_MAX = 64; // HF_LIMIT_COUNT_MAX
const HEARTBEAT_MIN_MS = 10; // as hf_spec_check
const HEARTBEAT_MAX_MS = 24 * 3600 * 1000;
const SIGNALS = Object.keys(constants.signals);

/** Builds the message of a key: what was expected, and what was got. The name of the key is put in front by the reader. */
function expect(expected: string): { error: (issue: { input?: unknown }) => string } {
  return {
    error: (issue) => (issue.input === undefined ? `is missing: ${expected}` : `${expected}; got ${show(issue.input)}`),
  };
}

/** A mapping with these keys and no others. */
function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys')
        return `expected a mapping with the keys ${known.join(', ')}; got ${show(issue.input)}`;
      const [first = ''] = (issue as { keys?: string[] }).keys ?? [];
      return `unknown key${didYouMean(first, known)}; known here: ${known.join(', ')}`;
    },
  });
}

function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  const expected = `expected one of ${values.join(', ')}`;
  return z.enum(values, {
    error: ({ input }) => `${expected}; got ${show(input)}${typeof input === 'string' ? didYouMean(input, values) : ''}`,
  });
}

function integer(from: number, to: number) {
  const expected = expect(`expected a whole number from ${from} to ${to}`);
  return z.int(expected).min(from, expected).max(to, expected);
}

function number(from: number, to: number) {
  const expected = expect(`expected a number from ${from} to ${to}`);
  return z.number(expected).min(from, expected).max(to, expected);
}

const text = (expected: string) => z.string(expect(expected)).min(1, expect(expected));
const duration = () =>
  z
    .string(expect(DURATION_EXPECTED))
    .regex(DURATION, expect(DURATION_EXPECTED))
    .refine((value) => !(parseDuration(value) > DURATION_MAX_MS), expect('expected at most one year (8760h)'));
const HEARTBEAT = expect('expected a duration from 10ms to 24h');
const heartbeat = () =>
  duration().refine((value) => {
    const ms = parseDuration(value);
    return !(ms < HEARTBEAT_MIN_MS || ms > HEARTBEAT_MAX_MS);
  }, HEARTBEAT);
const size = () => z.string(expect(SIZE_EXPECTED)).regex(SIZE, expect(SIZE_EXPECTED));

const word = z.union([z.string(), z.number(), z.boolean()], expect('expected text, a number, or true or false'));
const dependency = text('expected the name of a process');
const DEPENDS = expect(`expected a list of at most ${DEPENDS_MAX} process names such as [db, cache]`);
const dependencies = z.union([dependency, z.array(dependency, DEPENDS).max(DEPENDS_MAX, DEPENDS)], DEPENDS);
const AMOUNT = expect('expected a whole number, a size such as 512MB, or unlimited');
const amount = z.union(
  [z.int(AMOUNT).min(0, AMOUNT), z.literal('unlimited', AMOUNT), z.string(AMOUNT).regex(SIZE, AMOUNT)],
  AMOUNT,
);
const limitPair = z.union(
  [amount, mapping({ soft: amount, hard: amount })],
  expect('expected a whole number, a size such as 512MB, unlimited, or {soft, hard}'),
);

const SIGNAL_EXPECTED = 'expected the name of a signal such as SIGTERM';
const signal = z.string(expect(SIGNAL_EXPECTED)).refine((value) => SIGNALS.includes(value), {
  error: ({ input }) => `${SIGNAL_EXPECTED}; got ${show(input)}${didYouMean(String(input), SIGNALS)}`,
});

const backoff = mapping({
  first: duration().describe('Wait before the first restart').optional(),
  from: duration().describe('Wait before the second restart').optional(),
  factor: number(1, 1000).describe('Each wait is this many times the one before').optional(),
  max: duration().describe('No wait is longer').optional(),
  jitter: number(0, 1).describe('Part of a wait that is drawn by lot').optional(),
  resetAfter: duration().describe('A run of this length forgets earlier failures').optional(),
});

const RUN = expect('expected a program and its arguments: a list, or words with quotes');

const processShape = {
  run: z
    .union([z.string(RUN).min(1, RUN), z.array(word, RUN).min(1, RUN)], RUN)
    .describe('The program and its arguments. Never given to a shell'),
  cwd: text('expected a folder').describe('Working directory; relative to this file').optional(),
  env: z
    .record(z.string(), word, expect('expected a mapping of names to values'))
    .describe('Laid over the environment of the `up` or `reload` that defined it')
    .optional(),
  envFile: text('expected a file of lines KEY=value')
    .describe('Lines KEY=value, below `env`; relative to this file')
    .optional(),
  user: text('expected the name of a user').describe('The user that it runs as').optional(),
  umask: z
    .string(expect('expected octal digits in quotes such as "022"'))
    .regex(/^0?[0-7]{3}$/, expect('expected octal digits in quotes such as "022"'))
    .optional(),
  nice: integer(-20, 19).optional(),
  limits: z
    .partialRecord(oneOf(RESOURCES), limitPair, expect('expected a mapping of resources such as {nofile: 4096}'))
    .optional(),
  start: oneOf(['auto', 'on-demand'])
    .describe('auto: runs from the start. on-demand: runs to completion when started')
    .optional(),
  instances: integer(1, INSTANCES_MAX).describe('This many, named web.1, web.2, …').optional(),
  dependsOn: dependencies.describe('Started when these are READY').optional(),
  ready: oneOf(['auto', 'call', 'alive']).describe('call: READY by ready(). alive: READY after aliveFor').optional(),
  startTimeout: duration().describe('Not READY by then, or with `heartbeat` nobody in it beats by then: FAIL').optional(),
  aliveFor: duration().optional(),
  restart: oneOf(['always', 'on-failure', 'never']).optional(),
  backoff: backoff.describe('Waits between restarts').optional(),
  limit: mapping({ count: integer(1, LIMIT_COUNT_MAX), within: duration() })
    .describe('Past this many restarts within this time it stays in FAIL')
    .optional(),
  heartbeat: heartbeat()
    .describe('Its event loop must show this often that it turns; needs no code in the program')
    .optional(),
  stopped: oneOf(['wait', 'fail'])
    .describe('A silent thread of a process that was stopped by a signal: left alone, or taken for hung')
    .optional(),
  stopSignal: signal.optional(),
  stopTimeout: duration().describe('After this the whole tree is killed').optional(),
  enabled: z.boolean(expect('expected true or false')).optional(),
  log: mapping({ maxSize: size().optional(), keep: integer(0, 1000).optional() })
    .describe('Rotation of its log')
    .optional(),
};

/** One entry below `processes`. */
export const processSchema = mapping(processShape);

/** The whole of holdfast.yaml. */
export const fileSchema = mapping({
  instance: text('expected the name of an instance')
    .describe('Name of the instance; --instance and $HOLDFAST_INSTANCE win')
    .optional(),
  sysname: text('expected the name of this system').describe('What getSysname() returns').optional(),
  log: mapping({
    dir: text('expected a folder').describe('Where the logs lie; relative to this file').optional(),
  }).optional(),
  processes: z
    .record(z.string(), processSchema, expect('expected a mapping of names to processes'))
    .describe('The processes by name'),
});

/** What stands below one name in `processes`. */
export type FileProcess = z.infer<typeof processSchema>;
/** What stands in holdfast.yaml. */
export type FileContents = z.infer<typeof fileSchema>;
