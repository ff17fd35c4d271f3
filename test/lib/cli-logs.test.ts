import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogReader, Prefixer } from '../../lib/cli/tail.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-logs-'));
  file = join(folder, 'web.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(reader: LogReader): string {
  const parts: Buffer[] = [];
  reader.read((bytes) => parts.push(bytes));
  return Buffer.concat(parts).toString();
}

function tail(text: string, lines: number): string {
  writeFileSync(file, text);
  const reader = new LogReader(file);
  reader.seekToLines(lines);
  const got = read(reader);
  reader.close();
  return got;
}

test.each([
  ['a\nb\nc\n', 2, 'b\nc\n'],
  ['a\nb\nc', 2, 'b\nc'],
  ['a\nb\n', 2, 'a\nb\n'],
  ['a\n', 5, 'a\n'],
  ['\n\n\n', 2, '\n\n'],
  ['a\nb\n', 0, ''],
  ['', 3, ''],
])('the end of %j, %i lines', (text, lines, expected) => expect(tail(text, lines)).toBe(expected));

test('the end of a file larger than what is read at once, like that of a small one', () => {
  const long = Array.from({ length: 30_000 }, (_, i) => `line ${i}`);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30_000 }), (count) => {
      expect(tail(`${long.join('\n')}\n`, count)).toBe(`${long.slice(-count).join('\n')}\n`);
    }),
    { numRuns: 15 },
  );
});

test('it follows through a rotation, and misses nothing that was written before it', () => {
  writeFileSync(file, 'old 1\n');
  const reader = new LogReader(file);
  reader.seekToLines(10);
  expect(read(reader)).toBe('old 1\n');
  expect(read(reader)).toBe('');
  appendFileSync(file, 'old 2\n');
  renameSync(file, `${file}.1`);
  writeFileSync(file, 'new 1\n');
  expect(read(reader)).toBe('old 2\nnew 1\n');
  appendFileSync(file, 'new 2\n');
  expect(read(reader)).toBe('new 2\n');
  reader.close();
});

test('it waits for a file that is not there yet, and for one that is away between two', () => {
  const reader = new LogReader(file);
  reader.seekToLines(10);
  expect(read(reader)).toBe('');
  writeFileSync(file, 'first\n');
  expect(read(reader)).toBe('first\n');
  renameSync(file, `${file}.1`);
  expect(read(reader)).toBe('');
  writeFileSync(file, 'second\n');
  expect(read(reader)).toBe('second\n');
  reader.close();
});

test('a file that was cut is read from its start', () => {
  writeFileSync(file, 'one\ntwo\n');
  const reader = new LogReader(file);
  expect(read(reader)).toBe('one\ntwo\n');
  truncateSync(file, 0);
  appendFileSync(file, 'x\n');
  expect(read(reader)).toBe('x\n');
  reader.close();
});

test('each line gets the prefix once, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[ab\n]{0,6}$/), { maxLength: 8 }), (pieces) => {
      let got = '';
      const lines = new Prefixer('web | ', (bytes) => {
        got += bytes.toString();
      });
      for (const piece of pieces) lines.push(Buffer.from(piece));
      lines.end();
      const text = pieces.join('');
      const expected = text === '' ? [] : text.replace(/\n$/, '').split('\n');
      expect(got).toBe(expected.map((line) => `web | ${line}\n`).join(''));
    }),
  );
});

test('without a prefix the bytes go through as they come', () => {
  let got = '';
  const lines = new Prefixer('', (bytes) => {
    got += bytes.toString();
  });
  lines.push(Buffer.from('half a li'));
  expect(got).toBe('half a li');
});
