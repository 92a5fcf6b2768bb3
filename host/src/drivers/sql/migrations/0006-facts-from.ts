import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** Which document the facts of an entry are from. */
export function factsFrom({ text }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema.alterTable('entries').addColumn('facts_from', text).execute();
    },
  };
}
