/** The MAC address of the system. */
import { existsSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

const NONE = '00:00:00:00:00:00';

/** True where hardware stands behind it: bridges, tunnels and the like have no device. */
function hasDevice(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/device`);
}

/** Picks the address to show: of the first interface with a device, else of the first that is not internal. */
export function pickMac(
  interfaces: Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'mac' | 'internal'>[] | undefined>>,
  isReal: (name: string) => boolean,
): readonly number[] | null {
  const found: { name: string; mac: string }[] = [];
  for (const [name, addresses = []] of Object.entries(interfaces)) {
    const address = addresses.find(({ internal, mac }) => !internal && mac !== NONE);
    if (address !== undefined) found.push({ name, mac: address.mac });
  }
  const chosen = found.find(({ name }) => isReal(name)) ?? found[0];
  return chosen === undefined ? null : Object.freeze(chosen.mac.split(':').map((byte) => Number.parseInt(byte, 16)));
}

/**
 * Six integers from 0 to 255: the MAC address of the first real network interface that is up, or null.
 *
 * Documented as `get_system_mac()` on the EXOS "System" page.
 */
export function getSystemMac(): readonly number[] | null {
  return pickMac(networkInterfaces(), hasDevice);
}
