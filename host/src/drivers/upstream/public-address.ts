import { type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { EntrepotError } from '@entrepot/core';
import ipaddr from 'ipaddr.js';

/**
 * Whether an address belongs to the public internet: not private, loopback, link-local, carrier-grade NAT (RFC 6598), multicast,
 * unique-local, IPv4-mapped, nor any other special range of the IANA registries.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  const range = parsed.range();
  if (parsed instanceof ipaddr.IPv6) {
    // RFC 6052: on a network without IPv4 every IPv4 host is reached through such an address.
    if (range === 'rfc6052') return isPublicAddress(embeddedIPv4(parsed));
    // RFC 4291 §2.4: what is assigned lies in 2000::/3. The rest holds oddities such as `::127.0.0.1`.
    return range === 'unicast' && ((parsed.parts[0] ?? 0) & 0xe000) === 0x2000;
  }
  return range === 'unicast';
}

/** The address that the host of a URL already is; `undefined` for a name. The host is as `URL` gives it. */
export function literalAddress(hostname: string): string | undefined {
  const address = hostname.replace(/^\[|\]$/g, '');
  return ipaddr.isValid(address) ? address : undefined;
}

/** The error for an address that may not be connected to. */
export function addressRefused(hostname: string, address: string): EntrepotError {
  const what = hostname === address ? address : `${hostname} (${address})`;
  return new EntrepotError('forbidden', `${what} is no public address; allow the host if it is meant`, {
    code: 'ADDRESS_REFUSED',
  });
}

/**
 * Resolves a name as `net.connect` asks for it, and fails when any of its addresses is not public. The connection uses the
 * very addresses that were looked at, so a name that changes between two look-ups (DNS rebinding) does not get by.
 */
export const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error !== null) return callback(error, []);
    const refused = addresses.find(({ address }) => !isPublicAddress(address));
    if (refused !== undefined) return callback(addressRefused(hostname, refused.address), []);
    if (options.all === true) return callback(null, addresses);
    const first = addresses[0] as LookupAddress;
    return callback(null, first.address, first.family);
  });
};

function embeddedIPv4({ parts }: ipaddr.IPv6): string {
  const [high = 0, low = 0] = parts.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
