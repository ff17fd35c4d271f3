// SPDX-License-Identifier: MIT
// What the demo says, and at what pace: as fast as it goes, but with pauses to read where a person watches.
import { setTimeout as sleep } from 'node:timers/promises';

const isWatched = process.stdout.isTTY === true && !process.argv.includes('--fast');
const hasColor = process.stdout.isTTY === true && !process.env.NO_COLOR;
const paint = (code, text) => (hasColor ? `\u001b[${code}m${text}\u001b[0m` : text);

export const print = (line = '') => void process.stdout.write(`${line}\n`);
/** A pause where a person watches, else none. */
export const pause = (ms) => (isWatched ? sleep(ms) : undefined);

/** A heading; what follows belongs to it. */
export async function scene(title) {
  await pause(1800);
  print(`\n${paint('1;36', title)}`);
  await pause(700);
}

/** A command as it would be typed. */
export async function typed(command) {
  print(`\n${paint('1', `$ ${command}`)}`);
  await pause(400);
}

export const say = (text) => print(`  ${text}`);
/** A labelled line: `why  killed by SIGSEGV`. */
export const tell = (label, text) => print(`  ${paint('2', label.padEnd(9))} ${text}`);
export const good = (text) => paint('32', text);

/** Rows with columns of equal width. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows)
    say(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
}
