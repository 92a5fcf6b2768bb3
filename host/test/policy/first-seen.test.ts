import { ManualClock } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { SqlFirstSeenStore } from '../../src/drivers/sql/first-seen-store.js';
import { FirstSeen } from '../../src/policy/first-seen.js';
import { npm, openDatabase } from '../scanning/support.js';
import { serve } from './support.js';

const DAY = 86_400_000;

describe('first seen', () => {
  it('is once, also in another process and after a restart', async () => {
    const { database: opened } = await openDatabase();
    const clock = new ManualClock();
    const store = new SqlFirstSeenStore(opened);
    const one = new FirstSeen(store, clock);
    const other = new FirstSeen(store, clock);
    const first = one.meet(npm('demo'));
    await one.flush();
    clock.advance(DAY);
    expect(one.meet(npm('demo'))).toBe(first);

    expect(other.meet(npm('demo'))).toBe(clock.now());
    const { revision } = other;
    await other.flush();
    expect(other.meet(npm('demo'))).toBe(first);
    expect(other.revision).not.toBe(revision);

    const restarted = new FirstSeen(store, clock);
    await restarted.load();
    expect(restarted.peek(npm('demo'))).toBe(first);
  });

  it('is of versions, and only of those that were met', async () => {
    const { database: opened } = await openDatabase();
    const seen = new FirstSeen(new SqlFirstSeenStore(opened), new ManualClock());
    expect(seen.meet({ ecosystem: 'npm', name: 'demo' })).toBeUndefined();
    expect(seen.peek(npm('demo'))).toBeUndefined();
    seen.meet(npm('demo', '2.0.0'));
    await seen.flush();
    expect(await new SqlFirstSeenStore(opened).newest(10)).toMatchObject([{ coordinates: npm('demo', '2.0.0') }]);
  });

  it('is bounded in memory, in what waits and in the store', async () => {
    const { database: opened } = await openDatabase();
    const clock = new ManualClock();
    const store = new SqlFirstSeenStore(opened);
    const seen = new FirstSeen(store, clock, { memory: 2, pending: 3, stored: 1 });
    for (const name of ['a', 'b', 'c', 'd']) {
      seen.meet(npm(name));
      clock.advance(1);
    }
    expect(['a', 'b', 'c', 'd'].filter((name) => seen.peek(npm(name)) !== undefined)).toEqual(['b', 'c']);
    await seen.flush();
    expect((await store.newest(10)).map(({ coordinates }) => coordinates.name)).toEqual(['c']);
  });

  it('is written in batches', async () => {
    const { database: opened } = await openDatabase();
    const store = new SqlFirstSeenStore(opened);
    const seen = new FirstSeen(store, new ManualClock());
    for (let index = 0; index < 1_234; index += 1) seen.meet(npm(`p${index}`));
    await seen.flush();
    expect(await store.newest(10_000)).toHaveLength(1_234);
  });

  it('lets versions ripen that have a date where only the first sight counts', async () => {
    const { get } = await serve(`policy: { preset: balanced, defaults: { ageSource: first-seen } }`);
    expect((await get('/npm/demo/-/demo-1.0.0.tgz')).status).toBe(403);
    const { json } = await get('/-/api/v1/explain?purl=pkg:npm/demo@1.0.0');
    const { nextChangeAt } = json.explanations[0].decision;
    expect(nextChangeAt).toBeGreaterThan(Date.now() + 2 * DAY);
    expect(nextChangeAt).toBeLessThan(Date.now() + 4 * DAY);
  });
});
