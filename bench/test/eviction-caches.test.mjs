import { expect, test } from 'vitest';
import { BoundedCache, Oldest, SMALL, Sieve } from '../eviction/caches.mjs';

/** Asks for objects of one byte each; a letter is an object. */
function ask(cache, letters) {
  return [...letters].filter((letter) => cache.request(letter, 1)).join('');
}

const held = (cache) => cache.keys.join('');

test('SIEVE as in its paper: visited ones stay in their place, the hand goes on from where it was', () => {
  const cache = new BoundedCache(7, new Sieve());
  ask(cache, 'ABCDEFG');
  expect(ask(cache, 'ABG')).toBe('ABG');
  // The hand clears A and B, and takes C.
  expect(ask(cache, 'H')).toBe('');
  expect(held(cache)).toBe('ABDEFGH');
  expect(ask(cache, 'AD')).toBe('AD');
  // The hand clears D and takes E: A was not looked at.
  expect(ask(cache, 'I')).toBe('');
  expect(held(cache)).toBe('ABDFGHI');
  expect(ask(cache, 'B')).toBe('B');
  expect(ask(cache, 'J')).toBe('');
  expect(held(cache)).toBe('ABDGHIJ');
  // It clears G, then takes H, I and J; then it begins again, clears A and B, and takes D.
  ask(cache, 'KLM');
  expect(held(cache)).toBe('ABDGKLM');
});

test('SIEVE begins again at the oldest when all are visited', () => {
  const cache = new BoundedCache(3, new Sieve());
  ask(cache, 'ABCABC');
  ask(cache, 'D');
  expect(held(cache)).toBe('BCD');
});

test('where the first request sets the bit too, SIEVE does not tell what was asked for again', () => {
  const letters = 'AABCD';
  const paper = new BoundedCache(3, new Sieve());
  const born = new BoundedCache(3, new Sieve({ bornVisited: true }));
  for (const cache of [paper, born]) ask(cache, letters);
  expect(held(paper)).toBe('ACD');
  expect(held(born)).toBe('BCD');
});

test('FIFO takes the first put, LRU the least recently asked for', () => {
  const fifo = new BoundedCache(3, new Oldest({ renews: false }));
  const lru = new BoundedCache(3, new Oldest({ renews: true }));
  for (const cache of [fifo, lru]) ask(cache, 'ABCAD');
  expect(held(fifo)).toBe('BCD');
  expect(held(lru)).toBe('ACD');
});

test.each([
  ['SIEVE', () => new Sieve()],
  ['LRU', () => new Oldest({ renews: true })],
])('%s passes small objects over while they take less than their share', (_name, order) => {
  const cache = new BoundedCache(10 * SMALL, order(), { share: 0.1 });
  cache.request('small', SMALL / 2);
  cache.request('large', 9 * SMALL);
  cache.request('other', 9 * SMALL);
  expect(cache.keys).toEqual(['small', 'other']);
  cache.request('also small', SMALL / 2);
  // Now all small ones together have their share: the oldest goes.
  cache.request('third', SMALL / 4);
  expect(cache.keys).toEqual(['other', 'also small', 'third']);
});

test('small objects make room for a large one that needs all of it', () => {
  const cache = new BoundedCache(10 * SMALL, new Sieve(), { share: 0.1 });
  cache.request('small', SMALL / 2);
  cache.request('large', 10 * SMALL);
  expect(cache.keys).toEqual(['large']);
});

test('an eviction makes room down to the low mark, and what is above the bound is not kept', () => {
  const cache = new BoundedCache(10, new Sieve(), { low: 0.5 });
  ask(cache, 'ABCDEFGHIJK');
  expect(held(cache)).toBe('GHIJK');
  expect(cache.request('huge', 11)).toBe(false);
  expect(held(cache)).toBe('GHIJK');
});
