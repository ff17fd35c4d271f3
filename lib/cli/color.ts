/** Colours for a stream, or none where it is no terminal or NO_COLOR is set. */
export interface Paint {
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
}

const ESC = '\u001b';

/** Whether the stream takes colours: a terminal, and the user did not ask for none. */
export function hasColor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

/** The colours of a stream. */
export function paintFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Paint {
  const on = hasColor(stream, env);
  const code = (open: number, close: number) => (text: string) =>
    on && text !== '' ? `${ESC}[${open}m${text}${ESC}[${close}m` : text;
  return { red: code(31, 39), green: code(32, 39), yellow: code(33, 39), dim: code(2, 22), bold: code(1, 22) };
}

/** A state in its colour. */
export function paintState(state: string, paint: Paint): string {
  if (state === 'READY') return paint.green(state);
  if (state === 'FAIL') return paint.red(state);
  return state === 'STOPPED' ? paint.dim(state) : paint.yellow(state);
}
