/** What makes a valid process name. */
import { ValueError } from '../errors.js';

const VALID = /^[A-Za-z][A-Za-z0-9_.-]{0,30}$/;

/** True for a name that a process may have. */
export function isValidName(name: unknown): name is string {
  return typeof name === 'string' && VALID.test(name);
}

/** Throws the documented sentence for a name that is not valid. */
export function checkName(name: unknown): asserts name is string {
  if (isValidName(name)) return;
  // A name of several lines would break the line of the message.
  const shown = typeof name === 'string' ? name.replace(/\p{Cc}/gu, '?') : String(name);
  throw new ValueError(
    `Process name ${shown} is invalid. Process names must begin with a letter, contain only alphanumeric, "_", "-" and "." characters, and be less than 32 characters long.`,
  );
}
