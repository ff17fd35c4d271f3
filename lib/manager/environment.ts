/** The environment of a definition: `env` over `envFile` over what is inherited. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { ValueError } from '../errors.js';
import { type Place, record, refuse, text } from './check.js';
import { withoutPreload, withPreload } from './node-options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Meant for the process that has them, and for nobody that it defines. */
const PRIVATE = ['HOLDFAST_ATTACH', 'HOLDFAST_HEARTBEAT', 'HOLDFAST_ID', 'NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

function readEnvFile(processName: string, value: unknown, cwd: string): Environment {
  if (value === undefined) return {};
  const file = resolve(cwd, text({ process: processName, option: 'envFile' }, value, "write a path such as '.env'"));
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ValueError(`${processName}: envFile can't be read: ${reason}: create it, or take envFile out`, { cause });
  }
}

function asText(place: Place, value: unknown): string {
  const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  if (isScalar && !String(value).includes('\0')) return String(value);
  throw refuse(place, 'a string, number or boolean', value, 'write it as a string, or take it out');
}

/** The preload that beats is for definitions with a heartbeat: one that this process has of its own manager is not handed on. */
function setNodeOptions(all: Map<string, string>, isBeating: boolean): void {
  const given = all.get('NODE_OPTIONS');
  if (isBeating) all.set('NODE_OPTIONS', withPreload(given ?? ''));
  if (isBeating || given === undefined) return;
  const kept = withoutPreload(given);
  if (kept === '') all.delete('NODE_OPTIONS');
  else all.set('NODE_OPTIONS', kept);
}

/** `KEY=value` lines, complete. */
export function toEnvironment(
  processName: string,
  spec: { env?: unknown; envFile?: unknown; heartbeatMs?: unknown },
  cwd: string,
  inherited: Environment,
): string[] {
  const all = new Map<string, string>();
  const lower = { ...inherited, ...readEnvFile(processName, spec.envFile, cwd) };
  for (const [key, value] of Object.entries(lower)) if (value !== undefined && !PRIVATE.includes(key)) all.set(key, value);
  for (const [key, value] of Object.entries(record({ process: processName, option: 'env' }, spec.env))) {
    const place = { process: processName, option: `env.${key}` };
    if (key === '' || /[=\0]/.test(key)) throw refuse(place, 'a name without "="', key, 'rename it');
    all.set(key, asText(place, value));
  }
  setNodeOptions(all, spec.heartbeatMs !== undefined);
  return [...all].map(([key, value]) => `${key}=${value}`);
}
