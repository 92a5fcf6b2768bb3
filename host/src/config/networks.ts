import ipaddr from 'ipaddr.js';

type Network = readonly [network: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

/**
 * Makes a test of whether an address is in one of `ranges`.
 * @param ranges addresses and networks in CIDR notation, IPv4 or IPv6
 * @throws Error for one that cannot be read
 */
export function networksOf(ranges: readonly string[]): (address: string) => boolean {
  const networks = ranges.map(parseNetwork);
  return (address) => {
    const parsed = addressOf(address);
    return (
      parsed !== undefined &&
      networks.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits))
    );
  };
}

/** The address of a peer. One of IPv4 at a dual-stack socket, which is an IPv4-mapped address of IPv6, becomes IPv4 again. */
export function addressOf(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}

function parseNetwork(range: string): Network {
  if (range.includes('/')) return ipaddr.parseCIDR(range);
  const address = ipaddr.process(range);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}
