/** Directories of embedded managers and of `run`: one each, named by its owner, so that the next one can sweep up after a dead one. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ExosError, publicly } from '../errors.js';
import { native } from '../native.js';

/** `embed.<pid>.<start time>.<n>`, `run.<pid>.<start time>` */
const NAME = /^(?:embed|run)\.(\d+)\.(\d+)(?:\.\d+)?$/;

function base(): string {
  return `/dev/shm/holdfast-${process.geteuid?.() ?? 0}`;
}

function isAlive(pid: number, startTime: number): boolean {
  try {
    return native().startTime(pid) === startTime;
  } catch {
    return false; // no such process
  }
}

/** True where nobody is left to use it. A directory that can't be opened may be somebody's of another pid namespace. */
function isAbandoned(dir: string): boolean {
  try {
    const operator = publicly(() => new (native().Operator)(dir, false));
    try {
      const { managerPid, guardianPid } = operator.instance();
      return managerPid === 0 && guardianPid === 0;
    } finally {
      operator.close();
    }
  } catch (error) {
    return error instanceof ExosError && error.code === 'ERR_HOLDFAST_BOOT';
  }
}

/** Removes what dead owners left. Their guardians have killed the trees, and are waited for by not touching what they still use. */
export function sweepPrivateDirs(): void {
  let names: string[];
  try {
    names = readdirSync(base());
  } catch {
    return; // nobody has been here yet
  }
  for (const name of names) {
    const match = NAME.exec(name);
    if (match === null || isAlive(Number(match[1]), Number(match[2]))) continue;
    const dir = join(base(), name);
    if (isAbandoned(dir)) rmSync(dir, { recursive: true, force: true });
  }
}

/** Makes a directory that no other Manager of this process (of other threads and other copies of the package too) has. */
export function makeEmbedDir(): string {
  const owner = `embed.${process.pid}.${publicly(() => native().startTime(process.pid))}`;
  for (let number = 1; ; ) {
    const dir = join(base(), `${owner}.${number}`);
    publicly(() => native().createDir(base()));
    try {
      mkdirSync(dir, { mode: 0o700 });
      return dir;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') number++;
      // The last instance to end removes the folder of all: it may do so between the two calls above.
      else if (code !== 'ENOENT') throw error;
    }
  }
}
