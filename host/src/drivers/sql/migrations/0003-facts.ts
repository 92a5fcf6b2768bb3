import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** What documents say of artifacts, with their entries. */
export function facts({ text }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema.alterTable('entries').addColumn('facts', text).execute();
    },
  };
}
