import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** When versions that no document dates were first met. */
export function firstSeen({ text, integer }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema
        .createTable('first_seen')
        .addColumn('ecosystem', text, (column) => column.notNull())
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('version', text, (column) => column.notNull())
        .addColumn('seen_at', integer, (column) => column.notNull())
        .addPrimaryKeyConstraint('first_seen_key', ['ecosystem', 'name', 'version'])
        .execute();
      await database.schema.createIndex('first_seen_time').on('first_seen').column('seen_at').execute();
    },
  };
}
