import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { ArtifactFacts, Digest, Entry, EntryAccess, EntryChange, EntryIndex, EntryRenewal } from '@entrepot/core';
import { EntrepotError } from '@entrepot/core';
import { type Kysely, type Selectable, sql } from 'kysely';
import { prefixRange } from './prefix-range.js';
import type { EntryTable, Schema } from './schema.js';
import { stored } from './stored.js';

/** How many digests or keys one query names. Databases bound the number of parameters. */
const KEYS_WIDTH = 500;
/** How many accesses are recorded in one turn of the event loop. */
const ACCESS_WIDTH = 100;

const COLUMNS = [
  'repository',
  'key',
  'digest',
  'size',
  'media_type',
  'headers',
  'etag',
  'last_modified',
  'upstream_url',
  'fetched_at',
  'checked_at',
  'integrity',
  'ecosystem',
  'name',
  'version',
  'attributes',
  'facts',
] as const satisfies readonly (keyof EntryTable)[];

/** A row without its access time: that is recorded apart, and survives a replacement. */
type EntryRow = Pick<Selectable<EntryTable>, (typeof COLUMNS)[number]>;

/** Something is not as the transaction needs it: it must leave no trace. */
const LOST = Symbol('lost');

/** An `EntryIndex` in a SQL database. It says nothing that SQLite and PostgreSQL do not share. */
export class SqlEntryIndex implements EntryIndex {
  readonly #database: Kysely<Schema>;

  /** @param database with the tables of the newest migration. The index closes it. */
  constructor(database: Kysely<Schema>) {
    this.#database = database;
  }

