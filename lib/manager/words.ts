/** Splits a command into words, as a shell would with its quotes, and with nothing else of a shell. */
import { ValueError } from '../errors.js';

const SPACE = /\s/;

/**
 * Words are separated by white space; '…' keeps all, "…" keeps all but `\"` and `\\`, a backslash outside quotes keeps the next
 * character. No variables, no globs, no pipes: write `[sh, -c, "…"]` for those.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (SPACE.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === "'" || char === '"') {
      const [quoted, end] = readQuoted(text, at);
      word = (word ?? '') + quoted;
      at = end;
    } else if (char === '\\') {
      if (at + 1 === text.length)
        throw new ValueError('a backslash ends the command: write two for a backslash, or take it out');
      word = (word ?? '') + text.charAt(++at);
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** The text inside the quotes that begin at `start`, and where they end. */
function readQuoted(text: string, start: number): [string, number] {
  const quote = text.charAt(start);
  let inside = '';
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === quote) return [inside, at];
    const next = text.charAt(at + 1);
    const isEscape = char === '\\' && quote === '"' && (next === '"' || next === '\\');
    inside += isEscape ? next : char;
    if (isEscape) at++;
  }
  throw new ValueError(
    `a ${quote} is not closed, from ${JSON.stringify(shorten(text.slice(start)))} on: close it, or write \\${quote}`,
  );
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
