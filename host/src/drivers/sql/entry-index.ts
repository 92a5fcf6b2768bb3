import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type {
  Digest,
  Entry,
  EntryAccess,
  EntryChange,
  EntryIndex,
  EntryListing,
  EntryRenewal,
  Fence,
  StoredListing,
} from '@entrepot/core';
import { EntrepotError } from '@entrepot/core';
import { LEASE_LOST } from '@entrepot/core/engine';
import { type Kysely, sql } from 'kysely';
import { slices } from '../slices.js';
import { compiledOnce } from './compiled-once.js';
import { countAndTell, watchRevisions } from './changes.js';
import { NO_NOTICES, type Notices } from './notices.js';
import { toEntry } from './entry-row.js';
import { GroupCommit } from './group-commit.js';
import { prefixRange } from './prefix-range.js';
import { type EntryPut, type EntryPutResult, findAll, KEYS_WIDTH, LOST, putEntries, upsertAll } from './put-entries.js';
import type { Schema } from './schema.js';
import { given, SqlStore } from './sql-store.js';
import { stored, storedWithin } from './stored.js';
import { withoutSync } from './without-sync.js';

/** The number of accesses that are recorded in one turn of the event loop. */
const ACCESS_WIDTH = 100;

/** The number of puts that are committed together. */
const GROUP = 100;

/** An `EntryIndex` in a SQL database, which it closes. It says nothing that SQLite and PostgreSQL do not share. */
export class SqlEntryIndex extends SqlStore implements EntryIndex {
  readonly #puts = new GroupCommit(GROUP, (puts: readonly EntryPut[]) => putEntries(this.database, puts));
  readonly #notices: Pick<Notices, 'listen'>;

  /** @param notices of changes by other processes. Default: none come. */
  constructor(database: Kysely<Schema>, notices: Pick<Notices, 'listen'> = NO_NOTICES) {
    super(database);
    this.#notices = notices;
  }