  async find(repository: string, key: string): Promise<Entry | undefined> {
    return stored('find an entry', () => find(this.#database, repository, key));
  }

  async putIfAbsent(entries: readonly Entry[]): Promise<readonly Entry[]> {
    if (entries.length === 0) return [];
    return stored('store entries', async () => {
      try {
        return await this.#database.transaction().execute((transaction) => insertAll(transaction, entries));
      } catch (error) {
        if (error !== LOST) throw error;
      }
      return findAll(this.#database, entries);
    });
  }

  async change({ repository, expect, put, remove }: EntryChange): Promise<number | undefined> {
    return stored('change entries', async () => {
      try {
        return await this.#database.transaction().execute(async (transaction) => {
          // First of all, so that of two changes of a repository one waits for the other, and then sees what it did.
          const revision = await grow(transaction, repository);
          for (const { key, digest } of expect) {
            const found = await find(transaction, repository, key);
            if (found?.digest !== digest) throw LOST;
          }
          for (const entry of put) await upsert(transaction, entry);
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
    });
  }

  async revision(repository: string): Promise<number> {
    const row = await stored('read a revision', () =>
      this.#database.selectFrom('revisions').select('revision').where('repository', '=', repository).executeTakeFirst(),
    );
    return Number(row?.revision ?? 0);
  }

  async replace(entry: Entry): Promise<void> {
    await stored('store an entry', () => upsert(this.#database, entry));
  }

  async touch(repository: string, key: string, digest: Digest, renewal: EntryRenewal): Promise<boolean> {
    const { numUpdatedRows } = await stored('renew an entry', () =>
      this.#database
        .updateTable('entries')
        .set({
          checked_at: renewal.checkedAt,
          ...(renewal.etag === undefined ? {} : { etag: renewal.etag }),
          ...(renewal.lastModified === undefined ? {} : { last_modified: renewal.lastModified }),
          ...(renewal.headers === undefined ? {} : { headers: JSON.stringify(renewal.headers) }),
          ...(renewal.facts === undefined ? {} : { facts: JSON.stringify(renewal.facts) }),
        })
        .where('repository', '=', repository)
        .where('key', '=', key)
        .where('digest', '=', digest)
        .executeTakeFirst(),
    );
    return numUpdatedRows > 0n;
  }

  async remove(repository: string, key: string, digest?: Digest): Promise<boolean> {
    const query = this.#database.deleteFrom('entries').where('repository', '=', repository).where('key', '=', key);
    const { numDeletedRows } = await stored('remove an entry', () =>
      (digest === undefined ? query : query.where('digest', '=', digest)).executeTakeFirst(),
    );
    return numDeletedRows > 0n;
  }

  async list(
    repository: string,
    options: { readonly prefix: string; readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly Entry[]> {
    const { from, inclusive, below } = prefixRange(options.prefix, options.after);
    const rows = await stored('list entries', () => {
      const query = this.#database
        .selectFrom('entries')
        .select(COLUMNS)
        .where('repository', '=', repository)
        .where('key', inclusive ? '>=' : '>', from);
      return (below === undefined ? query : query.where('key', '<', below))
        .orderBy('key')
        .limit(options.limit)
        .execute();
    });
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

  async check(): Promise<void> {
    const written = randomUUID();
    const found = await stored('write a probe', () =>
      this.#database.transaction().execute(async (transaction) => {
        await transaction
          .insertInto('probes')
          .values({ id: 1, written })
          .onConflict((conflict) => conflict.column('id').doUpdateSet({ written }))
          .execute();
        return transaction.selectFrom('probes').select('written').where('id', '=', 1).executeTakeFirst();
      }),
    );
    if (found?.written !== written) throw new EntrepotError('storage', 'a probe does not read as it was written');
  }

  async dispose(): Promise<void> {
    await this.#database.destroy();
  }
}

async function upsert(database: Kysely<Schema>, entry: Entry): Promise<void> {
  const { repository, key, ...rest } = toRow(entry);
  await database
    .insertInto('entries')
    .values({ repository, key, ...rest })
    .onConflict((conflict) => conflict.columns(['repository', 'key']).doUpdateSet(rest))
    .execute();
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

/** Those of `entries` that are there. All keys of a repository in one query: what was put at once is seen as a whole, or not at all. */
async function findAll(database: Kysely<Schema>, entries: readonly Entry[]): Promise<readonly Entry[]> {
  const found = new Map<string, Entry>();
  for (const repository of new Set(entries.map((entry) => entry.repository))) {
    const keys = entries.filter((entry) => entry.repository === repository).map(({ key }) => key);
    for (let start = 0; start < keys.length; start += KEYS_WIDTH) {
      const rows = await database
        .selectFrom('entries')
        .select(COLUMNS)
        .where('repository', '=', repository)
        .where('key', 'in', keys.slice(start, start + KEYS_WIDTH))
        .execute();
      for (const row of rows) found.set(nameOf(row), toEntry(row));
    }
  }
  return entries.flatMap((entry) => found.get(nameOf(entry)) ?? []);
}

function nameOf({ repository, key }: Pick<Entry, 'repository' | 'key'>): string {
  return JSON.stringify([repository, key]);
}

/**
 * @returns the entries in force.
 * @throws LOST when another transaction commits one of the keys meanwhile, which a database with several writers allows.
 */
async function insertAll(transaction: Kysely<Schema>, entries: readonly Entry[]): Promise<readonly Entry[]> {
  const present = await findAll(transaction, entries);
  if (present.length > 0) return present;
  // One row a key, and in one order for everybody: two transactions that wait for each other never end.
  const rows = new Map(entries.map((entry) => [nameOf(entry), toRow(entry)]));
  for (const name of [...rows.keys()].sort()) {
    const { numInsertedOrUpdatedRows } = await transaction
      .insertInto('entries')
      .values(rows.get(name) as EntryRow)
      .onConflict((conflict) => conflict.columns(['repository', 'key']).doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows === 0n) throw LOST;
  }
  return entries.map((entry) => toEntry(rows.get(nameOf(entry)) as EntryRow));
}

function toRow(entry: Entry): EntryRow {
  return {
    repository: entry.repository,
    key: entry.key,
    digest: entry.digest,
    size: entry.size,
    media_type: entry.mediaType,
    headers: JSON.stringify(entry.headers),
    etag: entry.etag ?? null,
    last_modified: entry.lastModified ?? null,
    upstream_url: entry.upstreamUrl ?? null,
    fetched_at: entry.fetchedAt,
    checked_at: entry.checkedAt,
    integrity: JSON.stringify(entry.integrity),
    ecosystem: entry.coordinates?.ecosystem ?? null,
    name: entry.coordinates?.name ?? null,
    version: entry.coordinates?.version ?? null,
    attributes: entry.attributes === undefined ? null : JSON.stringify(entry.attributes),
    facts: entry.facts === undefined ? null : JSON.stringify(entry.facts),
  };
}

/** 64-bit integers come as text from some databases, hence `Number`. */
function toEntry(row: EntryRow): Entry {
  return {
    repository: row.repository,
    key: row.key,
    digest: row.digest as Digest,
    size: Number(row.size),
    mediaType: row.media_type,
    headers: JSON.parse(row.headers) as Entry['headers'],
    ...(row.etag === null ? {} : { etag: row.etag }),
    ...(row.last_modified === null ? {} : { lastModified: row.last_modified }),
    ...(row.upstream_url === null ? {} : { upstreamUrl: row.upstream_url }),
    fetchedAt: Number(row.fetched_at),
    checkedAt: Number(row.checked_at),
    integrity: JSON.parse(row.integrity) as Entry['integrity'],
    ...(row.ecosystem === null || row.name === null
      ? {}
      : {
          coordinates: {
            ecosystem: row.ecosystem,
            name: row.name,
            ...(row.version === null ? {} : { version: row.version }),
          },
        }),
    ...(row.attributes === null ? {} : { attributes: JSON.parse(row.attributes) as Record<string, unknown> }),
    ...(row.facts === null ? {} : { facts: JSON.parse(row.facts) as ArtifactFacts }),
  };
}
