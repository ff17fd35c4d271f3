import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ValueError } from '../../lib/errors.js';
import { splitWords } from '../../lib/manager/words.js';

test.each<[string, string[]]>([
  ['', []],
  ['  \t\n ', []],
  ['node server.js', ['node', 'server.js']],
  ['  a   b\tc ', ['a', 'b', 'c']],
  ["a 'b c' d", ['a', 'b c', 'd']],
  ['a "b c" d', ['a', 'b c', 'd']],
  ["''", ['']],
  ['a"b"\'c\'d', ['abcd']],
  ['"a \\" b" "c\\\\d" "e\\n"', ['a " b', 'c\\d', 'e\\n']],
  ["'a\\b'", ['a\\b']],
  ['a\\ b \\"c', ['a b', '"c']],
  ['$HOME *.js | wc > x; y && z', ['$HOME', '*.js', '|', 'wc', '>', 'x;', 'y', '&&', 'z']],
])('%j', (text, words) => expect(splitWords(text)).toEqual(words));

test.each(["a 'b", 'a "b', "say it's", 'a "b\\"'])('%j: a quote that is not closed is refused, and named', (text) => {
  expect(() => splitWords(text)).toThrow(ValueError);
  expect(() => splitWords(text)).toThrow(/is not closed, from .* on: close it/);
});

test('a backslash at the end is refused', () => expect(() => splitWords('a \\')).toThrow(/backslash ends the command/));

test('any words come back from their quoted form', () => {
  const quote = (word: string) => `'${word.replaceAll("'", `'"'"'`)}'`;
  const backslash = (word: string) => (word === '' ? "''" : [...word].map((char) => `\\${char}`).join(''));
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme-ascii' })), (words) => {
      expect(splitWords(words.map(quote).join(' '))).toEqual(words);
      expect(splitWords(words.map(backslash).join('\t'))).toEqual(words);
    }),
  );
});
