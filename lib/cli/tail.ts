import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;

/** The offset in an open file at which its last `lines` lines begin. An unfinished line at the end counts as one. */
function offsetOfLines(fd: number, size: number, lines: number): number {
  if (lines <= 0) return size;
  const block = Buffer.alloc(BLOCK);
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - BLOCK);
    const got = readSync(fd, block, 0, end - start, start);
    for (let i = got - 1; i >= 0; i--) {
      const isFinal = start + i === size - 1; // the newline that ends the last line begins no other
      if (block[i] === NEWLINE && !isFinal && ++found === lines) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

/** Reads a log from a place to its end, in pieces, and knows when the file was rotated away under it. */
export class LogReader {
  readonly #path: string;
  #fd: number | undefined;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Goes to the last `lines` lines of the file; nothing happens where there is no file yet. */
  seekToLines(lines: number): void {
    this.#open();
    if (this.#fd !== undefined) this.#offset = offsetOfLines(this.#fd, fstatSync(this.#fd).size, lines);
  }

  /** Hands all that is new to `write`, through rotations: what is left of the old file first, then the new one from its start. */
  read(write: (bytes: Buffer) => void): void {
    this.#open();
    if (this.#fd === undefined) return;
    this.#drain(write);
    const fresh = this.#successor();
    if (fresh === undefined) return;
    this.#drain(write); // written between the last read and the rotation
    closeSync(this.#fd);
    this.#fd = fresh;
    this.#offset = 0;
    this.#drain(write);
  }

  /** Lets go of the file. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #open(): void {
    if (this.#fd === undefined) this.#fd = openLog(this.#path);
  }

  #drain(write: (bytes: Buffer) => void): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    if (fstatSync(fd).size < this.#offset) this.#offset = 0; // truncated by somebody
    for (;;) {
      const block = Buffer.alloc(BLOCK);
      const got = readSync(fd, block, 0, BLOCK, this.#offset);
      if (got === 0) return;
      this.#offset += got;
      write(block.subarray(0, got));
    }
  }

  /** The file that has the name now, where it is another one than the one that is open. */
  #successor(): number | undefined {
    if (this.#fd === undefined) return undefined;
    const next = openLog(this.#path);
    if (next === undefined) return undefined;
    if (fstatSync(next).ino !== fstatSync(this.#fd).ino) return next;
    closeSync(next);
    return undefined;
  }
}

function openLog(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Cuts bytes into lines and puts a prefix in front of each; half a line is kept until its end comes. */
export class Prefixer {
  readonly #prefix: Buffer;
  readonly #write: (bytes: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(prefix: string, write: (bytes: Buffer) => void) {
    this.#prefix = Buffer.from(prefix);
    this.#write = write;
  }

  push(bytes: Buffer): void {
    if (this.#prefix.length === 0) {
      this.#write(bytes);
      return;
    }
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE, start)) {
      lines.push(this.#prefix, all.subarray(start, end + 1));
      start = end + 1;
    }
    this.#rest = all.subarray(start);
    if (lines.length > 0) this.#write(Buffer.concat(lines));
  }

  /** Writes half a line that is left. */
  end(): void {
    if (this.#rest.length > 0) this.#write(Buffer.concat([this.#prefix, this.#rest, Buffer.from('\n')]));
    this.#rest = Buffer.alloc(0);
  }
}
