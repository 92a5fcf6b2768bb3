import { type Kysely, PostgresAdapter, PostgresDialect, sql } from 'kysely';

/** Names the lock of migrations among the advisory locks of a database: Kysely's own, which earlier versions take. */
const MIGRATIONS = 3_853_314_791_062_309_107n;

/**
 * Holds the lock of migrations by a transaction around all of them. Behind a pooler in transaction mode one of a session would stay with
 * a connection that others get next, and the next server that starts would wait for it.
 */
class TransactionLockAdapter extends PostgresAdapter {
  /** The lock brings the transaction. */
  override get supportsTransactionalDdl(): boolean {
    return false;
  }

  override async acquireMigrationLock(connection: Kysely<unknown>): Promise<void> {
    await sql`begin`.execute(connection);
    await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATIONS)})`.execute(connection);
  }

  /** Commits; after a statement that failed, PostgreSQL takes it for a rollback. */
  override async releaseMigrationLock(connection: Kysely<unknown>): Promise<void> {
    await sql`commit`.execute(connection);
  }
}

/** PostgreSQL, also behind a pooler in transaction mode: nothing is left on a connection after a transaction. */
export class PooledPostgresDialect extends PostgresDialect {
  override createAdapter(): PostgresAdapter {
    return new TransactionLockAdapter();
  }
}
