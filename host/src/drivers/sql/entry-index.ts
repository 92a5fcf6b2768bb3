import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { Digest, Entry, EntryAccess, EntryChange, EntryIndex, EntryListing, EntryRenewal } from '@entrepot/core';
import { EntrepotError } from '@entrepot/core';
import { type Kysely, sql } from 'kysely';
import { COLUMNS, toEntry } from './entry-row.js';
import { GroupCommit } from './group-commit.js';
import { prefixRange } from './prefix-range.js';
import { type EntryPut, findAll, LOST, putEntries, upsertAll } from './put-entries.js';
import type { Schema } from './schema.js';
import { stored } from './stored.js';

/** How many digests or keys one query names. Databases bound the number of parameters. */
const KEYS_WIDTH = 500;
/** How many accesses are recorded in one turn of the event loop. */
const ACCESS_WIDTH = 100;

/** How many puts are committed together. */
const GROUP = 100;

/** An `EntryIndex` in a SQL database. It says nothing that SQLite and PostgreSQL do not share. */
export class SqlEntryIndex implements EntryIndex {
  readonly #database: Kysely<Schema>;
  readonly #puts: GroupCommit<EntryPut, readonly Entry[]>;

  /** @param database with the tables of the newest migration. The index closes it. */
  constructor(database: Kysely<Schema>) {
    this.#database = database;
    this.#puts = new GroupCommit(GROUP, (puts) => putEntries(database, puts));
  }

  async find(repository: string, key: string): Promise<Entry | undefined> {
    return stored('find an entry', () => find(this.#database, repository, key), 'read');
  }

  async putIfAbsent(entries: readonly Entry[]): Promise<readonly Entry[]> {
    if (entries.length === 0) return [];
    return stored(
      'store entries',
      async () => {
        try {
          return await this.#puts.add({ absent: entries });
        } catch (error) {
          if (error !== LOST) throw error;
        }
        return findAll(this.#database, entries);
      },
      'write',
    );
  }

  async change({ repository, expect, put, remove }: EntryChange): Promise<number | undefined> {
    return stored(
      'change entries',
      async () => {
        try {
          return await this.#database.transaction().execute(async (transaction) => {
            // First of all, so that of two changes of a repository one waits for the other, and then sees what it did.
            const revision = await grow(transaction, repository);
            for (const { key, digest } of expect) {
              const found = await find(transaction, repository, key);
              if (found?.digest !== digest) throw LOST;
            }
            await upsertAll(transaction, [...new Map(put.map((entry) => [entry.key, entry])).values()]);
            for (let start = 0; start < remove.length; start += KEYS_WIDTH) {
              const keys = remove.slice(start, start + KEYS_WIDTH);
              await transaction
                .deleteFrom('entries')
                .where('repository', '=', repository)
                .where('key', 'in', keys)
                .execute();
            }
            return revision;
          });
        } catch (error) {
          if (error !== LOST) throw error;
          return undefined;
        }
      },
      'write',
    );
  }

  async revision(repository: string): Promise<number> {
    const row = await stored(
      'read a revision',
      () =>
        this.#database
          .selectFrom('revisions')
          .select('revision')
          .where('repository', '=', repository)
          .executeTakeFirst(),
      'read',
    );
    return Number(row?.revision ?? 0);
  }

  async replace(entry: Entry): Promise<void> {
    await stored('store an entry', () => this.#puts.add({ replacing: entry }), 'write');
  }

  async touch(repository: string, key: string, digest: Digest, renewal: EntryRenewal): Promise<boolean> {
    const { numUpdatedRows } = await stored(
      'renew an entry',
      () =>
        this.#database
          .updateTable('entries')
          .set({
            checked_at: renewal.checkedAt,
            ...(renewal.etag === undefined ? {} : { etag: renewal.etag }),
            ...(renewal.lastModified === undefined ? {} : { last_modified: renewal.lastModified }),
            ...(renewal.headers === undefined ? {} : { headers: JSON.stringify(renewal.headers) }),
            ...(renewal.mediaType === undefined ? {} : { media_type: renewal.mediaType }),
            ...(renewal.facts === undefined ? {} : { facts: JSON.stringify(renewal.facts) }),
            ...(renewal.factsFrom === undefined ? {} : { facts_from: renewal.factsFrom }),
          })
          .where('repository', '=', repository)
          .where('key', '=', key)
          .where('digest', '=', digest)
          .executeTakeFirst(),
      'write',
    );
    return numUpdatedRows > 0n;
  }

  async remove(repository: string, key: string, digest?: Digest): Promise<boolean> {
    const query = this.#database.deleteFrom('entries').where('repository', '=', repository).where('key', '=', key);
    const { numDeletedRows } = await stored(
      'remove an entry',
      () => (digest === undefined ? query : query.where('digest', '=', digest)).executeTakeFirst(),
      'write',
    );
    return numDeletedRows > 0n;
  }

  async list(repository: string, { prefix, after, limit }: EntryListing): Promise<readonly Entry[]> {
    const { from, inclusive, below } = prefixRange(prefix, after);
    const rows = await stored(
      'list entries',
      () => {
        const query = this.#database
          .selectFrom('entries')
          .select(COLUMNS)
          .where('repository', '=', repository)
          .where('key', inclusive ? '>=' : '>', from);
        return (below === undefined ? query : query.where('key', '<', below)).orderBy('key').limit(limit).execute();
      },
      'read',
    );
    return rows.map(toEntry);
  }

  async referenced(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const found = new Set<Digest>();
    for (let start = 0; start < digests.length; start += KEYS_WIDTH) {
      const rows = await stored('look for references', () =>
        this.#database
          .selectFrom('entries')
          .select('digest')
          .distinct()
          .where('digest', 'in', digests.slice(start, start + KEYS_WIDTH))
          .execute(),
      );
      for (const { digest } of rows) found.add(digest as Digest);
    }
    return found;
  }

  async recordAccess(accesses: readonly EntryAccess[]): Promise<void> {
    if (accesses.length === 0) return;
    await stored('record accesses', () =>
      this.#database.transaction().execute(async (transaction) => {
        for (const [index, { repository, key, at }] of accesses.entries()) {
          // A batch is long, and an embedded database works on the event loop.
          if (index % ACCESS_WIDTH === ACCESS_WIDTH - 1) await turn();
          // As text: the builder takes longer over this statement than the database does.
          await sql`update entries set accessed_at = ${at} where repository = ${repository} and key = ${key}
            and (accessed_at is null or accessed_at < ${at})`.execute(transaction);
        }
      }),
    );
  }

