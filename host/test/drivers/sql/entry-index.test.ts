import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EntryIndexFixture, entryIndexSuite } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import { SqlEntryIndex } from '../../../src/drivers/sql/entry-index.js';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';

async function fixture(): Promise<EntryIndexFixture> {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-sql-'));
  const options = { path: join(root, 'entrepot.db'), durability: 'relaxed' } as const;
  const database = await openSqlite(options);
  return {
    index: new SqlEntryIndex(database),
    async lastAccess(repository, key) {
      const row = await database
        .selectFrom('entries')
        .select('accessed_at')
        .where('repository', '=', repository)
        .where('key', '=', key)
        .executeTakeFirst();
      return row?.accessed_at ?? undefined;
    },
    reopen: async () => new SqlEntryIndex(await openSqlite(options)),
    breakDown: () => database.destroy(),
    close: () => rm(root, { recursive: true, force: true }),
  };
}

entryIndexSuite({ describe, it }, fixture, { lastAccess: true, replicas: true, outage: true });
