import { EntrepotError } from '@entrepot/core';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Schema } from './schema.js';
import { stored } from './stored.js';

const PAGE = 500;
/** The number of rows that are removed together. */
const REMOVED = 200;

/** Tables that say what running processes do, or that the database fills by itself. */
type Own = 'flights' | 'holds' | 'leases' | 'probes' | 'usage';
type Copied = Exclude<keyof Schema, Own>;

/** The keys of all tables that are copied. Those that others refer to come first. */
const KEYS: { readonly [Name in Copied]: readonly (keyof Schema[Name] & string)[] } = {
  blobs: ['digest'],
  entries: ['repository', 'key'],
  revisions: ['repository'],
  reports: ['subject', 'scanner'],
  scanner_revisions: ['scanner'],
  scan_jobs: ['id'],
  exceptions: ['id'],
  quarantine: ['repository', 'ecosystem', 'name', 'version'],
  decisions: ['id'],
  downloads: ['ecosystem', 'name', 'version', 'repository', 'digest', 'caller', 'address', 'day'],
  first_seen: ['ecosystem', 'name', 'version'],
  statistics: ['day', 'repository', 'dimension', 'name'],
  statistics_writers: ['writer'],
  pins: ['id'],
  keys: ['id'],
  audit: ['id'],
  hands: ['scope'],
  meta: ['name'],
};

type Row = Readonly<Record<string, string | number | null>>;
/** A database whose tables are known by name only. */
type Tables = Kysely<Record<string, Record<string, string | number | null>>>;

export interface TableCopyOptions {
  /** A row of `meta` that each database has for itself. */
  readonly ownFact: string;
  /** The number of rows that are compared together. Default: 500. */
  readonly pageSize?: number | undefined;
  readonly signal: AbortSignal;
  /** Called with the number of rows of all tables that have been compared. */
  readonly progress: (rows: number) => void;
}

/**
 * Makes the tables of one database equal to those of another, of whatever kind the two are. What is equal already is not written again: a copy
 * that was broken off goes on so, and one that changes nothing has compared every row.
 */
export class SqlTableCopy {
  readonly #from: Tables;
  readonly #to: Tables;
  readonly #options: TableCopyOptions;
  readonly #pageSize: number;
  #integers: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  #rows = 0;
  #changes = 0;

  constructor(from: Kysely<Schema>, to: Kysely<Schema>, options: TableCopyOptions) {
    this.#from = from as unknown as Tables;
    this.#to = to as unknown as Tables;
    this.#options = options;
    this.#pageSize = options.pageSize ?? PAGE;
  }

  /** The number of rows that there are to compare. */
  async count(): Promise<number> {
    let rows = 0;
    for (const table of Object.keys(KEYS)) rows += await this.#countOf(this.#from, table);
    return rows;
  }

