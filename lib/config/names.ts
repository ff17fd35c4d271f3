import { checkName, isValidName } from '../process/name.js';

/** Names that Holdfast itself uses for the log of the manager. */
const RESERVED: readonly string[] = ['holdfastd'];

/** Why this can't be the name of a process, in the documented sentence; undefined where it can. */
export function nameProblem(name: string): string | undefined {
  if (RESERVED.includes(name)) return `the name "${name}" is taken by the manager itself: choose another`;
  if (isValidName(name)) return undefined;
  try {
    checkName(name);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}
