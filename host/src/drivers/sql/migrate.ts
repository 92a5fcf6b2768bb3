import { EntrepotError } from '@entrepot/core';
import { type Kysely, type Migration, Migrator } from 'kysely';
import type { SqlDialect } from './dialect.js';
import { initial } from './migrations/0001-initial.js';
import { revisions } from './migrations/0002-revisions.js';
import { facts } from './migrations/0003-facts.js';
import { policy } from './migrations/0004-policy.js';
import { firstSeen } from './migrations/0005-first-seen.js';
import { factsFrom } from './migrations/0006-facts-from.js';
import { knownFindings } from './migrations/0007-known-findings.js';
import type { Schema } from './schema.js';

/** Forward only: a migration that was released is never changed, and none goes back. */
const MIGRATIONS: Readonly<Record<string, (dialect: SqlDialect) => Migration>> = {
  '0001-initial': initial,
  '0002-revisions': revisions,
  '0003-facts': facts,
  '0004-policy': policy,
  '0005-first-seen': firstSeen,
  '0006-facts-from': factsFrom,
  '0007-known-findings': knownFindings,
};

/**
 * Brings the tables up to this version of Entrepot, in one transaction. Several processes may do this at once.
 * @param where names the database in messages.
 * @throws EntrepotError `configuration` when a newer version of Entrepot has been here; `storage` when it fails.
 */
export async function migrate(database: Kysely<Schema>, dialect: SqlDialect, where: string): Promise<void> {
  const migrations = Object.fromEntries(Object.entries(MIGRATIONS).map(([name, make]) => [name, make(dialect)]));
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
