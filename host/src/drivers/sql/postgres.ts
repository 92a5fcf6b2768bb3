import type { Logger } from '@entrepot/core';
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type { Pool } from 'pg';
import { openDatabase } from './open-database.js';
import { PooledPostgresDialect } from './postgres-dialect.js';
import { connectionOf, nameOf, type PostgresSettings } from './postgres-settings.js';
import type { SqlDatabase } from './sql-database.js';
import { DEADLINES } from './stored.js';

export interface PostgresOptions extends PostgresSettings {
  readonly maxConnections: number;
  /** After this time without an answer a query fails, and its connection is given up; milliseconds. Default: that of queries over whole tables. */
  readonly queryTimeout?: number | undefined;
  readonly logger: Logger;
}

/** Text is compared by its bytes, which sort as code points do, whatever the locale of the database is. */
const TYPES = { kind: 'postgres', text: 'text collate "C"', integer: 'bigint' } as const;

/**
 * Opens the database, and brings its tables up to date. Servers and workers on any machine may share one.
 * @throws EntrepotError `configuration` when it cannot be reached or used, or is of a newer version of Entrepot.
 */
export async function openPostgres({
  maxConnections,
  queryTimeout = DEADLINES.long,
  logger,
  ...settings
}: PostgresOptions): Promise<SqlDatabase> {
  // Three megabytes that only servers with such a database need.
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({ ...connectionOf(settings), max: maxConnections, query_timeout: queryTimeout });
  // Between two statements of a transaction nobody else listens, and an error that nobody hears ends the process. The next statement fails.
  pool.on('connect', (client) => client.on('error', () => {}));
  // Of a connection that nobody uses; who asks next gets another one.
  pool.on('error', (error) => logger.warn({ err: error }, 'a connection to the database has ended'));
  return await openDatabase(new PooledPostgresDialect({ pool: withoutSilentOnes(pool) }), TYPES, nameOf(settings));
}

/** A pool that does not keep a connection on which no answer came: the next query would wait behind that one. */
function withoutSilentOnes(pool: Pool): PostgresPool {
  return {
    async connect() {
      const client = await pool.connect();
      let isSilent = false;
      const query = async (text: string, values: unknown[]): Promise<unknown> => {
        if (isSilent) throw new Error('the connection has not answered before');
        try {
          return await client.query(text, values);
        } catch (error) {
          isSilent ||= error instanceof Error && error.message === 'Query read timeout';
          throw error;
        }
      };
      return { query, release: () => client.release(isSilent) } as unknown as PostgresPoolClient;
    },
    end: () => pool.end(),
  };
}

/** Asks the server for its version. Changes nothing in the database. */
export async function postgresVersion(settings: PostgresSettings): Promise<string | undefined> {
  const { default: pg } = await import('pg');
  const client = new pg.Client(connectionOf(settings));
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version;
  } finally {
    await client.end().catch(() => {});
  }
}
