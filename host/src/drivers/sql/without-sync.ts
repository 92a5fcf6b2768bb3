import { CompiledQuery, type Kysely, PostgresAdapter } from 'kysely';
import type { Schema } from './schema.js';
import { UNSYNCED } from './sqlite-driver.js';

/** Lets the commit of `transaction` not wait for the disk: a power cut may take away what it wrote, and nothing else. */
export async function withoutSync(transaction: Kysely<Schema>): Promise<void> {
  const statement = isPostgres(transaction) ? 'set local synchronous_commit to off' : UNSYNCED;
  await transaction.executeQuery(CompiledQuery.raw(statement));
}

export function isPostgres(database: Kysely<Schema>): boolean {
  return database.getExecutor().adapter instanceof PostgresAdapter;
}
