import { type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { type AddressZone, EntrepotError } from '@entrepot/core';
import ipaddr from 'ipaddr.js';

/** RFC 5737, 2544, 3849, 9637, 5180. */
const TEST_NETWORKS = [
  '192.0.2.0/24',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '198.18.0.0/15',
  '2001:db8::/32',
  '3fff::/20',
  '2001:2::/48',
].map((network) => ipaddr.parseCIDR(network));

/**
 * The zone of an address; `other` for an invalid one. An IPv4-mapped one is `other` too: no legitimate host has one.
 */
export function zoneOf(address: string): AddressZone {
  if (!ipaddr.isValid(address)) return 'other';
  const parsed = ipaddr.parse(address);
  const range = parsed.range();
  if (range === 'private' || range === 'uniqueLocal' || range === 'carrierGradeNat') return 'private';
  if (range === 'loopback') return 'loopback';
  if (TEST_NETWORKS.some((network) => network[0].kind() === parsed.kind() && parsed.match(network))) return 'test';
  if (parsed instanceof ipaddr.IPv6) {
    // RFC 6052: on a network without IPv4 every IPv4 host is reached through such an address.
    if (range === 'rfc6052') return zoneOf(embeddedIPv4(parsed)) === 'public' ? 'public' : 'other';
    // RFC 4291 §2.4: what is assigned lies in 2000::/3. The rest holds oddities such as `::127.0.0.1`.
    return range === 'unicast' && ((parsed.parts[0] ?? 0) & 0xe000) === 0x2000 ? 'public' : 'other';
  }
  return range === 'unicast' ? 'public' : 'other';
}

/** The address that the host of a URL already is; `undefined` for a name. The host is as `URL` gives it. */
export function literalAddress(hostname: string): string | undefined {
  const address = hostname.replace(/^\[|\]$/g, '');
  return ipaddr.isValid(address) ? address : undefined;
}

/** The error for an address that may not be connected to. */
export function addressRefused(hostname: string, address: string): EntrepotError {
  const what = hostname === address ? address : `${hostname} (${address})`;
  return new EntrepotError(
    'forbidden',
    `${what} is no public address, nor in the network of what named it; allow the host if it is meant`,
    { code: 'ADDRESS_REFUSED' },
  );
}

/** A name that leads to another zone than the connection is for. */
export class OtherZoneError extends Error {
  readonly zone: AddressZone;
  /** One that is not public, where there is one. */
  readonly address: string;

  constructor(zone: AddressZone, address: string) {
    super(`${address} is in zone ${zone}`);
    this.zone = zone;
    this.address = address;
  }
}

/**
 * Resolves a name as `net.connect` asks for it, and fails with `OtherZoneError` unless all of its addresses are in `zone`. The
 * connection uses the very addresses that were looked at, so a name that changes between two look-ups (DNS rebinding) does not get by.
 */
export function lookupIn(zone: AddressZone): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      const found = zoneOfAll(addresses);
      if (found !== zone) {
        const telling = addresses.find(({ address }) => zoneOf(address) !== 'public') ?? addresses[0];
        return callback(new OtherZoneError(found, telling?.address ?? 'no address'), []);
      }
      if (options.all === true) return callback(null, addresses);
      const first = addresses[0] as LookupAddress;
      return callback(null, first.address, first.family);
    });
  };
}

function zoneOfAll(addresses: readonly LookupAddress[]): AddressZone {
  const zones = new Set(addresses.map(({ address }) => zoneOf(address)));
  return zones.size === 1 ? ([...zones][0] as AddressZone) : 'other';
}

function embeddedIPv4({ parts }: ipaddr.IPv6): string {
  const [high = 0, low = 0] = parts.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
