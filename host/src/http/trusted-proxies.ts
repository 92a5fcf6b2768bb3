import { networksOf } from '../config/networks.js';

/** Whether the peer at an address may say which scheme and host the client asked for. */
export type TrustedProxies = (address: string | undefined) => boolean;

/** Bounds the memory of addresses that were asked about. */
const REMEMBERED = 1024;

/**
 * @param ranges addresses and networks in CIDR notation, IPv4 or IPv6
 * @throws Error for one that cannot be read
 */
export function trustedProxies(ranges: readonly string[]): TrustedProxies {
  if (ranges.length === 0) return () => false;
  const isNamed = networksOf(ranges);
  const remembered = new Map<string, boolean>();
  return (address) => {
    if (address === undefined) return false;
    const known = remembered.get(address);
    if (known !== undefined) return known;
    const trusted = isNamed(address);
    if (remembered.size >= REMEMBERED) remembered.clear();
    remembered.set(address, trusted);
    return trusted;
  };
}
