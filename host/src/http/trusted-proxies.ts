import ipaddr from 'ipaddr.js';

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
  const networks = ranges.map(parseNetwork);
  const remembered = new Map<string, boolean>();
  return (address) => {
    if (address === undefined) return false;
    const known = remembered.get(address);
    if (known !== undefined) return known;
    // An IPv4 peer of a dual-stack socket is an IPv4-mapped IPv6 address; `process` makes it IPv4 again.
    const parsed = ipaddr.isValid(address) ? ipaddr.process(address) : undefined;
    const trusted =
      parsed !== undefined &&
      networks.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits));
    if (remembered.size >= REMEMBERED) remembered.clear();
    remembered.set(address, trusted);
    return trusted;
  };
}

function parseNetwork(range: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (range.includes('/')) return ipaddr.parseCIDR(range);
  const address = ipaddr.process(range);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}
