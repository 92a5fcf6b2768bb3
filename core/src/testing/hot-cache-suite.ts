import assert from 'node:assert/strict';
import type { HotCache } from '../api/hot-cache.js';
import { defineChecks, type DriverFixture, openDriver, type SuiteRunner } from './suite.js';

/** An empty cache, for one check. */
export interface HotCacheFixture extends Omit<DriverFixture<HotCache>, 'reopen'> {
  /** The suite disposes of it. */
  readonly cache: HotCache;
  /** For `clock`: lets so many milliseconds pass for the cache. */
  advance?(milliseconds: number): void;
}

/** Abilities of the fixture. Each is off by default. */
export interface HotCacheCapabilities {
  readonly clock?: boolean;
  readonly outage?: boolean;
}

const HOUR = 3_600_000;

/** Checks the contract of `HotCache`. `factory` gives a new, empty cache for each check. */
export function hotCacheSuite(
  runner: SuiteRunner,
  factory: () => Promise<HotCacheFixture> | HotCacheFixture,
  { clock = false, outage = false }: HotCacheCapabilities = {},
): void {
  const close = (fixture: HotCacheFixture): Promise<void> => openDriver(fixture.cache, fixture).close();
  defineChecks(runner, 'hot cache', factory, close, ({ check, checkIf }) => {
    check('answers undefined for what it never got', async ({ cache }) => {
      assert.equal(await cache.get('a'), undefined);
    });

    check('gives back values of every kind', async ({ cache }) => {
      const values = {
        empty: '',
        text: 'ä 😀 \n"',
        null: 'null',
        undefined: 'undefined',
        number: '0',
        large: 'x'.repeat(1_000_000),
      };
      for (const [key, value] of Object.entries(values)) await cache.set(key, value, HOUR);
      for (const [key, value] of Object.entries(values))
        assert.equal(await cache.get(key), value, `the value of ${key}`);
    });

    check('keeps keys apart', async ({ cache }) => {
      const keys = [
        'a',
        'A',
        'a:',
        'a:b',
        'a/b',
        'a b',
        'a\nb',
        'é',
        '😀',
        '__proto__',
        'constructor',
        'x'.repeat(1000),
      ];
      for (const key of keys) await cache.set(key, `value of ${key}`, HOUR);
      for (const key of keys) assert.equal(await cache.get(key), `value of ${key}`);
      assert.equal(await cache.get('toString'), undefined);
    });

    check('takes a newer value in place of an older one', async ({ cache }) => {
      await cache.set('a', 'old', HOUR);
      await cache.set('a', 'new', HOUR);
      assert.equal(await cache.get('a'), 'new');
    });

    check('forgets one key when told to', async ({ cache }) => {
      await cache.set('a', '1', HOUR);
      await cache.set('b', '2', HOUR);
      await cache.delete('a');
      await cache.delete('a');
      await cache.delete('never');
      assert.equal(await cache.get('a'), undefined);
      assert.equal(await cache.get('b'), '2');
    });

    checkIf(clock, 'clock is off', 'forgets a value when its time is over', async ({ cache, advance }) => {
      if (advance === undefined) throw new Error('the capability "clock" needs advance() in the fixture');
      await cache.set('short', '1', 1000);
      await cache.set('long', '2', 5000);
      advance(999);
      assert.equal(await cache.get('short'), '1');
      advance(2);
      assert.equal(await cache.get('short'), undefined);
      assert.equal(await cache.get('long'), '2');
      await cache.set('long', '3', 10_000);
      advance(5000);
      assert.equal(await cache.get('long'), '3', 'a new value has a time of its own');
    });

    checkIf(outage, 'outage is off', 'answers undefined while its backend is down', async (fixture) => {
      const { cache } = fixture;
      await cache.set('a', '1', HOUR);
      await openDriver(cache, fixture).breakDown();
      assert.equal(await cache.get('a'), undefined);
      await cache.set('b', '2', HOUR);
      await cache.delete('a');
      assert.equal(await cache.get('b'), undefined);
    });
  });
}
