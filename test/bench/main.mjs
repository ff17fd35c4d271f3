// SPDX-License-Identifier: MIT
// `npm run bench -- recover|footprint|beat|sweep|detect [--json] …`; see docs/benchmarks.md
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { beat, beatText } from './beat.mjs';
import { detect, detectText } from './detect.mjs';
import { footprint, footprintText } from './footprint.mjs';
import { machine, machineLine } from './machine.mjs';
import { recover, recoverText } from './recover.mjs';
import { sweep, sweepText } from './sweep.mjs';

const BENCHMARKS = {
  recover: [recover, recoverText],
  footprint: [footprint, footprintText],
  beat: [beat, beatText],
  sweep: [sweep, sweepText],
  detect: [detect, detectText],
};
const USAGE = `usage: npm run bench -- ${Object.keys(BENCHMARKS).join('|')} [options]
  --json          one object, with the raw samples
  --pairs N       recover: rounds (40); beat: rounds (15 unless told)
  --hangs N       detect: how many (50)
  --seed N        detect: of the periods drawn (1)
  --seconds N     sweep: how long each measurement lasts (3)
  --idle SECONDS  footprint: how long to listen for system calls (10; 0 not at all)
  --children LIST footprint: how many (0,10,100)
  --no-others     holdfastd and the bare respawner only
  --programs DIR  where holdfastd and bench-* are built (out/release)`;

function usage(problem) {
  console.error(`bench: ${problem}\n${USAGE}`);
  process.exit(2);
}

function whole(name, text, least) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least) usage(`--${name} is a whole number, at least ${least}; not ${text}`);
  return number;
}

function parse() {
  const options = {
    json: { type: 'boolean', default: false },
    pairs: { type: 'string' },
    hangs: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '3' },
    idle: { type: 'string', default: '10' },
    children: { type: 'string', default: '0,10,100' },
    others: { type: 'boolean', default: true },
    programs: { type: 'string', default: join(import.meta.dirname, '../../out/release') },
  };
  try {
    return parseArgs({ options, allowPositionals: true, allowNegative: true });
  } catch (error) {
    return usage(error.message);
  }
}

const { values, positionals } = parse();
if (positionals.length !== 1 || !Object.hasOwn(BENCHMARKS, positionals[0])) usage('name one benchmark');
const [measure, text] = BENCHMARKS[positionals[0]];
const interrupted = new AbortController();
const options = {
  pairs: whole('pairs', values.pairs ?? (positionals[0] === 'beat' ? '15' : '40'), 1),
  hangs: whole('hangs', values.hangs, 1),
  seed: whole('seed', values.seed, 0),
  seconds: whole('seconds', values.seconds, 1),
  idleSeconds: whole('idle', values.idle, 0),
  counts: values.children.split(',').map((count) => whole('children', count, 0)),
  others: values.others,
  programs: resolve(values.programs),
  signal: interrupted.signal,
};
const PROGRAMS = ['beat', 'beater', 'detect', 'first', 'hold', 'respawn', 'strike', 'sweep'].map((name) => `bench-${name}`);
for (const program of ['holdfastd', ...PROGRAMS]) {
  if (existsSync(join(options.programs, program))) continue;
  console.error(`bench: ${join(options.programs, program)} is missing: run \`npm run build:tests\``);
  process.exit(1);
}
// What was started has to be ended also then.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupted.abort());
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
try {
  const result = await measure({ ...options, folder });
  const on = machine();
  console.log(values.json ? JSON.stringify({ ...result, machine: on }) : `${machineLine(on)}\n\n${text(result)}`);
} catch (error) {
  console.error(`bench: ${interrupted.signal.aborted ? 'interrupted' : error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
