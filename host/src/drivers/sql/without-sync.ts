import { CompiledQuery, type Kysely, PostgresAdapter } from 'kysely';
import type { Schema } from './schema.js';
import { UNSYNCED } from './sqlite-driver.js';

/** Lets the commit of `transaction` not wait for the disk: a power cut may take away what it wrote, and nothing else. */
export async function withoutSync(transaction: Kysely<Schema>): Promise<void> {
  const isPostgres = transaction.getExecutor().adapter instanceof PostgresAdapter;
  await transaction.executeQuery(CompiledQuery.raw(isPostgres ? 'set local synchronous_commit to off' : UNSYNCED));
}
