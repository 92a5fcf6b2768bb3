import { type HotCacheFixture, hotCacheSuite } from '@entrepot/core/testing';
import { type LogFields, silentLogger } from '@entrepot/core';
import { Keyv } from 'keyv';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KeyvHotCache, memoryKeyv } from '../../../src/drivers/cache/keyv.js';

/** A backend that can be taken away, as Redis can. */
class FailingMap extends Map<string, unknown> {
  failing = false;

  override get(key: string): unknown {
    this.#fail();
    return super.get(key);
  }

  override set(key: string, value: unknown): this {
    this.#fail();
    return super.set(key, value);
  }

  override delete(key: string): boolean {
    this.#fail();
    return super.delete(key);
  }

  #fail(): void {
    if (this.failing) throw Object.assign(new Error('redis://user:hush@127.0.0.1 refused'), { code: 'ECONNREFUSED' });
  }
}

describe('in memory', () => {
  // Keyv reads the time from Date.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  hotCacheSuite(
    { describe, it },
    () => ({
      cache: new KeyvHotCache(memoryKeyv(), silentLogger),
      advance: (milliseconds) => void vi.setSystemTime(Date.now() + milliseconds),
    }),
    { clock: true },
  );
});

describe('on a backend that goes away', () => {
  const fixture = (): HotCacheFixture => {
    const store = new FailingMap();
    return {
      cache: new KeyvHotCache(new Keyv<string>({ store }), silentLogger),
      async breakDown() {
        store.failing = true;
      },
    };
  };
  hotCacheSuite({ describe, it }, fixture, { outage: true });

  it('says so once, without the words of the client library', async () => {
    const store = new FailingMap();
    const warnings: [LogFields, string][] = [];
    const logger = { ...silentLogger, warn: (...warning: [LogFields, string]) => void warnings.push(warning) };
    const cache = new KeyvHotCache(new Keyv<string>({ store, throwOnErrors: true }), logger);
    store.failing = true;
    await cache.get('a');
    await cache.set('a', '1', 1000);
    await cache.delete('a');
    expect(warnings).toEqual([[{ code: 'ECONNREFUSED', error: 'Error' }, 'the hot cache does not answer']]);
  });
});

it.each([0, -1])('keeps nothing for %d milliseconds', async (ttl) => {
  const cache = new KeyvHotCache(memoryKeyv(), silentLogger);
  await cache.set('a', 'old', 1000);
  await cache.set('a', 'new', ttl);
  expect(await cache.get('a')).toBeUndefined();
});

it('keeps apart what Keyv would prefix, and values that look serialised', async () => {
  const cache = new KeyvHotCache(memoryKeyv(), silentLogger);
  await cache.set('a', ':base64:YQ==', 1000);
  await cache.set('keyv:a', '{"value":1}', 1000);
  expect([await cache.get('a'), await cache.get('keyv:a')]).toEqual([':base64:YQ==', '{"value":1}']);
});
