import type { BlobInfo, BlobStore, Digest } from '@entrepot/core';
import { ALL_BLOBS } from './eviction-store.js';
import { SqlMetaStore } from './meta-store.js';
import type { Schema } from './schema.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';
import type { Kysely } from 'kysely';
import { WIDTH } from './unneeded.js';

const RECONCILED = 'reconciled';

/** Compares what the store has with what the catalogue says. */
export class SqlBlobInventory extends SqlStore {
  readonly #blobs: Pick<BlobStore, 'list' | 'stat'>;
  readonly #meta: SqlMetaStore;

  constructor(database: Kysely<Schema>, blobs: Pick<BlobStore, 'list' | 'stat'>) {
    super(database);
    this.#blobs = blobs;
    this.#meta = new SqlMetaStore(database);
  }

  /** Whether the store has been listed since it has a catalogue. */
  async isReconciled(): Promise<boolean> {
    return (await this.#meta.get(RECONCILED)) !== undefined;
  }

  /**
   * Gives a row to every blob that has none.
   * @returns the number of those
   */
  async reconcile(now: number, dryRun: boolean, signal?: AbortSignal): Promise<number> {
    let found = 0;
    let page: BlobInfo[] = [];
    const take = async (): Promise<void> => {
      found += dryRun ? await this.#lacking(page) : await this.#add(page, now);
      page = [];
    };
    for await (const blob of this.#blobs.list()) {
      signal?.throwIfAborted();
      page.push(blob);
      if (page.length === WIDTH) await take();
    }
    if (page.length > 0) await take();
    if (!dryRun) await this.#meta.set(RECONCILED, String(now));
    return found;
  }

  /** The number of blobs that were found without a row and that nobody has needed since, and of all. */
  async counts(): Promise<{ readonly found: number; readonly all: number }> {
    const found = await stored('count found blobs', () =>
      this.database
        .selectFrom('blobs')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('state', '!=', 'live')
        .where('state', '=', 'found')
        .executeTakeFirstOrThrow(),
    );
    const all = await stored('count blobs', () =>
      this.database.selectFrom('usage').select('amount').where('repository', '=', ALL_BLOBS).executeTakeFirst(),
    );
    return { found: Number(found.count), all: Number(all?.amount ?? 0) };
  }

  async #add(blobs: readonly BlobInfo[], now: number): Promise<number> {
    const rows = blobs.map(({ digest, size }) => ({
      digest,
      size,
      state: 'found' as const,
      seq: 0,
      visited: 0,
      since: now,
    }));
    const added = await stored('note found blobs', () =>
      this.database
        .insertInto('blobs')
        .values(rows)
        .onConflict((conflict) => conflict.column('digest').doNothing())
        .returning('digest')
        .execute(),
    );
    const digests = added.map(({ digest }) => digest as Digest);
    const gone = await this.#goneOf(digests);
    if (gone.length > 0) await this.#remove(gone);
    return digests.length - gone.length;
  }

  /** Those of `digests` that were deleted, with their rows, after they were listed. With a row, none can be any more. */
  async #goneOf(digests: readonly Digest[]): Promise<readonly Digest[]> {
    const gone: Digest[] = [];
    for (const digest of digests) if ((await this.#blobs.stat(digest)) === undefined) gone.push(digest);
    return gone;
  }

  async #remove(digests: readonly Digest[]): Promise<void> {
    await stored('forget blobs that are gone', () =>
      this.database.deleteFrom('blobs').where('digest', 'in', digests).where('state', '=', 'found').execute(),
    );
  }

  async #lacking(blobs: readonly BlobInfo[]): Promise<number> {
    const digests = blobs.map(({ digest }) => digest);
    const rows = await stored('look for blobs', () =>
      this.database.selectFrom('blobs').select('digest').where('digest', 'in', digests).execute(),
    );
    return blobs.length - rows.length;
  }
}
