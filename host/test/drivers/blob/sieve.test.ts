import { expect, it } from 'vitest';
import { Sieve } from '../../../src/drivers/blob/sieve.js';

it('takes the oldest out first, and spares once what was used', () => {
  const sieve = new Sieve<string>();
  for (const key of ['a', 'b', 'c', 'd']) sieve.add(key, 10);
  expect(sieve.use('a')).toBe(10);
  expect(sieve.use('c')).toBe(10);
  expect(sieve.use('z')).toBeUndefined();
  expect([sieve.evict(), sieve.evict()]).toEqual(['b', 'd']);
  expect([sieve.evict(), sieve.evict(), sieve.evict()]).toEqual(['a', 'c', undefined]);
});

it('goes on where it was, among members that come and go', () => {
  const sieve = new Sieve<string>();
  for (const key of ['a', 'b', 'c']) sieve.add(key, 1);
  sieve.use('a');
  expect(sieve.evict()).toBe('b');
  sieve.add('d', 1);
  expect(sieve.remove('c')).toBe(true);
  expect(sieve.remove('c')).toBe(false);
  // The hand has passed a.
  expect(sieve.evict()).toBe('d');
  expect(sieve.evict()).toBe('a');
});

it('counts bytes', () => {
  const sieve = new Sieve<string>();
  sieve.add('a', 5);
  sieve.add('b', 7);
  sieve.add('a', 6);
  expect(sieve.bytes).toBe(13);
  sieve.evict();
  sieve.evict();
  expect(sieve.bytes).toBe(0);
});
