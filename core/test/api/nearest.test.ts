import { expect, it } from 'vitest';
import { nearest } from '../../src/api/nearest.js';

it.each([
  ['listn', ['listen', 'publicUrl'], 'listen'],
  ['dney', ['deny', 'hide'], 'deny'],
  ['publicURL', ['listen', 'publicUrl'], 'publicUrl'],
  ['upstreem', ['upstream', 'upstreams'], 'upstream'],
  ['upsteams', ['upstream', 'upstreams'], 'upstreams'],
  ['colour', ['listen', 'publicUrl'], undefined],
  ['a', ['b'], 'b'],
  ['ab', [], undefined],
])('takes %s among %j for %s', (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});
