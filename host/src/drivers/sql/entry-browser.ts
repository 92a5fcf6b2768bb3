import { PostgresAdapter, type RawBuilder, sql } from 'kysely';
import { prefixRange } from './prefix-range.js';
import type { SqlDatabase } from './sql-database.js';
import { stored } from './stored.js';

/** A selection of entries of a repository. */
export interface FolderQuery {
  readonly repository: string;
  /** The beginning of the keys: a folder ends with a slash. */
  readonly prefix: string;
  /** The path of the last one of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** An entry, or all those that have the same beginning up to a slash. */
export interface FolderChild {
  /** The key of an entry; of a folder the beginning of its keys, with the slash at its end. */
  readonly path: string;
  readonly entry?: BrowsedEntry | undefined;
}

/** An entry, as people look at it. Times are milliseconds since the epoch. */
export interface BrowsedEntry {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
  readonly fetchedAt: number;
  readonly servedAt?: number | undefined;
  readonly storedBy?: string | undefined;
  readonly ecosystem?: string | undefined;
  readonly name?: string | undefined;
  readonly version?: string | undefined;
}

interface Row {
  readonly path: string;
  readonly digest: string;
  readonly size: number;
  readonly media_type: string;
  readonly fetched_at: number;
  readonly accessed_at: number | null;
  readonly stored_by: string | null;
  readonly ecosystem: string | null;
  readonly name: string | null;
  readonly version: string | null;
}

/** The last code point: no key has it. */
const LAST = '\u{10ffff}';
const COLUMNS = sql`digest, size, media_type, fetched_at, accessed_at, stored_by, ecosystem, name, version`;

/** Lists keys like the files of a folder. Aside, and by the index over keys: what lies in a folder is passed over, and not read. */
export class SqlEntryBrowser {
  readonly #database: SqlDatabase;
  readonly #position: RawBuilder<unknown>;

  constructor(database: SqlDatabase) {
    this.#database = database;
    const isPostgres = database.getExecutor().adapter instanceof PostgresAdapter;
    this.#position = isPostgres ? sql`strpos` : sql`instr`;
  }

  /** Lists entries and folders one level below a prefix, by path. */
  async children({ repository, prefix, after, limit }: FolderQuery): Promise<readonly FolderChild[]> {
    const isFolder = after !== undefined && after.endsWith('/') && after.length > prefix.length;
    const { from, inclusive, below } = prefixRange(prefix, isFolder ? after + LAST : after);
    const end = below === undefined ? sql`` : sql`and entries.key < ${below}`;
    const first = (start: RawBuilder<unknown>) =>
      sql`(select min(entries.key) from entries where repository = ${repository} and entries.key ${start} ${end})`;
    const length = Array.from(prefix).length;
    const slash = sql`${this.#position}(substr(child.key, ${sql.lit(length + 1)}), '/')`;
    const folder = sql`substr(child.key, 1, ${sql.lit(length)} + ${slash})`;
    const rows = await this.#all<Row & { readonly key: string }>(sql`
      with recursive child(key, place) as (
        select ${first(inclusive ? sql`>= ${from}` : sql`> ${from}`)}, 1
        union all
        select ${first(sql`> case when ${slash} > 0 then ${folder} || ${LAST} else child.key end`)}, place + 1
          from child where child.key is not null and place < ${limit}
      )
      select child.key as key, case when ${slash} > 0 then ${folder} else child.key end as path, ${COLUMNS} from child
        join entries on entries.repository = ${repository} and entries.key = child.key
      order by 2`);
    return rows.map((row) => {
      const isFolder = row.path.endsWith('/') && row.path !== prefix;
      return { path: row.path, ...(!isFolder && { entry: toEntry(row) }) };
    });
  }

  /** Lists entries by key, whatever folder they lie in. */
  async entries({ repository, prefix, after, limit }: FolderQuery): Promise<readonly FolderChild[]> {
    const { from, inclusive, below } = prefixRange(prefix, after);
    const rows = await this.#all<Row>(sql`
      select key as path, ${COLUMNS} from entries
      where repository = ${repository} and key ${inclusive ? sql`>=` : sql`>`} ${from}
      ${below === undefined ? sql`` : sql`and key < ${below}`} order by key limit ${limit}`);
    return rows.map((row) => ({ path: row.path, entry: toEntry(row) }));
  }

  #all<Found>(query: RawBuilder<Found>): Promise<readonly Found[]> {
    return stored('list entries', () => this.#database.aside.all(query.compile(this.#database)));
  }
}

function toEntry(row: Row): BrowsedEntry {
  return {
    digest: row.digest,
    size: Number(row.size),
    mediaType: row.media_type,
    fetchedAt: Number(row.fetched_at),
    servedAt: row.accessed_at === null ? undefined : Number(row.accessed_at),
    storedBy: row.stored_by ?? undefined,
    ecosystem: row.ecosystem ?? undefined,
    name: row.name ?? undefined,
    version: row.version ?? undefined,
  };
}
