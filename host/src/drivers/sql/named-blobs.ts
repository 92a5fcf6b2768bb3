import type { BlobInfo, Digest } from '@entrepot/core';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** The number of digests in one page. */
const PAGE = 500;

/** The blobs that entries point at. */
export class SqlNamedBlobs extends SqlStore {
  /** All of them, each once. Those that come or go meanwhile may or may not be among them. */
  async *list(): AsyncIterable<BlobInfo> {
    for (let after = ''; ;) {
      const last = after;
      const rows = await stored('list the blobs of entries', () =>
        this.database
          .selectFrom('entries')
          .select(['digest', ({ fn }) => fn.max('size').as('size')])
          .where('digest', '>', last)
          .groupBy('digest')
          .orderBy('digest')
          .limit(PAGE)
          .execute(),
      );
      for (const { digest, size } of rows) yield { digest: digest as Digest, size: Number(size) };
      if (rows.length < PAGE) return;
      after = rows.at(-1)?.digest ?? '';
    }
  }

  /** The number of entries. */
  async entries(): Promise<number> {
    const row = await stored('count entries', () =>
      this.database
        .selectFrom('usage')
        .select(({ fn }) => fn.sum<number | null>('amount').as('amount'))
        .where('repository', 'not in', ['', '-'])
        .executeTakeFirst(),
    );
    return Number(row?.amount ?? 0);
  }

  /** Ends what the copied server was doing: its holds, its leases. */
  async forgetProcesses(): Promise<void> {
    await this.transaction('forget holds and leases', async (transaction) => {
      await transaction.deleteFrom('holds').execute();
      await transaction.updateTable('leases').set({ until: 0 }).execute();
    });
  }
}
