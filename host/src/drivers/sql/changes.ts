import { type Kysely, PostgresAdapter, sql } from 'kysely';
import type { Notices } from './notices.js';
import type { Schema } from './schema.js';
import { stored } from './stored.js';

/** Rows that count the changes that processes on one database tell each other of. No repository has such a name. */
const NAMES = {
  exceptions: '-/exceptions',
  quarantine: '-/quarantine',
  reports: '-/reports',
  purges: '-/purges',
  keys: '-/keys',
} as const;

export type Changed = keyof typeof NAMES;

/** The number of changes of each. */
export type ChangeCounts = Readonly<Record<Changed, number>>;

/** The channel of notices that something has changed; the payload is its name. Reports are too many for that. */
export const CHANGES = 'entrepot_changes';
const NOTICED: ReadonlySet<Changed> = new Set(['exceptions', 'quarantine', 'purges', 'keys']);

/** The channel of notices of the revisions of repositories; the payload is `<revision> <repository>`. */
const REVISIONS = 'entrepot_revisions';

/** Counts a change of a repository as `countRevision` does. Where the database has notices, it sends one when that is committed. @returns the new count */
export async function countAndTell(transaction: Kysely<Schema>, repository: string): Promise<number> {
  const revision = await countRevision(transaction, repository);
  if (hasNotices(transaction))
    await sql`select pg_notify(${REVISIONS}, ${`${revision} ${repository}`})`.execute(transaction);
  return revision;
}

/** Calls `changed` for the notices of `countAndTell`; without a repository when some may have been missed. @returns ends it */
export function watchRevisions(
  notices: Pick<Notices, 'listen'>,
  changed: (repository?: string, revision?: number) => void,
): () => void {
  return notices.listen(REVISIONS, (payload) => {
    const [, revision, repository] = /^(\d{1,15}) (.+)$/s.exec(payload ?? '') ?? [];
    changed(repository, revision === undefined ? undefined : Number(revision));
  });
}

/** Counts a change, in the transaction that makes it. Where the database has notices, it sends one when that is committed. @returns the new count */
export async function countChange(transaction: Kysely<Schema>, changed: Changed): Promise<number> {
  const count = await countRevision(transaction, NAMES[changed]);
  if (NOTICED.has(changed) && hasNotices(transaction))
    await sql`select pg_notify(${CHANGES}, ${changed})`.execute(transaction);
  return count;
}

/** Counts a change of `repository`, in the transaction that makes it. @returns the new count */
async function countRevision(transaction: Kysely<Schema>, repository: string): Promise<number> {
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

function hasNotices(database: Kysely<Schema>): boolean {
  return database.getExecutor().adapter instanceof PostgresAdapter;
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
    keys: counts.get(NAMES.keys) ?? 0,
  };
}
