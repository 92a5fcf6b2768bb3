import { describe, expect, it } from 'vitest';
import { readChanges } from '../../../src/drivers/sql/changes.js';
import { SqlKeyStore, type StoredKey } from '../../../src/drivers/sql/key-store.js';
import { DATABASES, openDatabase } from '../../scanning/support.js';

function key(name: string, more: Partial<StoredKey> = {}): Omit<StoredKey, 'change'> {
  return {
    id: `id-${name}`,
    hash: `hash-${name}`,
    name,
    scopes: [{ may: 'read', repositories: ['*'] }],
    createdAt: 1,
    ...more,
  };
}

describe.each(DATABASES)('keys in %s', (kind) => {
  async function open() {
    const { database } = await openDatabase(kind);
    return { database, store: new SqlKeyStore(database) };
  }

  it('come back as they were put, by name and in pages', async () => {
    const { store } = await open();
    const whole = key('b', {
      scopes: [{ may: 'admin', repositories: ['npm', 'hub-*'], names: ['@acme/*'] }],
      note: 'of the build',
      createdBy: 'ann',
      expiresAt: 4_102_444_800_000,
    });
    for (const one of [whole, key('a'), key('c')]) await store.add(one);
    expect(await store.find('id-b')).toEqual({ ...whole, change: 1 });
    expect((await store.list(undefined, 2)).map(({ name }) => name)).toEqual(['a', 'b']);
    expect((await store.list('b', 2)).map(({ name }) => name)).toEqual(['c']);
  });

  it('have names of their own as long as they are in force', async () => {
    const { store } = await open();
    await store.add(key('ci'));
    await expect(store.add(key('ci', { id: 'other', hash: 'other' }))).rejects.toMatchObject({ kind: 'conflict' });
    await store.alter('id-ci', (found) => ({ ...found, revokedAt: 5 }));
    expect(await store.find('id-ci')).toBeUndefined();
    expect(await store.alter('id-ci', (found) => found)).toBeUndefined();
    expect(await store.add(key('ci', { id: 'other', hash: 'other' }))).toMatchObject({ name: 'ci' });
    const at = await Promise.allSettled(
      Array.from({ length: 5 }, (_, index) => store.add(key('same', { id: `same-${index}`, hash: `same-${index}` }))),
    );
    expect(at.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('tell other processes of each change, revocations too', async () => {
    const { store, database } = await open();
    await store.add(key('a'));
    await store.add(key('b'));
    const { keys } = await readChanges(database);
    expect(keys).toBe(2);
    await store.alter('id-a', (found) => ({ ...found, revokedAt: 9 }));
    expect((await readChanges(database)).keys).toBe(3);
    expect(await store.changedSince(keys, 10)).toMatchObject([{ id: 'id-a', revokedAt: 9, change: 3 }]);
    expect((await store.changedSince(0, 1)).map(({ id }) => id)).toEqual(['id-b']);
  });

  it('record their last use without telling anybody, and are forgotten long after their end', async () => {
    const { store, database } = await open();
    for (const one of [key('a'), key('b', { expiresAt: 50 }), key('c')]) await store.add(one);
    await store.alter('id-a', (found) => ({ ...found, revokedAt: 60 }));
    const { keys } = await readChanges(database);
    await store.recordUse(new Map([['id-c', 70]]));
    await store.recordUse(new Map([['id-c', 65]]));
    expect((await store.find('id-c'))?.usedAt).toBe(70);
    expect((await readChanges(database)).keys).toBe(keys);
    await store.prune(60);
    expect((await store.changedSince(0, 10)).map(({ id }) => id)).toEqual(['id-c', 'id-a']);
    await store.prune(61);
    expect((await store.changedSince(0, 10)).map(({ id }) => id)).toEqual(['id-c']);
  });
});