  /** Whether no table of the target has a row. */
  async isEmpty(): Promise<boolean> {
    for (const table of Object.keys(KEYS)) if ((await this.#countOf(this.#to, table)) > 0) return false;
    return true;
  }

  /** Compares all tables once, and mends what differs. @returns the number of rows that differed */
  async pass(): Promise<number> {
    this.#rows = 0;
    this.#changes = 0;
    this.#integers = await integersOf(this.#to);
    // Blobs can only go when nothing refers to them any more.
    if ((await this.#countOf(this.#to, 'entries')) > 0) await this.#compare('entries', 'remove');
    // Two of them may stand for one piece of work, under different ids.
    await this.#removeForeign('scan_jobs');
    for (const table of Object.keys(KEYS)) await this.#compare(table, 'all');
    return this.#changes;
  }

  async #compare(table: string, what: 'remove' | 'all'): Promise<void> {
    const { signal, progress } = this.#options;
    for (let after: Row | undefined; ;) {
      signal.throwIfAborted();
      const page = await this.#page(this.#from, table, after);
      const last = page.length < this.#pageSize ? undefined : page.at(-1);
      await this.#mend(table, page, { after, last }, what);
      if (what === 'all') {
        this.#rows += page.length;
        progress(this.#rows);
      }
      if (last === undefined) return;
      after = last;
    }
  }

  /** Makes the rows of the target in a range of keys equal to `page`. */
  async #mend(table: string, page: readonly Row[], range: Range, what: 'remove' | 'all'): Promise<void> {
    const wanted = new Map(page.map((row) => [keyOf(table, row), row]));
    const there = new Map<string, Row>();
    for (let after = range.after; ;) {
      const found = await this.#page(this.#to, table, after, range.last);
      const strange = found.filter((row) => !wanted.has(keyOf(table, row)));
      await this.#remove(table, strange);
      for (const row of found) if (wanted.has(keyOf(table, row))) there.set(keyOf(table, row), row);
      if (found.length < this.#pageSize) break;
      after = found.at(-1);
    }
    if (what === 'remove') return;
    const differing = [...wanted].filter(([key, row]) => !isSame(row, there.get(key))).map(([, row]) => row);
    if (differing.length === 0) return;
    if (table === 'entries') await this.#bringBlobs(differing);
    await this.#put(table, differing);
    this.#changes += differing.length;
  }

  /** The next rows by their key. @param last the last row that may be among them. Left out: all may */
  async #page(database: Tables, table: string, after: Row | undefined, last?: Row): Promise<readonly Row[]> {
    const rows = await stored(`read ${table}`, () => {
      let query = database.selectFrom(table).selectAll().limit(this.#pageSize);
      for (const key of keysOf(table)) query = query.orderBy(key);
      if (table === 'meta') query = query.where('name', '!=', this.#options.ownFact);
      if (after !== undefined) query = query.where(compared(table, '>', after));
      if (last !== undefined) query = query.where(compared(table, '<=', last));
      return query.execute();
    });
    return rows.map((row) => this.#read(table, row));
  }

  /** A row as both kinds of database have it: one of them gives large integers as text. */
  #read(table: string, row: Row): Row {
    const integers = this.#integers.get(table) ?? new Set();
    const read = Object.entries(row).map(([name, value]) => [
      name,
      integers.has(name) && value !== null ? Number(value) : value,
    ]);
    return Object.fromEntries(read) as Row;
  }

  async #put(table: string, rows: readonly Row[]): Promise<void> {
    const keys = keysOf(table);
    const others = Object.keys(rows[0] ?? {}).filter((name) => !keys.includes(name));
    await stored(`write ${table}`, () =>
      this.#to
        .insertInto(table)
        .values([...rows])
        .onConflict((conflict) =>
          others.length === 0
            ? conflict.columns([...keys]).doNothing()
            : conflict
                .columns([...keys])
                .doUpdateSet(Object.fromEntries(others.map((name) => [name, sql.ref(`excluded.${name}`)]))),
        )
        .execute(),
    );
  }

  /** Puts the blobs of entries that came after the blobs were copied. */
  async #bringBlobs(entries: readonly Row[]): Promise<void> {
    const digests = [...new Set(entries.map(({ digest }) => digest as string))];
    const known = await stored('look for blobs', () =>
      this.#to.selectFrom('blobs').select('digest').where('digest', 'in', digests).execute(),
    );
    const lacking = digests.filter((digest) => !known.some((row) => row['digest'] === digest));
    if (lacking.length === 0) return;
    const rows = await stored('read blobs', () =>
      this.#from.selectFrom('blobs').selectAll().where('digest', 'in', lacking).execute(),
    );
    await this.#put(
      'blobs',
      rows.map((row) => this.#read('blobs', row)),
    );
  }

  async #remove(table: string, rows: readonly Row[]): Promise<void> {
    this.#changes += rows.length;
    for (let from = 0; from < rows.length; from += REMOVED) {
      const part = rows.slice(from, from + REMOVED);
      await stored(`remove from ${table}`, () =>
        this.#to
          .deleteFrom(table)
          .where(({ or, and }) => or(part.map((row) => and(Object.fromEntries(keyValues(table, row))))))
          // An entry that is to go refers to it; the next pass has it.
          .$if(table === 'blobs', (query) =>
            query.where(({ not, exists, selectFrom }) =>
              not(exists(selectFrom('entries').select('key').whereRef('entries.digest', '=', 'blobs.digest'))),
            ),
          )
          .execute(),
      );
    }
  }

  /** Removes the rows of the target that the source does not have, whatever their keys. */
  async #removeForeign(table: string): Promise<void> {
    if ((await this.#countOf(this.#to, table)) > 0) await this.#compare(table, 'remove');
  }

  async #countOf(database: Tables, table: string): Promise<number> {
    const row = await stored(`count ${table}`, () =>
      database
        .selectFrom(table)
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .$if(table === 'meta', (query) => query.where('name', '!=', this.#options.ownFact))
        .executeTakeFirstOrThrow(),
    );
    return Number(row.count);
  }
}

/** Rows after `after`, up to `last`; absent: from the first, to the last one. */
interface Range {
  readonly after: Row | undefined;
  readonly last: Row | undefined;
}

function keysOf(table: string): readonly string[] {
  return KEYS[table as Copied];
}

function keyValues(table: string, row: Row): readonly (readonly [string, string | number])[] {
  return keysOf(table).map((key) => [key, row[key] as string | number] as const);
}

function keyOf(table: string, row: Row): string {
  return JSON.stringify(keyValues(table, row));
}

/** Compares the key of rows with that of `row`, as the primary key sorts. */
function compared(table: string, operator: '>' | '<=', row: Row): RawBuilder<boolean> {
  const names = sql.join(keysOf(table).map((key) => sql.ref(key)));
  const values = sql.join(keyValues(table, row).map(([, value]) => value));
  return sql`(${names}) ${sql.raw(operator)} (${values})`;
}

function isSame(one: Row, other: Row | undefined): boolean {
  return other !== undefined && Object.entries(one).every(([name, value]) => other[name] === value);
}

/** The columns with integers, of each table. */
async function integersOf(database: Tables): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const tables = await stored('read the tables', () => database.introspection.getTables());
  const known = new Map(
    tables.map(({ name, columns }) => [
      name,
      new Set(columns.filter(({ dataType }) => /int/i.test(dataType)).map((column) => column.name)),
    ]),
  );
  const missing = Object.keys(KEYS).filter((table) => !known.has(table));
  if (missing.length === 0) return known;
  throw new EntrepotError('storage', `expected the tables ${missing.join(', ')} in the target, found none`);
}
