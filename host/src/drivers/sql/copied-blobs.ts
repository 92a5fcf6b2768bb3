import type { BlobInfo, Digest } from '@entrepot/core';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';
import { toInfo } from './unneeded.js';

/** Blobs of the catalogue that a copy of the store has to have. */
export class SqlCopiedBlobs extends SqlStore {
  /**
   * The next `limit` blobs after the digest `after`: all that somebody may still name.
   * @param since only those that came, or changed their state, at this time or later; milliseconds since the epoch
   */
  async page(after: string, limit: number, since?: number): Promise<readonly BlobInfo[]> {
    const rows = await stored('list the blobs that are to be copied', () =>
      this.database
        .selectFrom('blobs')
        .select(['digest', 'size'])
        .where('digest', '>', after)
        .where('state', 'not in', ['deleting', 'damaged'])
        .$if(since !== undefined, (query) =>
          query.where(({ eb, or }) => or([eb('seq', '>=', since as number), eb('since', '>=', since as number)])),
        )
        .orderBy('digest')
        .limit(limit)
        .execute(),
    );
    return rows.map(toInfo);
  }

  /** Whether an entry points at a blob. */
  async isNamed(digest: Digest): Promise<boolean> {
    const row = await stored('look for entries', () =>
      this.database.selectFrom('entries').select('key').where('digest', '=', digest).limit(1).executeTakeFirst(),
    );
    return row !== undefined;
  }
}
