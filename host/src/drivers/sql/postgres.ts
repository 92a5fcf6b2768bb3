import type { Logger } from '@entrepot/core';
import { PostgresDialect } from 'kysely';
import { openDatabase } from './open-database.js';
import type { SqlDatabase } from './sql-database.js';
import { DEADLINES } from './stored.js';

export interface PostgresOptions {
  /** `postgres://user:password@host/database`; as libpq has it, `PG…` variables complete it. A secret. */
  readonly url: string;
  readonly maxConnections: number;
  readonly logger: Logger;
}

/** The longest wait for a connection, in milliseconds. */
const CONNECT_TIMEOUT = 10_000;
/** Names this program in `pg_stat_activity`. */
const NAME = 'entrepot';

/** Text is compared by its bytes, which sort as code points do, whatever the locale of the database is. */
const TYPES = { kind: 'postgres', text: 'text collate "C"', integer: 'bigint' } as const;

/**
 * Opens the database, and brings its tables up to date. Servers and workers on any machine may share one.
 * @throws EntrepotError `configuration` when it cannot be reached or used, or is of a newer version of Entrepot.
 */
export async function openPostgres({ url, maxConnections, logger }: PostgresOptions): Promise<SqlDatabase> {
  // Three megabytes that only servers with such a database need.
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    application_name: NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    query_timeout: DEADLINES.long,
  });
  // Of a connection that nobody uses; who asks next gets another one.
  pool.on('error', (error) => logger.warn({ err: error }, 'a connection to the database has ended'));
  return await openDatabase(new PostgresDialect({ pool }), TYPES, nameOf(url));
}

/** Asks the server for its version. Changes nothing in the database. */
export async function postgresVersion(url: string): Promise<string | undefined> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT });
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version;
  } finally {
    await client.end().catch(() => {});
  }
}

/** The URL without what is secret in it. */
export function nameOf(url: string): string {
  if (!URL.canParse(url)) return 'of PostgreSQL';
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
