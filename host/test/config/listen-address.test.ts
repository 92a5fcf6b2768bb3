import { describe, expect, it } from 'vitest';
import { parseListenAddress, printListenAddress } from '../../src/config/listen-address.js';

describe('listen addresses', () => {
  it.each([
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['Packages.example.com:443', { host: 'packages.example.com', port: 443 }],
    ['[::1]:8080', { host: '::1', port: 8080 }],
    ['[fe80::1%eth0]:8080', { host: 'fe80::1%eth0', port: 8080 }],
    [':8080', { port: 8080 }],
  ])('reads %s', (text, expected) => {
    expect(parseListenAddress(text)).toEqual(expected);
    expect(printListenAddress(expected)).toBe(text.toLowerCase());
  });

  it.each([
    '',
    '8080',
    'localhost',
    '::1:8080',
    '[::1]',
    '127.0.0.1:',
    ':65536',
    ':-1',
    'http://a:80',
    'a b:80',
    'a@b:80',
  ])('refuses %j', (text) => {
    expect(parseListenAddress(text)).toBeUndefined();
  });
});
