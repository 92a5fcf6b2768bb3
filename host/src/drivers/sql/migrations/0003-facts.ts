import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** Stores the facts that documents state about artifacts, with their entries. */
export function facts({ text }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema.alterTable('entries').addColumn('facts', text).execute();
    },
  };
}
