import { median } from './statistics.mjs';

/**
 * Compares a new side with an old one that was measured twice. `samples`: the figures of `old`, `again` (the old one, another
 * process) and `new`, run by run; less is better. The new one is slower (or faster) beyond the spread when its median is above
 * (or below) everything that the old one ever had. Ratios are medians of the runs' ratios: what came over the machine in a run
 * came over all sides.
 */
export function compareSides(samples) {
  const spread = [...samples.old, ...samples.again];
  const middle = median(samples.new);
  const isSlower = middle > Math.max(...spread);
  const isFaster = middle < Math.min(...spread);
  return {
    old: summary(samples.old),
    again: summary(samples.again),
    new: summary(samples.new),
    spread: ratioOf(samples.again, samples.old),
    ratio: ratioOf(samples.new, samples.old),
    verdict: isSlower ? 'slower' : isFaster ? 'faster' : 'no',
  };
}

function summary(values) {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values), values };
}

function ratioOf(ones, others) {
  return median(ones.map((one, run) => one / others[run]));
}
