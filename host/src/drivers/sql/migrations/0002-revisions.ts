import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** How often each repository was changed: what is made from its entries is made anew when this has grown. */
export function revisions({ text, integer }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema
        .createTable('revisions')
        .addColumn('repository', text, (column) => column.notNull().primaryKey())
        .addColumn('revision', integer, (column) => column.notNull())
        .execute();
    },
  };
}
