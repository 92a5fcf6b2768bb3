import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** The entries of all repositories, and the row that readiness checks write. */
export function initial({ text, integer }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema
        .createTable('entries')
        .addColumn('repository', text, (column) => column.notNull())
        .addColumn('key', text, (column) => column.notNull())
        .addColumn('digest', text, (column) => column.notNull())
        .addColumn('size', integer, (column) => column.notNull())
        .addColumn('media_type', text, (column) => column.notNull())
        .addColumn('headers', text, (column) => column.notNull())
        .addColumn('etag', text)
        .addColumn('last_modified', text)
        .addColumn('upstream_url', text)
        .addColumn('fetched_at', integer, (column) => column.notNull())
        .addColumn('checked_at', integer, (column) => column.notNull())
        .addColumn('integrity', text, (column) => column.notNull())
        .addColumn('ecosystem', text)
        .addColumn('name', text)
        .addColumn('version', text)
        .addColumn('attributes', text)
        .addColumn('accessed_at', integer)
        .addPrimaryKeyConstraint('entries_key', ['repository', 'key'])
        .execute();
      await database.schema.createIndex('entries_digest').on('entries').column('digest').execute();
      await database.schema
        .createTable('probes')
        .addColumn('id', integer, (column) => column.notNull().primaryKey())
        .addColumn('written', text, (column) => column.notNull())
        .execute();
    },
  };
}
