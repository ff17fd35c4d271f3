/** One row of the table of situations in docs/cli.md. */
export interface Situation {
  readonly command: string;
  /** The words of the command, without `holdfast`. */
  readonly argv: string[];
  readonly situation: string;
  readonly exit: number;
  readonly text: string;
}

function words(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '').slice(1);
}

/** The rows of the table with the columns command, situation, exit and text. */
export function readSituations(markdown: string): Situation[] {
  const [, table = ''] = markdown.split('| command | situation | exit | text |\n');
  const rows = table.split('\n\n')[0]?.split('\n').slice(1) ?? [];
  return rows.map((row) => {
    const match = /^\| `(.*?)` \| (.*?) \| (\d+) \| `(.*)` \|$/.exec(row);
    if (match === null) throw new Error(`not a row of the table: ${row}`);
    const [, command = '', situation = '', exit = '', text = ''] = match;
    return { command, argv: words(command), situation, exit: Number(exit), text };
  });
}

/** A text of the table as a pattern: `…` is anything; an error is the whole of stderr, other texts may stand anywhere. */
export function textMatches(text: string): RegExp {
  const pattern = text
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return text.startsWith('holdfast: ') ? new RegExp(`^${pattern}\\n$`) : new RegExp(pattern);
}