  watch(changed: (repository?: string, revision?: number) => void): () => void {
    return watchRevisions(this.#notices, changed);
  }

  async find(repository: string, key: string): Promise<Entry | undefined> {
    return storedWithin('read', 'find an entry', () => find(this.database, repository, key));
  }

  async putIfAbsent(entries: readonly Entry[], fence?: Fence): Promise<readonly Entry[]> {
    if (entries.length === 0) return [];
    return storedWithin('write', 'store entries', async () => {
      const put = await unlessLost(() => this.#puts.add({ absent: entries, fence }));
      return unlessLeaseLost(put ?? (await findAll(this.database, entries)), fence);
    });
  }

  async change({ repository, expect, at, put, remove }: EntryChange): Promise<number | undefined> {
    const work = async (transaction: Kysely<Schema>): Promise<number> => {
      // First of all, so that of two changes of a repository one waits for the other, and then sees what it did.
      const revision = await countAndTell(transaction, repository);
      if (at !== undefined && revision !== at + 1) throw LOST;
      for (const { key, digest } of expect) {
        const found = await find(transaction, repository, key);
        if (found?.digest !== digest) throw LOST;
      }
      await upsertAll(transaction, [...new Map(put.map((entry) => [entry.key, entry])).values()]);
      for (const keys of slices(remove, KEYS_WIDTH)) {
        await transaction.deleteFrom('entries').where('repository', '=', repository).where('key', 'in', keys).execute();
      }
      return revision;
    };
    return storedWithin('write', 'change entries', () => unlessLost(() => this.database.transaction().execute(work)));
  }

  async revision(repository: string): Promise<number> {
    const row = await storedWithin('read', 'read a revision', () =>
      this.database.selectFrom('revisions').select('revision').where('repository', '=', repository).executeTakeFirst(),
    );
    return Number(row?.revision ?? 0);
  }

  async replace(entry: Entry, fence?: Fence): Promise<void> {
    const put = await storedWithin('write', 'store an entry', () => this.#puts.add({ replacing: entry, fence }));
    unlessLeaseLost(put, fence);
  }

  async touch(repository: string, key: string, digest: Digest, renewal: EntryRenewal): Promise<boolean> {
    const { checkedAt, etag, lastModified, headers, mediaType, facts, factsFrom, expiresAt } = renewal;
    const { numUpdatedRows } = await storedWithin('write', 'renew an entry', () =>
      this.database
        .updateTable('entries')
        .set({ checked_at: checkedAt })
        .set(given({ etag, last_modified: lastModified, media_type: mediaType, facts_from: factsFrom }))
        .set(given({ expires_at: expiresAt }))
        .set(given({ headers: headers && JSON.stringify(headers), facts: facts && JSON.stringify(facts) }))
        .where(({ and }) => and({ repository, key, digest }))
        .executeTakeFirst(),
    );
    return numUpdatedRows > 0n;
  }

  async remove(repository: string, key: string, digest?: Digest): Promise<boolean> {
    const { numDeletedRows } = await storedWithin('write', 'remove an entry', () =>
      this.database
        .deleteFrom('entries')
        .where(({ and }) => and(given({ repository, key, digest })))
        .executeTakeFirst(),
    );
    return numDeletedRows > 0n;
  }

  async list(repository: string, { prefix, after, limit }: EntryListing): Promise<readonly Entry[]> {
    const { from, inclusive, below } = prefixRange(prefix, after);
    const rows = await storedWithin('read', 'list entries', () =>
      this.database
        .selectFrom('entries')
        .selectAll()
        .where('repository', '=', repository)
        .where('key', inclusive ? '>=' : '>', from)
        .$if(below !== undefined, (query) => query.where('key', '<', below as string))
        .orderBy('key')
        .limit(limit)
        .execute(),
    );
    return rows.map(toEntry);
  }

  async listStored(repository: string, { since, after, before, limit }: StoredListing): Promise<readonly Entry[]> {
    const entries = this.database.selectFrom('entries').selectAll().where('repository', '=', repository);
    const all = entries.where('fetched_at', '<', before).orderBy('fetched_at').orderBy('key');
    const rows = await storedWithin('read', 'list entries by time', async () => {
      if (after === undefined) return await all.where('fetched_at', '>=', since).limit(limit).execute();
      // Two ranges of the index over times and keys: with an `or` of both, a database may read all that is older.
      const same = await all.where('fetched_at', '=', since).where('key', '>', after).limit(limit).execute();
      if (same.length === limit) return same;
      const later = all.where('fetched_at', '>', since).limit(limit - same.length);
      return [...same, ...(await later.execute())];
    });
    return rows.map(toEntry);
  }

  async referenced(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const found = new Set<Digest>();
    for (const part of slices(digests, KEYS_WIDTH)) {
      const rows = await stored('look for references', () =>
        this.database.selectFrom('entries').select('digest').distinct().where('digest', 'in', part).execute(),
      );
      for (const { digest } of rows) found.add(digest as Digest);
    }
    return found;
  }

  async recordAccess(accesses: readonly EntryAccess[]): Promise<void> {
    if (accesses.length === 0) return;
    await this.transaction('record accesses', async (transaction) => {
      await withoutSync(transaction);
      for (const [index, { repository, key, at }] of accesses.entries()) {
        // A batch is long, and an embedded database works on the event loop.
        if (index % ACCESS_WIDTH === ACCESS_WIDTH - 1) await turn();
        // As text: the builder takes longer over this statement than the database does.
        await sql`update entries set accessed_at = ${at} where repository = ${repository} and key = ${key}
          and (accessed_at is null or accessed_at < ${at})`.execute(transaction);
      }
    });
  }

  async lastAccess(repository: string, keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    for (const part of slices(keys, KEYS_WIDTH)) {
      const rows = await storedWithin('read', 'read accesses', () =>
        this.database
          .selectFrom('entries')
          .select(['key', 'accessed_at'])
          .where('repository', '=', repository)
          .where('key', 'in', part)
          .where('accessed_at', 'is not', null)
          .execute(),
      );
      for (const { key, accessed_at: at } of rows) found.set(key, Number(at));
    }
    return found;
  }

  async check(only?: 'read'): Promise<void> {
    if (only === 'read') {
      await storedWithin('read', 'read a probe', () => this.database.selectFrom('probes').select('written').execute());
      return;
    }
    const written = randomUUID();
    const work = async (transaction: Kysely<Schema>) => {
      await transaction
        .insertInto('probes')
        .values({ id: 1, written })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ written }))
        .execute();
      return transaction.selectFrom('probes').select('written').where('id', '=', 1).executeTakeFirst();
    };
    const found = await storedWithin('read', 'write a probe', () => this.database.transaction().execute(work));
    if (found?.written !== written) throw new EntrepotError('storage', 'a probe does not read as it was written');
  }

  async dispose(): Promise<void> {
    await this.database.destroy();
  }
}

function unlessLeaseLost(put: EntryPutResult, fence: Fence | undefined): readonly Entry[] {
  if (put !== 'lease-lost') return put;
  throw new EntrepotError('storage', `another process has the lease ${fence?.name} by now; nothing was put`, {
    code: LEASE_LOST,
  });
}

/** The result of `work`; `undefined` where that lost. */
async function unlessLost<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error !== LOST) throw error;
    return undefined;
  }
}

async function find(database: Kysely<Schema>, repository: string, key: string): Promise<Entry | undefined> {
  const { rows } = await compiledOnce(
    database,
    'find',
    () => database.selectFrom('entries').selectAll().where('repository', '=', repository).where('key', '=', key),
    [repository, key],
  );
  const [row] = rows;
  return row && toEntry(row);
}
