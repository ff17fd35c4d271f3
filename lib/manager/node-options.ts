/** NODE_OPTIONS with the preload that beats for a program which knows nothing of Holdfast, and without it. */
import { fileURLToPath } from 'node:url';

/** What Node is told to require; it lies beside the addon, in lib/ and dist/ alike two folders up. */
export const PRELOAD = fileURLToPath(new URL('../../native/preload.cjs', import.meta.url));

/** The preload of another copy of the package: as useless to a child as ours. */
const FOREIGN = /\/holdfast\/native\/preload\.cjs$/;

/** One word of NODE_OPTIONS, unquoted, and where it stands. */
interface Word {
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

/** Splits as Node does: only spaces separate; inside double quotes a backslash keeps the next character. */
function words(options: string): Word[] {
  const found: Word[] = [];
  let text = '';
  let from = -1;
  let isQuoted = false;
  for (let at = 0; at < options.length; at++) {
    const char = options.charAt(at);
    if (char === ' ' && !isQuoted) {
      if (from >= 0) found.push({ text, from, to: at });
      [text, from] = ['', -1];
      continue;
    }
    if (from < 0) from = at;
    if (char === '"') isQuoted = !isQuoted;
    else text += char === '\\' && isQuoted ? options.charAt(++at) : char;
  }
  if (from >= 0) found.push({ text, from, to: options.length });
  return found;
}

function isPreload(path: string): boolean {
  return path === PRELOAD || FOREIGN.test(path);
}

/** The options without a preload of Holdfast; all else keeps its letters. */
export function withoutPreload(options: string): string {
  const all = words(options);
  const kept: string[] = [];
  let from = 0;
  for (const [i, word] of all.entries()) {
    const isPair = (word.text === '--require' || word.text === '-r') && isPreload(all[i + 1]?.text ?? '');
    const isOne = word.text.startsWith('--require=') && isPreload(word.text.slice('--require='.length));
    if (!isPair && !isOne) continue;
    kept.push(options.slice(from, word.from).trimEnd());
    from = (isPair ? all[i + 1] : word)?.to ?? options.length;
  }
  if (from === 0) return options;
  return [...kept, options.slice(from)]
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .join(' ');
}

/** The options with our preload, quoted for Node, behind what is there. */
export function withPreload(options: string): string {
  const quoted = PRELOAD.replaceAll(/[\\"]/g, '\\$&');
  return `${withoutPreload(options)} --require "${quoted}"`.trimStart();
}
