import type { Entry, Fence } from '@entrepot/core';
import type { Kysely } from 'kysely';
import { slices } from '../slices.js';
import { compiledOnce } from './compiled-once.js';
import { lostFences } from './flight-leases.js';
import { type EntryRow, toEntry, toRow } from './entry-row.js';
import type { Schema } from './schema.js';

/** The number of keys that one query names. */
export const KEYS_WIDTH = 500;
/** The number of rows that one statement puts. */
const ROWS_WIDTH = 50;

/** Something is not as the transaction needs it: it must leave no trace. */
export const LOST = Symbol('lost');

/** A put: entries that must all be absent, or one that replaces whatever is there; with a lease that it needs, perhaps. */
export type EntryPut = ({ readonly absent: readonly Entry[] } | { readonly replacing: Entry }) & {
  readonly fence?: Fence | undefined;
};

/** The result of a put: the entries in force, or that its lease is another one's. */
export type EntryPutResult = readonly Entry[] | 'lease-lost';

/**
 * Puts all of `puts` in one transaction, but for those whose lease is lost.
 * @returns for each the entries in force
 * @throws LOST when another process commits one of the keys meanwhile: then nothing was put
 */
export async function putEntries(
  database: Kysely<Schema>,
  puts: readonly EntryPut[],
): Promise<readonly EntryPutResult[]> {
  const [first] = puts;
  if (puts.length === 1 && first !== undefined && first.fence === undefined) {
    if ('replacing' in first) {
      await upsertAll(database, [first.replacing]);
      return [[first.replacing]];
    }
    const [entry] = first.absent;
    if (entry !== undefined && first.absent.length === 1) return [await putOne(database, entry)];
  }
  return await database.transaction().execute(async (transaction) => {
    const lost = await lostFences(
      transaction,
      puts.flatMap(({ fence }) => fence ?? []),
    );
    if (lost.size === 0) return await putTogether(transaction, puts);
    const isLost = ({ fence }: EntryPut): boolean => fence !== undefined && lost.has(fence);
    const results = (
      await putTogether(
        transaction,
        puts.filter((put) => !isLost(put)),
      )
    ).values();
    return puts.map((put) => (isLost(put) ? 'lease-lost' : (results.next().value as readonly Entry[])));
  });
}

/** One statement is a transaction of its own. */
async function putOne(database: Kysely<Schema>, entry: Entry): Promise<readonly Entry[]> {
  const row = toRow(entry);
  return (await insertNew(database, [row])) === 1 ? [toEntry(row)] : await findAll(database, [entry]);
}

async function putTogether(
  transaction: Kysely<Schema>,
  puts: readonly EntryPut[],
): Promise<readonly (readonly Entry[])[]> {
  const wanted = puts.flatMap((put) => ('absent' in put ? put.absent : []));
  const present = new Map((await findAll(transaction, wanted)).map((entry) => [nameOf(entry), entry]));
  const added = new Map<string, EntryRow>();
  const replaced = new Map<string, Entry>();
  const results = puts.map((put): readonly Entry[] => {
    if ('replacing' in put) {
      replaced.set(nameOf(put.replacing), put.replacing);
      return [put.replacing];
    }
    const found = put.absent.flatMap((entry) => present.get(nameOf(entry)) ?? []);
    if (found.length > 0) return found;
    for (const entry of put.absent) {
      const row = toRow(entry);
      added.set(nameOf(entry), row);
      present.set(nameOf(entry), toEntry(row));
    }
    return put.absent.map((entry) => present.get(nameOf(entry)) as Entry);
  });
  if ((await insertNew(transaction, inOrder(added))) < added.size) throw LOST;
  await upsertAll(transaction, inOrder(replaced));
  return results;
}

/** One order for everybody: two transactions that wait for each other never end. */
function inOrder<Value>(byName: ReadonlyMap<string, Value>): readonly Value[] {
  return [...byName.keys()].sort().map((name) => byName.get(name) as Value);
}

/** @returns the number of `rows` that were not there. */
async function insertNew(database: Kysely<Schema>, rows: readonly EntryRow[]): Promise<number> {
  let inserted = 0;
  for (const part of slices(rows, ROWS_WIDTH)) {
    const { numAffectedRows = 0n } = await compiledOnce(
      database,
      `insert ${part.length}`,
      () =>
        database
          .insertInto('entries')
          .values(part)
          .onConflict((conflict) => conflict.columns(['repository', 'key']).doNothing()),
      valuesOf(part),
    );
    inserted += Number(numAffectedRows);
  }
  return inserted;
}

/** Puts `entries`, each with a key of its own, whatever is there. */
export async function upsertAll(database: Kysely<Schema>, entries: readonly Entry[]): Promise<void> {
  for (const rows of slices(entries.map(toRow), ROWS_WIDTH)) {
    await compiledOnce(database, `upsert ${rows.length}`, () => upsertOf(database, rows), valuesOf(rows));
  }
}

function upsertOf(database: Kysely<Schema>, rows: readonly EntryRow[]) {
  const columns = Object.keys(rows[0] as EntryRow) as (keyof EntryRow)[];
  const replaced = columns.filter((column) => column !== 'repository' && column !== 'key');
  return database
    .insertInto('entries')
    .values(rows)
    .onConflict((conflict) =>
      conflict
        .columns(['repository', 'key'])
        .doUpdateSet(({ ref }) =>
          Object.fromEntries(replaced.map((column) => [column, ref(`excluded.${column}`)] as const)),
        ),
    );
}

/** The values of `rows`, which have the same columns in the same order. */
function valuesOf(rows: readonly EntryRow[]): readonly unknown[] {
  return rows.flatMap((row) => Object.values(row));
}

/**
 * Finds those of `entries` that are stored. One query for all keys of a repository: entries that were put at once are seen
 * together, or not at all.
 */
export async function findAll(database: Kysely<Schema>, entries: readonly Entry[]): Promise<readonly Entry[]> {
  const found = new Map<string, Entry>();
  for (const repository of new Set(entries.map((entry) => entry.repository))) {
    const keys = entries.filter((entry) => entry.repository === repository).map(({ key }) => key);
    for (const part of slices(keys, KEYS_WIDTH)) {
      const { rows } = await compiledOnce(
        database,
        `find ${part.length}`,
        () => database.selectFrom('entries').selectAll().where('repository', '=', repository).where('key', 'in', part),
        [repository, ...part],
      );
      for (const row of rows) found.set(nameOf(row), toEntry(row));
    }
  }
  return entries.flatMap((entry) => found.get(nameOf(entry)) ?? []);
}

function nameOf({ repository, key }: Pick<Entry, 'repository' | 'key'>): string {
  return JSON.stringify([repository, key]);
}
