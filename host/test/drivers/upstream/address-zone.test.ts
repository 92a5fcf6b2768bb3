import type { AddressZone } from '@entrepot/core';
import { expect, it } from 'vitest';
import { literalAddress, lookupIn, OtherZoneError, zoneOf } from '../../../src/drivers/upstream/address-zone.js';

it.each<[AddressZone, readonly string[]]>([
  ['public', ['1.1.1.1', '93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001:82a::200e']],
  // NAT64 of 1.1.1.1
  ['public', ['64:ff9b::101:101']],
  ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '100.64.0.1', '100.127.255.255']],
  ['private', ['fc00::1', 'fd12:3456::1']],
  ['test', ['192.0.2.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.80', '2001:db8::1', '3fff::1']],
  ['loopback', ['127.0.0.1', '127.255.255.254', '::1']],
  ['other', ['0.0.0.0', '169.254.169.254', '192.0.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255']],
  ['other', ['::', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:1.1.1.1', '2001::1', '2002:7f00:1::']],
  ['other', ['64:ff9b::7f00:1', '64:ff9b::a00:1', '64:ff9b:1::a00:1']],
  ['other', ['fe80::1', 'fe80::1%eth0', 'fec0::1', 'ff02::1', '4000::1', 'not an address', '']],
])('takes for %s %j', (zone, addresses) => {
  expect(addresses.map((address) => [address, zoneOf(address)])).toEqual(addresses.map((address) => [address, zone]));
});

it.each([
  ['http://[::1]/', '::1'],
  ['http://2130706433/', '127.0.0.1'],
  ['http://0x7f.1/', '127.0.0.1'],
  ['http://017700000001/', '127.0.0.1'],
  ['http://example.com/', undefined],
])('finds the address in %s', (url, address) => {
  expect(literalAddress(new URL(url).hostname)).toBe(address);
});

it('fails a name that leads to another zone, and says to which', async () => {
  for (const zone of ['public', 'private', 'other'] as const) {
    const error = await new Promise((resolve) => lookupIn(zone)('localhost', { all: true }, resolve));
    expect(error).toBeInstanceOf(OtherZoneError);
    expect(error).toMatchObject({ zone: 'loopback', address: expect.stringMatching(/^(127\.0\.0\.1|::1)$/) });
  }
});

it('gives the addresses of a name in the zone', async () => {
  const address = await new Promise((resolve, reject) => {
    lookupIn('loopback')('localhost', {}, (error, found) => (error === null ? resolve(found) : reject(error)));
  });
  expect(address).toMatch(/^(127\.0\.0\.1|::1)$/);
});

it('hands on that a name does not resolve', async () => {
  const error = await new Promise((resolve) => lookupIn('public')('no-such-host.invalid', {}, resolve));
  expect(error).toMatchObject({ code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) });
});
