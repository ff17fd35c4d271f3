/** The report of a hang, as the manager writes it (reports.c): a head that ends with `where: …` and an empty line, then the stacks. */
import { closeSync, openSync, readSync } from 'node:fs';

const LINES_SHOWN = 20;
const BYTES_READ = 16 * 1024;
const HEAD = /^.*?^where: [^\n]*\n\n/ms;

function beginning(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(BYTES_READ);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, BYTES_READ, 0));
  } finally {
    closeSync(fd);
  }
}

/** What a supervised process wrote goes to a terminal: nothing in it may steer that. */
function harmless(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, (char) => (char === '\t' ? '  ' : '?')).trimEnd();
}

/** The first lines of the stacks in a report; a line that says where the rest is, or why there is nothing. */
export function readStacks(file: string): string[] {
  let text: string;
  try {
    text = beginning(file);
  } catch (error) {
    return [`can't be read: ${(error as Error).message}`];
  }
  const lines = text
    .replace(HEAD, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const shown = lines.slice(0, LINES_SHOWN).map(harmless);
  return lines.length > shown.length ? [...shown, '… the rest is in the report'] : shown;
}
