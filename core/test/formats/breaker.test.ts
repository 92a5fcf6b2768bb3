import { describe, expect, it } from 'vitest';
import { Breaker } from '../../src/formats/index.js';

function failing(breaker: Breaker, times: number): void {
  for (let time = 0; time < times; time += 1) {
    expect(breaker.enter(0)).toBe(true);
    breaker.failed(0);
  }
}

describe('Breaker', () => {
  it('opens after three failures in a row, not after three in all, for ten seconds', () => {
    const breaker = new Breaker();
    failing(breaker, 2);
    breaker.answered();
    failing(breaker, 2);
    expect([breaker.isOpen(0), breaker.isFailing, breaker.enter(0)]).toEqual([false, false, true]);
    breaker.failed(0);
    expect(breaker.isFailing).toBe(true);
    expect([breaker.isOpen(9_999), breaker.enter(9_999), breaker.isOpen(10_000)]).toEqual([true, false, false]);
  });

  it('lets one try after each rest, and doubles the rest up to the longest', () => {
    const breaker = new Breaker({ rest: 1_000, longestRest: 30_000 });
    failing(breaker, 3);
    let now = 0;
    for (const rest of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      now += rest;
      expect([breaker.enter(now - 1), breaker.enter(now), breaker.enter(now)]).toEqual([false, true, false]);
      breaker.failed(now);
    }
    expect(breaker.enter(now + 30_000)).toBe(true);
    breaker.answered();
    expect([breaker.isFailing, breaker.enter(now), breaker.enter(now)]).toEqual([false, true, true]);
    for (const _ of [1, 2, 3]) breaker.failed(now);
    expect([breaker.isOpen(now + 999), breaker.isOpen(now + 1_000)]).toEqual([true, false]);
  });

  it('rests as long each time where no longer rest is named', () => {
    const breaker = new Breaker({ rest: 1_000 });
    failing(breaker, 3);
    for (const now of [1_000, 2_000, 3_000]) {
      expect(breaker.enter(now)).toBe(true);
      breaker.failed(now);
    }
  });

  it('lets the next one try when the one before has left, or is not heard of', () => {
    const breaker = new Breaker({ rest: 1_000 });
    failing(breaker, 3);
    breaker.left(500);
    expect([breaker.enter(999), breaker.enter(1_000)]).toEqual([false, true]);
    breaker.left(1_500);
    expect([breaker.enter(1_500), breaker.enter(1_500), breaker.enter(61_500)]).toEqual([true, false, true]);
  });

  it('counts those as one failure that began before it opened', () => {
    const breaker = new Breaker({ rest: 1_000 });
    for (let asked = 0; asked < 10; asked += 1) breaker.failed(asked * 100);
    expect(breaker.enter(1_200)).toBe(true);
  });

  it('opens at once for as long as it is asked to', () => {
    const breaker = new Breaker();
    breaker.failed(0, 5_000);
    expect([breaker.isOpen(4_999), breaker.isOpen(5_000), breaker.isFailing]).toEqual([true, false, false]);
    for (const _ of [1, 2]) breaker.failed(5_000);
    breaker.failed(5_000, 60_000);
    expect([breaker.isOpen(64_999), breaker.isOpen(65_000)]).toEqual([true, false]);
  });
});
