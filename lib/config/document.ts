import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from 'yaml';
import type { Problem } from './problem.js';

/** A way to a value in the file: keys, and numbers for items of a list. */
export type Path = readonly (string | number)[];

/** `processes.web.dependsOn[1]`. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

/**
 * `VERSION: 1.10` and `run: [serve, 08080]` mean the letters that stand there: where text is wanted, a number or boolean keeps
 * the way it was written, instead of becoming 1.1 and 8080.
 */
function keepLetters(document: Document): void {
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.source !== 'string' || node.type !== 'PLAIN') return;
      if (typeof node.value !== 'number' && typeof node.value !== 'boolean') return;
      const keys = ancestors.filter((ancestor) => isPair(ancestor)).map((pair) => keyText(pair));
      const isProcessText = keys.length >= 3 && keys[0] === 'processes' && (keys[2] === 'env' || keys[2] === 'run');
      if (isProcessText) node.value = node.source;
    },
  });
}

/** A YAML file that knows where each of its values stands. */
export class YamlDocument {
  readonly #document: Document;
  readonly #lines = new LineCounter();

  constructor(text: string) {
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, merge: true });
    keepLetters(this.#document);
  }

  /** What is wrong with the YAML itself. */
  syntaxProblems(): Problem[] {
    const problems = this.#document.errors.map((error) => {
      const text = error.message.split('\n')[0] ?? error.code;
      return this.#syntaxProblem(error.pos[0], `${text.charAt(0).toLowerCase()}${text.slice(1)}`);
    });
    visit(this.#document, {
      Alias: (_, alias) => {
        if (alias.resolve(this.#document) !== undefined) return;
        problems.push(this.#syntaxProblem(alias.range?.[0] ?? 0, `there is no anchor &${alias.source} above this`));
      },
    });
    return problems;
  }

  #syntaxProblem(offset: number, text: string): Problem {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col, key: '', text: `not valid YAML: ${text}` };
  }

  /** The values, as plain objects. Throws where aliases are unknown or too many. */
  toValues(): unknown {
    return this.#document.toJS();
  }

  /** A problem at the key (or the item) of `path`, or at the nearest one above it that stands in the file. */
  problem(path: Path, text: string): Problem {
    const { line, col } = this.#lines.linePos(this.#offset(path));
    return { line, column: col, key: pathText(path), text };
  }

  #offset(path: Path): number {
    let node: unknown = this.#document.contents;
    let offset = (node as Node | null)?.range?.[0] ?? 0;
    for (const part of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => keyText(item) === String(part));
        if (pair === undefined) break;
        offset = (pair.key as Node | null)?.range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        const item = node.items[Number(part)] as Node | undefined;
        if (item === undefined) break;
        offset = item.range?.[0] ?? offset;
        node = item;
      } else break;
    }
    return offset;
  }
}
