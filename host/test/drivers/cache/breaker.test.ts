import { ManualClock } from '@entrepot/core/testing';
import { expect, it } from 'vitest';
import { Breaker } from '../../../src/drivers/cache/breaker.js';

function failing(breaker: Breaker, times: number): void {
  for (let time = 0; time < times; time += 1) {
    expect(breaker.admits()).toBe(true);
    breaker.failed();
  }
}

it('opens after three failures in a row, not after three in all', () => {
  const breaker = new Breaker(new ManualClock());
  failing(breaker, 2);
  expect(breaker.admits()).toBe(true);
  breaker.succeeded();
  failing(breaker, 2);
  expect(breaker.isOpen).toBe(false);
  failing(breaker, 1);
  expect([breaker.isOpen, breaker.admits()]).toEqual([true, false]);
});

it('lets one try after each pause, and doubles the pause up to half a minute', () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock);
  failing(breaker, 3);
  for (const pause of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    clock.advance(pause - 1);
    expect(breaker.admits()).toBe(false);
    clock.advance(1);
    expect(breaker.admits()).toBe(true);
    // While that one tries.
    expect(breaker.admits()).toBe(false);
    breaker.failed();
  }
  clock.advance(30_000);
  expect(breaker.admits()).toBe(true);
  breaker.succeeded();
  expect([breaker.isOpen, breaker.admits(), breaker.admits()]).toEqual([false, true, true]);
});

it('counts those as one failure that began before it opened', () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock);
  for (let asked = 0; asked < 10; asked += 1) expect(breaker.admits()).toBe(true);
  for (let asked = 0; asked < 10; asked += 1) breaker.failed();
  clock.advance(1_000);
  expect(breaker.admits()).toBe(true);
});
