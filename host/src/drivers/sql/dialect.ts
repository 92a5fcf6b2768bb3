import { type Dialect, type Expression, sql } from 'kysely';

/** The differences between the databases, besides how to connect. All other SQL is shared. */
export interface SqlDialect {
  readonly kysely: Dialect;
  /** The type of a text column that sorts and compares by code point. */
  readonly text: Expression<unknown>;
  /** The type of a column of 64-bit integers. */
  readonly integer: Expression<unknown>;
}

/** SQLite compares text by its UTF-8 bytes, which sort as code points do, unless a column says otherwise. */
export const SQLITE_TYPES = { text: sql`text`, integer: sql`integer` } satisfies Partial<SqlDialect>;
