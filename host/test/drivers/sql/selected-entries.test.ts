import type { Digest } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { countChange, readChanges } from '../../../src/drivers/sql/changes.js';
import { SqlEntryIndex } from '../../../src/drivers/sql/entry-index.js';
import { SqlSelectedEntries } from '../../../src/drivers/sql/selected-entries.js';
import { ALL_AGES, SqlUsageReport } from '../../../src/drivers/sql/usage-report.js';
import { MOST_PINS, SqlPinStore } from '../../../src/drivers/sql/pin-store.js';
import { DATABASES, openDatabase } from '../../scanning/support.js';
import { entryOf } from '../../space/support.js';

const DAY = 86_400_000;

async function open(kind: (typeof DATABASES)[number]) {
  const { database } = await openDatabase(kind);
  const index = new SqlEntryIndex(database);
  const put = async (repository: string, key: string, text: string, name = 'tool', version?: string) => {
    const coordinates = { ecosystem: 'npm', name, version };
    const entry = entryOf(repository, key, Buffer.from(text), { coordinates, fetchedAt: 1 });
    const { digest, size } = entry;
    const row = { digest, size, state: 'live' as const, seq: 1, visited: 0, since: 0 };
    await database
      .insertInto('blobs')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await index.replace(entry);
    return digest;
  };
  return { database, index, put, store: new SqlSelectedEntries(database) };
}

const names = (entries: readonly { readonly repository: string; readonly key: string }[]): readonly string[] =>
  entries.map(({ repository, key }) => `${repository}/${key}`);

describe.each(DATABASES)('selected entries in %s', (kind) => {
  it('are read by keys, by prefix, by name and all together', async () => {
    const { put, store } = await open(kind);
    for (const key of ['a/1', 'a/2', 'a/ü', 'a/😀', 'b/1']) await put('one', key, key);
    await put('other', 'a/1', 'x', 'another');
    expect(names(await store.withKeys('one', ['a/2', 'b/1', 'c']))).toEqual(['one/a/2', 'one/b/1']);
    expect(names(await store.ofRepository('one', 'a/', undefined, 3))).toEqual(['one/a/1', 'one/a/2', 'one/a/ü']);
    expect(names(await store.ofRepository('one', 'a/', 'a/ü', 3))).toEqual(['one/a/😀']);
    expect(names(await store.ofAll({ repository: '', key: '' }, 2))).toEqual(['one/a/1', 'one/a/2']);
    expect(names(await store.ofAll({ repository: 'one', key: 'a/😀' }, 9))).toEqual(['one/b/1', 'other/a/1']);
    expect(names(await store.ofName({ ecosystem: 'npm', name: 'another' }, 9))).toEqual(['other/a/1']);
    expect(await store.ofName({ ecosystem: 'npm', name: 'tool' }, 2)).toHaveLength(2);
  });

  it('are removed with what only they need', async () => {
    const { database, put, store } = await open(kind);
    const shared = await put('one', 'a', 'shared');
    const own = await put('one', 'b', 'own');
    await put('other', 'a', 'shared');
    expect(await store.references([shared, own])).toEqual(
      new Map([
        [shared, 2],
        [own, 1],
      ]),
    );
    const { removed, condemned } = await store.remove(
      [
        { repository: 'one', key: 'a' },
        { repository: 'one', key: 'b' },
        { repository: 'one', key: 'gone' },
      ],
      7,
    );
    expect(new Map(removed.map(({ key, digest }) => [key, digest]))).toEqual(
      new Map([
        ['a', shared],
        ['b', own],
      ]),
    );
    expect(condemned).toEqual([{ digest: own, size: 3 }]);
    const blobs = await database.selectFrom('blobs').select(['digest', 'state']).execute();
    expect(new Map(blobs.map(({ digest, state }) => [digest as Digest, state]))).toEqual(
      new Map([
        [shared, 'live'],
        [own, 'condemned'],
      ]),
    );
  });

  it('are reported by package and by age', async () => {
    const { database, index, put } = await open(kind);
    const report = new SqlUsageReport(database);
    await put('one', 'a', 'ten bytes.', 'large', '1');
    await put('one', 'b', 'ten bytes.', 'large', '2');
    await put('one', 'c', 'small', '@scope/small');
    await put('other', 'c', 'small', '@scope/small');
    await index.recordAccess([
      { repository: 'one', key: 'a', at: 100 * DAY },
      { repository: 'one', key: 'b', at: 2 * DAY },
    ]);
    expect(await report.packages(undefined, 9)).toEqual([
      { repository: 'one', purl: 'pkg:npm/large', entries: 2, bytes: 20, lastServedAt: 100 * DAY },
      { repository: 'one', purl: 'pkg:npm/%40scope/small', entries: 1, bytes: 5 },
      { repository: 'other', purl: 'pkg:npm/%40scope/small', entries: 1, bytes: 5 },
    ]);
    expect(await report.packages('other', 1)).toMatchObject([{ repository: 'other' }]);
    const ages = await report.ages(undefined, 100 * DAY);
    expect([...ages.keys()]).toEqual(ALL_AGES);
    expect([...ages].filter(([, { entries }]) => entries > 0)).toEqual([
      ['1d', { entries: 1, bytes: 10 }],
      ['1y', { entries: 1, bytes: 10 }],
      ['never', { entries: 2, bytes: 10 }],
    ]);
    expect((await report.ages('other', 100 * DAY)).get('never')).toEqual({ entries: 1, bytes: 5 });
  });

  it('are purged so many times, as all processes are told', async () => {
    const { database } = await open(kind);
    expect((await readChanges(database)).purges).toBe(0);
    expect(await countChange(database, 'purges')).toBe(1);
    expect(await readChanges(database)).toEqual({ exceptions: 0, quarantine: 0, reports: 0, purges: 1, keys: 0 });
  });

  it('are pinned by so many pins', async () => {
    const { database } = await open(kind);
    const pins = new SqlPinStore(database);
    const pin = (number: number) => ({ id: `${number}`, subject: `npm/${number}`, madeAt: number });
    for (let number = 0; number < MOST_PINS; number += 1) await pins.add(pin(number));
    await expect(pins.add(pin(MOST_PINS))).rejects.toMatchObject({ code: 'TOO_MANY_PINS', status: 409 });
    expect(await pins.remove('7')).toBe(true);
    await pins.add(pin(MOST_PINS));
    expect(await pins.list()).toHaveLength(MOST_PINS);
  });
});