  async check(only?: 'read'): Promise<void> {
    if (only === 'read') {
      await stored('read a probe', () => this.#database.selectFrom('probes').select('written').execute(), 'read');
      return;
    }
    const written = randomUUID();
    const found = await stored(
      'write a probe',
      () =>
        this.#database.transaction().execute(async (transaction) => {
          await transaction
            .insertInto('probes')
            .values({ id: 1, written })
            .onConflict((conflict) => conflict.column('id').doUpdateSet({ written }))
            .execute();
          return transaction.selectFrom('probes').select('written').where('id', '=', 1).executeTakeFirst();
        }),
      'read',
    );
    if (found?.written !== written) throw new EntrepotError('storage', 'a probe does not read as it was written');
  }

  async dispose(): Promise<void> {
    await this.#database.destroy();
  }
}

/** @returns the new revision. */
async function grow(database: Kysely<Schema>, repository: string): Promise<number> {
  const row = await database
    .insertInto('revisions')
    .values({ repository, revision: 1 })
    .onConflict((conflict) =>
      conflict.column('repository').doUpdateSet((row) => ({ revision: row('revisions.revision', '+', 1) })),
    )
    .returning('revision')
    .executeTakeFirstOrThrow();
  return Number(row.revision);
}

async function find(database: Kysely<Schema>, repository: string, key: string): Promise<Entry | undefined> {
  const row = await database
    .selectFrom('entries')
    .select(COLUMNS)
    .where('repository', '=', repository)
    .where('key', '=', key)
    .executeTakeFirst();
  return row === undefined ? undefined : toEntry(row);
}
