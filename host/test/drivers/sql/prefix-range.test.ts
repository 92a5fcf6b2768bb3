import { expect, it } from 'vitest';
import { prefixRange } from '../../../src/drivers/sql/prefix-range.js';

it.each([
  ['a', undefined, { from: 'a', inclusive: true, below: 'b' }],
  ['a/', undefined, { from: 'a/', inclusive: true, below: 'a0' }],
  ['a%_', undefined, { from: 'a%_', inclusive: true, below: 'a%`' }],
  ['', undefined, { from: '', inclusive: true }],
  ['\u{10ffff}', undefined, { from: '\u{10ffff}', inclusive: true }],
  ['a\u{10ffff}\u{10ffff}', undefined, { from: 'a\u{10ffff}\u{10ffff}', inclusive: true, below: 'b' }],
  ['a\ud7ff', undefined, { from: 'a\ud7ff', inclusive: true, below: 'a\ue000' }],
  ['a\uffff', undefined, { from: 'a\uffff', inclusive: true, below: 'a\u{10000}' }],
  ['a', 'a', { from: 'a', inclusive: false, below: 'b' }],
  ['a', 'ab', { from: 'ab', inclusive: false, below: 'b' }],
  ['b', 'a', { from: 'b', inclusive: true, below: 'c' }],
  // By code point an astral sign comes after U+FFFD, by UTF-16 unit before.
  ['\ufffd', '\u{1f600}', { from: '\u{1f600}', inclusive: false, below: '\ufffe' }],
])('makes a range of prefix %j after %j', (prefix, after, range) => {
  expect(prefixRange(prefix, after)).toEqual(range);
});
