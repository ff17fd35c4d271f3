/** The error for a process that is not there. */
import { ExosError } from '../errors.js';

/** Names the known ones, separated by commas. */
export function unknownProcess(name: string, known: string, hint = ''): ExosError {
  return new ExosError(`there is no process ${JSON.stringify(name)}${hint}: known: ${known}`, {
    code: 'ERR_HOLDFAST_UNKNOWN_PROCESS',
  });
}
