import { describe, expect, it } from 'vitest';
import { Breaker } from '../../src/formats/index.js';

describe('Breaker', () => {
  it('opens after three failures in a row, for ten seconds', () => {
    const breaker = new Breaker();
    breaker.failed(0);
    breaker.failed(0);
    breaker.answered();
    for (const _ of [1, 2]) breaker.failed(0);
    expect([breaker.isOpen(0), breaker.enter(0)]).toEqual([false, true]);
    breaker.failed(0);
    expect([breaker.isOpen(9_999), breaker.enter(9_999), breaker.isOpen(10_000)]).toEqual([true, false, false]);
  });

  it('lets one try after the rest, and the others once that went well', () => {
    const breaker = new Breaker(1_000);
    for (const _ of [1, 2, 3]) breaker.failed(0);
    expect([breaker.enter(1_000), breaker.enter(1_000), breaker.enter(2_000)]).toEqual([true, false, false]);
    breaker.failed(3_000);
    expect([breaker.enter(3_999), breaker.enter(4_000)]).toEqual([false, true]);
    breaker.answered();
    expect([breaker.enter(4_000), breaker.enter(4_000)]).toEqual([true, true]);
  });

  it('lets the next one try when the one before has left, or is not heard of', () => {
    const breaker = new Breaker(1_000);
    for (const _ of [1, 2, 3]) breaker.failed(0);
    expect(breaker.enter(1_000)).toBe(true);
    breaker.left(1_500);
    expect([breaker.enter(1_500), breaker.enter(1_500), breaker.enter(61_500)]).toEqual([true, false, true]);
  });

  it('opens at once for as long as it is asked to', () => {
    const breaker = new Breaker();
    breaker.failed(0, 5_000);
    expect([breaker.isOpen(4_999), breaker.isOpen(5_000), breaker.isFailing]).toEqual([true, false, false]);
  });
});
