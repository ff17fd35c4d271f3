/** Where the output of processes goes. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** `$XDG_STATE_HOME` or `~/.local/state`, then `holdfast/<instance>`: never in memory. */
export function defaultLogDir(instance: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const named = env.XDG_STATE_HOME;
  // The XDG rules: a path that is not absolute is to be ignored.
  const state = named !== undefined && isAbsolute(named) ? named : join(env.HOME || homedir(), '.local', 'state');
  return join(state, 'holdfast', instance);
}
