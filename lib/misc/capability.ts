/** What this release can do on this machine. */
import { inspect } from 'node:util';
import { ValueError } from '../errors.js';
import { native } from '../native.js';

const no = () => false;
const yes = () => true;

/** In the documented order. What this release can't do is false, whatever the kernel has. */
const CAPABILITIES: ReadonlyMap<string, () => boolean> = new Map([
  ['stacking', no],
  ['checkpointing', no],
  ['thread-monitoring', yes],
  ['pool-monitoring', yes],
  ['hang-stack', () => native().hearts.canCaptureStacks()],
  ['membarrier', () => native().kernelHas('membarrier')],
  ['cgroup-kill', () => native().kernelHas('cgroup-kill')],
  ['sd-notify', yes],
  ['user', () => process.geteuid?.() === 0],
]);

/**
 * Whether this release has a capability, on this machine.
 *
 * Documented as `is_capability_supported(capability)` on the EXOS "System" page. Throws a ValueError that lists the recognised
 * ones for any other.
 */
export function isCapabilitySupported(capability: string): boolean {
  const supported = CAPABILITIES.get(capability);
  if (supported !== undefined) return supported();
  throw new ValueError(
    `there is no capability ${inspect(capability)}: ask for one of ${[...CAPABILITIES.keys()].join(', ')}`,
  );
}
