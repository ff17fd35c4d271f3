import { basename, join } from 'node:path';
import { nameProblem } from '../config/names.js';
import { sweepPrivateDirs } from '../manager/private-dir.js';
import { toNativeSpec } from '../manager/spec.js';
import { daemonPath, native } from '../native.js';
import { daemonArguments } from './daemon.js';
import { CliError, EXIT } from './fail.js';
import type { Target } from './target.js';

const POLICIES = ['always', 'on-failure', 'never'] as const;
type Policy = (typeof POLICIES)[number];

export interface RunOptions {
  restart?: string;
}

/** A process name made of the name of a program: what a name can't hold becomes `-`. */
export function nameOfProgram(program: string): string {
  const name = basename(program)
    .replace(/[^A-Za-z0-9_.-]/g, '-')
    .replace(/^[^A-Za-z]+/, '')
    .slice(0, 31);
  return nameProblem(name) === undefined ? name : 'command';
}

function policy(text: string): Policy {
  const found = POLICIES.find((one) => one === text);
  if (found === undefined) throw new CliError(EXIT.usage, `--restart expects one of ${POLICIES.join(', ')}; got "${text}"`);
  return found;
}

/** A directory that no other run has had: this process becomes the guardian, and its identity is in the name. */
function privateTarget(): Target {
  const place = `run.${process.pid}.${native().startTime(process.pid)}`;
  return {
    instance: `run.${process.pid}`,
    dir: native().resolveDir(join('/dev/shm', `holdfast-${process.geteuid?.() ?? 0}`, place), null),
  };
}

/** The environment as it is, without what would tie the command to a manager above this one. */
function ownEnvironment(): Record<string, string | undefined> {
  const { HOLDFAST_ATTACH: _attach, HOLDFAST_ID: _id, ...env } = process.env;
  return env;
}

/** Runs one command under a manager of its own. This process becomes that manager: nothing of Node stays. */
export function run(command: readonly string[], options: RunOptions): never {
  const restart = policy(options.restart ?? 'never');
  const [program = ''] = command;
  const name = nameOfProgram(program);
  const env = ownEnvironment();
  const spec = toNativeSpec({ name, run: command, restart }, { logDir: '', env });
  sweepPrivateDirs();
  const target = privateTarget();
  const operator = new (native().Operator)(target.dir, true);
  try {
    operator.setSetting('instance', target.instance);
    operator.define(spec);
  } finally {
    operator.close();
  }
  const pairs = Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
  return native().exec(daemonPath(), ['holdfastd', ...daemonArguments(target, '--foreground', '--once', name)], pairs, []);
}
