import type { Entry, EntryChange } from '@entrepot/core';
import type { Kysely } from 'kysely';
import { SqlEntryIndex } from '../../../src/drivers/sql/entry-index.js';
import type { Schema } from '../../../src/drivers/sql/schema.js';

/** An entry index that puts the blobs of its entries into the catalogue, as whoever stores them does. */
export class AdmittingIndex extends SqlEntryIndex {
  override async putIfAbsent(entries: readonly Entry[]): Promise<readonly Entry[]> {
    await admitBlobs(this.database, entries);
    return super.putIfAbsent(entries);
  }

  override async replace(entry: Entry): Promise<void> {
    await admitBlobs(this.database, [entry]);
    await super.replace(entry);
  }

  override async change(change: EntryChange): Promise<number | undefined> {
    await admitBlobs(this.database, change.put);
    return super.change(change);
  }
}

/** Puts the blobs of `entries` into the catalogue. */
export async function admitBlobs(database: Kysely<Schema>, entries: readonly Entry[]): Promise<void> {
  for (const { digest, size } of entries) {
    await database
      .insertInto('blobs')
      .values({ digest, size, state: 'live', seq: 0, visited: 0, since: 0 })
      .onConflict((conflict) => conflict.column('digest').doNothing())
      .execute()
      // The index that is under test says what is wrong.
      .catch(() => {});
  }
}
