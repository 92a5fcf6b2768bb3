import { describe, expect, it } from 'vitest';
import { urlAuthorization } from '../../src/index.js';

describe('the header for credentials in a URL', () => {
  it.each([
    ['https://user:p%40ss@a.example.com', `Basic ${Buffer.from('user:p@ss').toString('base64')}`],
    ['https://token@a.example.com', `Basic ${Buffer.from('token:').toString('base64')}`],
    ['https://a.example.com', undefined],
    ['https://user:%ff@a.example.com', undefined],
  ])('of %s', (url, header) => {
    expect(urlAuthorization(new URL(url))).toBe(header);
  });
});
