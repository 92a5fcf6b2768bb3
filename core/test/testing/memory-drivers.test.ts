import { describe, expect, it } from 'vitest';
import { EntrepotError, type PolicyInput } from '@entrepot/core';
import {
  blobStoreSuite,
  digestOf,
  entryIndexSuite,
  FixedPolicy,
  type FixedRule,
  hotCacheSuite,
  ManualClock,
  MemoryBlobStore,
  MemoryEntryIndex,
  MemoryHotCache,
  NodeTransport,
  policySuite,
  scannerSuite,
  transportSuite,
} from '@entrepot/core/testing';
import { FixedScanner } from './fixed-scanner.js';
import { scannerFixture } from './fixtures.js';

const runner = { describe, it };

blobStoreSuite(runner, () => ({ store: new MemoryBlobStore() }));

entryIndexSuite(runner, () => ({ index: new MemoryEntryIndex() }));

hotCacheSuite(
  runner,
  () => {
    const clock = new ManualClock();
    return { cache: new MemoryHotCache(clock), advance: (milliseconds) => clock.advance(milliseconds) };
  },
  { clock: true },
);

const RULES: readonly FixedRule[] = [
  {
    id: 'no-latest',
    action: 'deny',
    reason: 'never latest',
    matches: ({ coordinates }) => coordinates.version === 'latest',
  },
  { id: 'watch', action: 'warn', reason: 'watched', matches: ({ coordinates }) => coordinates.name === 'lodash' },
  { id: 'old', action: 'hide', reason: 'deprecated', matches: ({ facts: { deprecated } }) => deprecated === true },
];

policySuite(
  runner,
  () => {
    const policy = new FixedPolicy(RULES);
    return { policy, change: () => policy.setRules([]) };
  },
  { change: true },
);

for (const needs of ['coordinates', 'content'] as const) {
  scannerSuite(runner, () => scannerFixture((options) => new FixedScanner(options), needs), {
    outage: true,
    change: true,
    content: needs === 'content',
  });
}

transportSuite(runner, (waits) => new NodeTransport(waits), { timeouts: true });

describe('manual clock', () => {
  it('moves only when it is told to', () => {
    const clock = new ManualClock(1000);
    clock.advance(5);
    expect([clock.now(), clock.monotonic()]).toEqual([1005, 5]);
    clock.set(10);
    expect([clock.now(), clock.monotonic()]).toEqual([10, 5]);
    expect(() => clock.advance(-1)).toThrow('forwards');
  });
});

describe('fixed policy', () => {
  const input: PolicyInput = {
    stage: 'request',
    repository: { name: 'npm', kind: 'proxy' },
    coordinates: { ecosystem: 'npm', name: 'lodash', version: 'latest' },
    facts: {},
    now: 0,
  };

  it('lets the strongest rule decide and lists all that fired', () => {
    const policy = new FixedPolicy(RULES);
    expect(policy.evaluate(input)).toEqual({
      action: 'deny',
      rules: [
        { id: 'no-latest', action: 'deny', reason: 'never latest' },
        { id: 'watch', action: 'warn', reason: 'watched' },
      ],
    });
    policy.setRules([]);
    expect(policy.evaluate(input)).toEqual({ action: 'allow', rules: [] });
  });
});

describe('memory blob store', () => {
  it('refuses a range outside of the blob', async () => {
    const store = new MemoryBlobStore();
    const { Readable } = await import('node:stream');
    await store.put(digestOf('abc'), 3, { open: () => Readable.from([Buffer.from('abc')]) });
    const opening = store.open(digestOf('abc'), { range: { start: 1, end: 3 } });
    await expect(opening).rejects.toBeInstanceOf(EntrepotError);
  });
});
