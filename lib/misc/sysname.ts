/** The name of the system. */
import { hostname } from 'node:os';

/**
 * `sysname` of the configuration, which a manager hands to its processes as `$HOLDFAST_SYSNAME`, else the host name.
 *
 * Documented as `get_sysname()` on the EXOS "System" page.
 */
export function getSysname(): string {
  return process.env.HOLDFAST_SYSNAME || hostname();
}
