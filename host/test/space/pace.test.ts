import { ManualClock } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { Pace } from '../../src/space/pace.js';

const MEBIBYTE = 1024 ** 2;

function open(rate: number) {
  const clock = new ManualClock();
  const pauses: number[] = [];
  const pace = new Pace(rate, clock, async (milliseconds, signal) => {
    signal.throwIfAborted();
    pauses.push(milliseconds);
    clock.advance(milliseconds);
  });
  const { signal } = new AbortController();
  return { clock, pauses, spend: (bytes: number) => pace.spend(bytes, signal), pace };
}

describe('a rate', () => {
  it('is kept to, the time of the work itself included', async () => {
    const { clock, spend } = open(10 * MEBIBYTE);
    for (let pieces = 0; pieces < 400; pieces += 1) {
      clock.advance(5);
      await spend(MEBIBYTE / 4);
    }
    expect(clock.monotonic()).toBeGreaterThanOrEqual(9_990);
    expect(clock.monotonic()).toBeLessThan(10_030);
  });

  it('is kept to in few pauses where pieces are small', async () => {
    const { clock, pauses, spend } = open(MEBIBYTE);
    for (let pieces = 0; pieces < 4096; pieces += 1) await spend(256);
    expect(clock.monotonic()).toBeCloseTo(1000, -2);
    expect(pauses.length).toBeLessThanOrEqual(100);
  });

  it('makes up for a second in which nothing was done, and no more', async () => {
    const { clock, pauses, spend } = open(1000);
    await spend(1000);
    clock.advance(60_000);
    await spend(3000);
    expect(pauses).toEqual([1000, 2000]);
  });

  it('may be unbounded', async () => {
    const { pauses, spend } = open(Infinity);
    await spend(1e12);
    expect(pauses).toEqual([]);
  });

  it('ends with its signal', async () => {
    const pace = new Pace(1, new ManualClock());
    const stopping = new AbortController();
    const spending = pace.spend(1e9, stopping.signal);
    stopping.abort(new Error('enough'));
    await expect(spending).rejects.toThrow('enough');
    await expect(pace.spend(0, stopping.signal)).rejects.toThrow('enough');
  });
});
