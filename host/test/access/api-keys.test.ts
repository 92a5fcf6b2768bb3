import { silentLogger } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { ApiKeys } from '../../src/access/api-keys.js';
import { hashOfKey, keySecretIn, makeKeySecret } from '../../src/access/key-secret.js';
import { readChanges } from '../../src/drivers/sql/changes.js';
import { SqlKeyStore, type KeyScope } from '../../src/drivers/sql/key-store.js';
import { DATABASES, openDatabase } from '../scanning/support.js';

const SCOPES: readonly KeyScope[] = [{ may: 'read', repositories: ['*'] }];
const MINUTE = 60_000;

describe('the secret of a key', () => {
  const secret = makeKeySecret();
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

  it('has 256 random bits and a prefix', () => {
    expect(secret).toMatch(/^entrepot_[A-Za-z0-9_-]{43}$/);
    expect(new Set(Array.from({ length: 100 }, makeKeySecret)).size).toBe(100);
    expect(hashOfKey(secret)).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    [`Bearer ${secret}`, true],
    [`bearer ${secret}`, true],
    [basic(`anybody:${secret}`), true],
    [basic(`:${secret}`), true],
    [basic(secret), false],
    [basic(`${secret}:`), false],
    [`Bearer ${secret}x`, false],
    [`Token ${secret}`, false],
    [basic('ann:password'), false],
    ['Bearer', false],
    ['', false],
  ])('is found in %s: %s', (authorization, expected) => {
    expect(keySecretIn(authorization)).toBe(expected ? secret : undefined);
  });
});

describe.each(DATABASES)('keys over %s', (kind) => {
  async function open() {
    const { database } = await openDatabase(kind);
    const clock = new ManualClock();
    const replica = (store = new SqlKeyStore(database)) => {
      const keys = new ApiKeys({ store, clock, logger: silentLogger });
      return { keys, look: async () => await keys.noteChanges(await readChanges(database)) };
    };
    return { database, clock, replica, store: new SqlKeyStore(database) };
  }

  it('are known to another process when it looks, and no longer when they are revoked', async () => {
    const { replica } = await open();
    const [one, two] = [replica(), replica()];
    const { key, secret } = await one.keys.create({ name: 'ci', scopes: SCOPES });
    expect(one.keys.require(secret)).toMatchObject({ id: key.id, caller: 'key:ci' });
    expect(() => two.keys.require(secret)).toThrow('The key is refused');
    await two.look();
    expect(two.keys.require(secret)).toMatchObject({ id: key.id, scopes: SCOPES });
    await one.keys.alter(key.id, (found) => ({ ...found, scopes: [{ may: 'read', repositories: ['npm'] }] }));
    await two.look();
    expect(two.keys.require(secret).scopes).toEqual([{ may: 'read', repositories: ['npm'] }]);
    await one.keys.alter(key.id, (found) => ({ ...found, revokedAt: 1 }));
    expect(() => one.keys.require(secret)).toThrow('The key is refused');
    expect(one.keys.get(key.id)).toBeUndefined();
    await two.look();
    expect(() => two.keys.require(secret)).toThrow('The key is refused');
    expect([one.keys.size, two.keys.size]).toEqual([0, 0]);
  });

  it('stay revoked when an older state of them is read late', async () => {
    const { replica, store } = await open();
    let read = Promise.withResolvers<void>();
    const slow = new (class extends SqlKeyStore {
      override async changedSince(change: number, limit: number) {
        const found = await super.changedSince(change, limit);
        await read.promise;
        return found;
      }
    })((store as unknown as { database: ConstructorParameters<typeof SqlKeyStore>[0] }).database);
    const { keys, look } = replica(slow);
    const { key, secret } = await keys.create({ name: 'ci', scopes: SCOPES });
    const looking = look();
    await new Promise((resolve) => setImmediate(resolve));
    await keys.alter(key.id, (found) => ({ ...found, revokedAt: 1 }));
    read.resolve();
    await looking;
    expect(() => keys.require(secret)).toThrow('The key is refused');
    read = Promise.withResolvers();
    read.resolve();
    await look();
    expect(keys.size).toBe(0);
  });

  it('expire by the clock, and go on while the database is down', async () => {
    const { replica, clock, database } = await open();
    const { keys } = replica();
    const { secret } = await keys.create({ name: 'a', scopes: SCOPES, expiresAt: clock.now() + MINUTE });
    const { secret: lasting } = await keys.create({ name: 'b', scopes: SCOPES });
    await database.destroy();
    expect(keys.require(secret).caller).toBe('key:a');
    clock.advance(MINUTE);
    expect(() => keys.require(secret)).toThrow('The key is refused');
    expect(keys.require(lasting).caller).toBe('key:b');
    await expect(keys.flush()).rejects.toMatchObject({ kind: 'storage' });
    expect(keys.require(lasting).caller).toBe('key:b');
  });

  it('write their last use down now and then', async () => {
    const { replica, clock, store } = await open();
    const { keys } = replica();
    const { key, secret } = await keys.create({ name: 'a', scopes: SCOPES });
    const written = async () => {
      await keys.flush();
      return (await store.find(key.id))?.usedAt;
    };
    expect(await written()).toBeUndefined();
    keys.require(secret);
    const first = clock.now();
    expect(await written()).toBe(first);
    clock.advance(MINUTE);
    keys.require(secret);
    expect(await written()).toBe(first);
    expect(keys.usedAt(key)).toBe(clock.now());
    clock.advance(10 * MINUTE);
    keys.require(secret);
    expect(await written()).toBe(clock.now());
  });

  it('are read whole by a process that starts, in pages', async () => {
    const { replica } = await open();
    const { keys } = replica();
    const made = [];
    for (let index = 0; index < 1_203; index += 1) made.push(await keys.create({ name: `k${index}`, scopes: SCOPES }));
    const other = replica();
    await other.look();
    expect(other.keys.size).toBe(1_203);
    for (const { secret, key } of made) expect(other.keys.require(secret).id).toBe(key.id);
  });
});
