import { EntrepotError, messageOf } from '@entrepot/core';
import { type Dialect, type Migration, Migrator, sql } from 'kysely';
import type { Aside } from './aside.js';
import { MIGRATIONS } from './migrations.js';
import { SqlDatabase } from './sql-database.js';
import type { Statement } from './statement.js';

/** A kind of database, and its types of columns: text that sorts and compares by code point, and 64-bit integers. */
export interface ColumnTypes {
  readonly kind: 'sqlite' | 'postgres';
  readonly text: string;
  readonly integer: string;
}

/**
 * Opens a database, and brings its tables up to date.
 * @param where names the database in messages.
 * @param aside as `SqlDatabase` takes it
 * @throws EntrepotError `configuration` when it cannot be reached, or is of a newer version of Entrepot.
 */
export async function openDatabase(
  dialect: Dialect,
  types: ColumnTypes,
  where: string,
  aside?: Aside,
): Promise<SqlDatabase> {
  const database = new SqlDatabase({ dialect }, aside);
  try {
    await sql`select 1`.execute(database).catch((cause: unknown) => {
      throw new EntrepotError('configuration', `cannot open the database ${where}: ${reasonOf(cause)}`, { cause });
    });
    await migrate(database, types, where);
  } catch (error) {
    await database.destroy();
    throw error;
  }
  return database;
}

/** Several addresses of one host were tried. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : messageOf(error);
}

/**
 * Brings the tables up to this version of Entrepot, in one transaction. Several processes may do this at once.
 * @throws EntrepotError `configuration` when a newer version of Entrepot has been here; `storage` when it fails.
 */
async function migrate(database: SqlDatabase, types: ColumnTypes, where: string): Promise<void> {
  const migrations = Object.fromEntries(
    Object.entries(MIGRATIONS).map(([name, statements]) => [name, migrationOf(statements, types)]),
  );
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const unknown = /previously executed migration (\S+) is missing/.exec(String(error))?.[1];
  if (unknown !== undefined) {
    throw new EntrepotError(
      'configuration',
      `${where} was made by a newer version of Entrepot: expected ${Object.keys(MIGRATIONS).at(-1)} as its last migration, found ${unknown}`,
      { cause: error },
    );
  }
  if (error instanceof EntrepotError) throw error;
  throw new EntrepotError('storage', `cannot bring the tables of ${where} up to date: ${String(error)}`, {
    cause: error,
  });
}

function migrationOf(statements: readonly Statement[], types: ColumnTypes): Migration {
  return {
    async up(database) {
      for (const statement of statements.flatMap((one) => (typeof one === 'string' ? one : one[types.kind]))) {
        const own = statement.replaceAll(/\b(?:text|integer)\b/g, (type) => types[type as 'text' | 'integer']);
        await sql.raw(own).execute(database);
      }
    },
  };
}
