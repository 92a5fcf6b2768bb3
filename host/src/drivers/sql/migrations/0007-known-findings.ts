import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** Until when what was stored has its findings noted, by scanner. */
export function knownFindings({ integer }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema.alterTable('scanner_revisions').addColumn('noted_until', integer).execute();
      await database.schema.createIndex('entries_fetched').on('entries').column('fetched_at').execute();
    },
  };
}
