import type { Kysely } from 'kysely';
import type { Schema } from './schema.js';
import { stored } from './stored.js';

/** Rows that count the changes that processes on one database tell each other of. No repository has such a name. */
const NAMES = {
  exceptions: '-/exceptions',
  quarantine: '-/quarantine',
  reports: '-/reports',
  purges: '-/purges',
} as const;

export type Changed = keyof typeof NAMES;

/** The number of changes of each. */
export type ChangeCounts = Readonly<Record<Changed, number>>;

/** Counts a change, in the transaction that makes it. @returns the new count */
export function countChange(transaction: Kysely<Schema>, changed: Changed): Promise<number> {
  return countRevision(transaction, NAMES[changed]);
}

/** Counts a change of `repository`, in the transaction that makes it. @returns the new count */
export async function countRevision(transaction: Kysely<Schema>, repository: string): Promise<number> {
  const { revision } = await transaction
    .insertInto('revisions')
    .values({ repository, revision: 1 })
    .onConflict((conflict) =>
      conflict.column('repository').doUpdateSet((row) => ({ revision: row('revisions.revision', '+', 1) })),
    )
    .returning('revision')
    .executeTakeFirstOrThrow();
  return Number(revision);
}

/** Reads the number of changes of each, by all processes. */
export async function readChanges(database: Kysely<Schema>): Promise<ChangeCounts> {
  const rows = await stored('read what has changed', () =>
    database.selectFrom('revisions').selectAll().where('repository', 'in', Object.values(NAMES)).execute(),
  );
  const counts = new Map(rows.map(({ repository, revision }) => [repository, Number(revision)]));
  return {
    exceptions: counts.get(NAMES.exceptions) ?? 0,
    quarantine: counts.get(NAMES.quarantine) ?? 0,
    reports: counts.get(NAMES.reports) ?? 0,
    purges: counts.get(NAMES.purges) ?? 0,
  };
}
