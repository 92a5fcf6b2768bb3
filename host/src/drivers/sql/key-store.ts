import { EntrepotError } from '@entrepot/core';
import type { Kysely, Selectable } from 'kysely';
import { countChange } from './changes.js';
import type { KeyTable, Schema } from './schema.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** The most keys in force: every process has all of them in memory. */
export const MOST_KEYS = 20_000;

/** The rights of a key at some repositories. */
export interface KeyScope {
  /** `admin` includes `write`, and `write` includes `read`. */
  readonly may: 'read' | 'write' | 'admin';
  /** Patterns of names of repositories, with `*` for any characters. */
  readonly repositories: readonly string[];
  /** Patterns of names within them, as `access.users.<user>.names` has them. Absent: all. */
  readonly names?: readonly string[] | undefined;
}

/** A key, without its secret. Times are milliseconds since the epoch. */
export interface StoredKey {
  readonly id: string;
  /** SHA-256 of the secret, in hexadecimal digits. */
  readonly hash: string;
  /** No other key in force has it. */
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  readonly note?: string | undefined;
  readonly createdAt: number;
  /** The name of the administrator. */
  readonly createdBy?: string | undefined;
  /** Absent: never. */
  readonly expiresAt?: number | undefined;
  /** Absent: it is in force until it expires. */
  readonly revokedAt?: number | undefined;
  /** Time of the last use, give or take ten minutes. Absent: not yet. */
  readonly usedAt?: number | undefined;
  /** The count of changes of keys at which it was put. */
  readonly change: number;
}

/** The keys of all processes on one database. */
export class SqlKeyStore extends SqlStore {
  /** A page of those in force, expired ones too, by name. @param after the last name of the page before */
  async list(after: string | undefined, limit: number): Promise<readonly StoredKey[]> {
    const rows = await stored('read the keys', () => {
      const query = this.database.selectFrom('keys').selectAll().where('revoked_at', 'is', null).orderBy('name');
      return (after === undefined ? query : query.where('name', '>', after)).limit(limit).execute();
    });
    return rows.map(toKey);
  }

  /** @returns `undefined` when there is none, or it was revoked */
  async find(id: string): Promise<StoredKey | undefined> {
    const row = await stored('read a key', () => inForce(this.database, id).executeTakeFirst());
    return row && toKey(row);
  }

  /** The next keys that were put after `change`, revoked ones too, in the order of their changes. */
  async changedSince(change: number, limit: number): Promise<readonly StoredKey[]> {
    const rows = await stored('read changes of keys', () =>
      this.database
        .selectFrom('keys')
        .selectAll()
        .where('change', '>', change)
        .orderBy('change')
        .limit(limit)
        .execute(),
    );
    return rows.map(toKey);
  }

  /** @throws EntrepotError `conflict` for a name that another key has, and where there are too many */
  async add(key: Omit<StoredKey, 'change'>): Promise<StoredKey> {
    return await this.transaction('add a key', async (transaction) => {
      // First of all: who adds another one meanwhile waits for it.
      const made: StoredKey = { ...key, change: await countChange(transaction, 'keys') };
      await requireUnused(transaction, key.name);
      const { amount } = await transaction
        .selectFrom('keys')
        .select(({ fn }) => fn.countAll<number>().as('amount'))
        .where('revoked_at', 'is', null)
        .executeTakeFirstOrThrow();
      if (Number(amount) >= MOST_KEYS)
        throw new EntrepotError('conflict', `there are ${amount} keys, and at most ${MOST_KEYS} may be; revoke some`, {
          code: 'TOO_MANY_KEYS',
        });
      await transaction.insertInto('keys').values(toRow(made)).execute();
      return made;
    });
  }

  /**
   * Puts the result of `alter` in place of a key in force.
   * @param alter keeps id and hash; what it throws changes nothing
   * @returns the key after it; `undefined` when there is none
   */
  async alter(id: string, alter: (found: StoredKey) => Omit<StoredKey, 'change'>): Promise<StoredKey | undefined> {
    return await this.transaction('change a key', async (transaction) => {
      const change = await countChange(transaction, 'keys');
      const row = await inForce(transaction, id).executeTakeFirst();
      if (row === undefined) return undefined;
      const altered: StoredKey = { ...alter(toKey(row)), change };
      if (altered.name !== row.name) await requireUnused(transaction, altered.name);
      await transaction.updateTable('keys').set(toRow(altered)).where('id', '=', id).execute();
      return altered;
    });
  }

  /** Records when keys were last used, by id. No process is told. */
  async recordUse(uses: ReadonlyMap<string, number>): Promise<void> {
    await this.transaction('record the use of keys', async (transaction) => {
      for (const [id, at] of uses)
        await transaction
          .updateTable('keys')
          .set({ used_at: at })
          .where('id', '=', id)
          .where((where) => where.or([where('used_at', 'is', null), where('used_at', '<', at)]))
          .execute();
    });
  }

  /** Forgets keys that were revoked, or have expired, before `before`. */
  async prune(before: number): Promise<void> {
    await stored('tidy the keys', () =>
      this.database
        .deleteFrom('keys')
        .where((where) => where.or([where('revoked_at', '<', before), where('expires_at', '<', before)]))
        .execute(),
    );
  }
}

function inForce(database: Kysely<Schema>, id: string) {
  return database.selectFrom('keys').selectAll().where('id', '=', id).where('revoked_at', 'is', null);
}

async function requireUnused(transaction: Kysely<Schema>, name: string): Promise<void> {
  const known = await transaction
    .selectFrom('keys')
    .select('id')
    .where('name', '=', name)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (known !== undefined)
    throw new EntrepotError('conflict', `There is a key ${name} already: revoke it first, or choose another name`);
}

function toRow(key: StoredKey): KeyTable {
  return {
    id: key.id,
    hash: key.hash,
    name: key.name,
    scopes: JSON.stringify(key.scopes),
    note: key.note ?? null,
    created_at: key.createdAt,
    created_by: key.createdBy ?? null,
    expires_at: key.expiresAt ?? null,
    revoked_at: key.revokedAt ?? null,
    used_at: key.usedAt ?? null,
    change: key.change,
  };
}

function toKey(row: Selectable<KeyTable>): StoredKey {
  const { id, hash, name, note, created_by: createdBy } = row;
  return {
    id,
    hash,
    name,
    scopes: JSON.parse(row.scopes) as readonly KeyScope[],
    note: note ?? undefined,
    createdAt: Number(row.created_at),
    createdBy: createdBy ?? undefined,
    expiresAt: timeOf(row.expires_at),
    revokedAt: timeOf(row.revoked_at),
    usedAt: timeOf(row.used_at),
    change: Number(row.change),
  };
}

function timeOf(column: number | null): number | undefined {
  return column === null ? undefined : Number(column);
}
