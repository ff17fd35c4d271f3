/** The heartbeat cells of this process, read from their memory as a judge reads them: hf_cell in native/core/segment/layout.h. */
import { native } from '../../lib/native.js';

/** From the line that is beaten into to the line of its owner: HF_CELL_LINES_APART. */
export const LINES_APART = 2048;

export interface Cell {
  readonly name: string;
  readonly beats: number;
  readonly armed: boolean;
  readonly periodMs: number;
  readonly grace: number;
  readonly note: string;
  /** What busy() put off, while no beat has come since. */
  readonly busyMs: number;
}

/** Those that are claimed. */
export function cells(): Cell[] {
  const { hearts, constants } = native();
  const memory = Buffer.from(hearts.memory());
  const found: Cell[] = [];
  for (let cell = 0; cell < constants.cellMax; cell++) {
    const at = hearts.offset(cell);
    const owner = memory.subarray(at + LINES_APART, at + LINES_APART + 64);
    if (owner[0] !== 0) found.push(read(memory.subarray(at, at + 64), owner));
  }
  return found;
}

/** The claimed cell of that name. */
export function cellOf(name: string): Cell | undefined {
  return cells().find((cell) => cell.name === name);
}

function read(beaten: Buffer, owner: Buffer): Cell {
  const text = (bytes: Buffer) => bytes.toString().replace(/\0.*$/s, '');
  const beats = beaten.readUInt32LE(0);
  return {
    name: text(owner.subarray(32)),
    beats,
    armed: owner[0] === 2,
    periodMs: Number(owner.readBigUInt64LE(8)) / 1e6,
    grace: owner.readUInt16LE(24),
    note: text(beaten.subarray(16)),
    busyMs: beaten.readUInt32LE(4) === beats ? Number(beaten.readBigUInt64LE(8)) / 1e6 : 0,
  };
}
