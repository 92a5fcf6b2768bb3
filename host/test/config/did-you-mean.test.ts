import { expect, it } from 'vitest';
import { nearest } from '../../src/config/did-you-mean.js';

it.each([
  ['listn', ['listen', 'publicUrl'], 'listen'],
  ['publicURL', ['listen', 'publicUrl'], 'publicUrl'],
  ['upstreem', ['upstream', 'upstreams'], 'upstream'],
  ['upsteams', ['upstream', 'upstreams'], 'upstreams'],
  ['colour', ['listen', 'publicUrl'], undefined],
  ['a', ['b'], 'b'],
  ['ab', [], undefined],
])('takes %s among %j for %s', (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});
