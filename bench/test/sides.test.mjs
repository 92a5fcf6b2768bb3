import { expect, test } from 'vitest';
import { compareSides } from '../lib/sides.mjs';

const OLD = { old: [1, 1.2, 1.1], again: [1.1, 1.3, 1] };

test('a median outside everything that the old side had is slower or faster, one inside is neither', () => {
  expect(compareSides({ ...OLD, new: [1.2, 1.4, 1.5] }).verdict).toBe('slower');
  expect(compareSides({ ...OLD, new: [0.9, 0.8, 1.5] }).verdict).toBe('faster');
  // Above all of `old`, and yet no more than the old side had in another process.
  expect(compareSides({ ...OLD, new: [1.25, 1.25, 1.25] }).verdict).toBe('no');
});

test('ratios are those of the same run', () => {
  const { ratio, spread } = compareSides({ old: [1, 10, 100], again: [1, 10, 100], new: [2, 20, 200] });
  expect(ratio).toBe(2);
  expect(spread).toBe(1);
});
