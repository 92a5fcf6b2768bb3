import { expect, it } from 'vitest';
import { isPublicAddress, literalAddress, lookupPublic } from '../../../src/drivers/upstream/public-address.js';

it.each([
  '1.1.1.1',
  '93.184.216.34',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700::1111',
  '2a00:1450:4001:82a::200e',
  // NAT64 of 1.1.1.1
  '64:ff9b::101:101',
])('takes %s for public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

it.each([
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.168.0.1',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:1.1.1.1',
  '64:ff9b::7f00:1',
  '64:ff9b::a00:1',
  '64:ff9b:1::a00:1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  'fc00::1',
  'fd12:3456::1',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  '4000::1',
  'not an address',
  '',
])('takes %s for private', (address) => {
  expect(isPublicAddress(address)).toBe(false);
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

it('refuses a name that leads to a private address', async () => {
  const error = await new Promise((resolve) => lookupPublic('localhost', { all: true }, resolve));
  expect(error).toMatchObject({
    kind: 'forbidden',
    code: 'ADDRESS_REFUSED',
    message: expect.stringMatching(/^localhost \((127\.0\.0\.1|::1)\) is no public address/),
  });
});

it('hands on that a name does not resolve', async () => {
  const error = await new Promise((resolve) => lookupPublic('no-such-host.invalid', {}, resolve));
  expect(error).toMatchObject({ code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) });
});
