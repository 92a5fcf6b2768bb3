import { PostgresAdapter, type RawBuilder, sql } from 'kysely';
import type { SqlDatabase } from './sql-database.js';
import { stored } from './stored.js';

/** The most names that are looked at for those that have a text in their middle. */
const CANDIDATES = 2_000;
/** Below this number of letters a text is looked for at the beginning of names alone. */
const LEAST_LETTERS = 3;

/** A selection of names. */
export interface NameQuery {
  /** A part of the name, in any case. */
  readonly text: string;
  readonly ecosystem?: string | undefined;
  readonly repository?: string | undefined;
  /** The last one of the page before. */
  readonly after?: NamePlace | undefined;
  readonly limit: number;
}

/** A name, and where it stands in the order of those that were found. */
export interface NamePlace {
  /** 0: the name begins with the text; 1: it has it elsewhere. */
  readonly rank: number;
  readonly length: number;
  readonly folded: string;
  readonly ecosystem: string;
}

/** A name that was found. */
export interface FoundName extends NamePlace {
  readonly name: string;
}

/** Kept versions of a name in one repository. */
export interface NameUse {
  readonly ecosystem: string;
  readonly name: string;
  readonly repository: string;
  /** The number of versions that something is kept of. */
  readonly versions: number;
}

/** Searches the names of packages that something is kept of. Aside, so that no request waits for it. */
export class SqlPackageSearch {
  readonly #database: SqlDatabase;
  readonly #isPostgres: boolean;

  constructor(database: SqlDatabase) {
    this.#database = database;
    this.#isPostgres = database.getExecutor().adapter instanceof PostgresAdapter;
  }

  /**
   * Finds names: those that begin with the text first, in the order of the alphabet; then those that have it elsewhere, the shortest first.
   * Of the latter those of 2,000 candidates, since more are no answer to anybody.
   */
  async names(query: NameQuery): Promise<readonly FoundName[]> {
    const { limit, after, text } = query;
    const found: FoundName[] = [];
    if (after === undefined || after.rank === 0) found.push(...(await this.#beginning(query)));
    if (found.length < limit && Array.from(text).length >= LEAST_LETTERS)
      found.push(...(await this.#containing({ ...query, limit: limit - found.length })));
    return found;
  }

  /** Counts what is kept of names, by repository. */
  async uses(names: readonly Pick<FoundName, 'ecosystem' | 'name'>[]): Promise<readonly NameUse[]> {
    if (names.length === 0) return [];
    const wanted = sql.join(names.map(({ ecosystem, name }) => sql`(${ecosystem}, ${name})`));
    const rows = await this.#all<NameUse>(sql`
      select ecosystem, name, repository, count(distinct version) as versions
      from entries where (ecosystem, name) in (${this.#isPostgres ? wanted : sql`values ${wanted}`})
      group by ecosystem, name, repository order by ecosystem, name, repository`);
    return rows.map((row) => ({ ...row, versions: Number(row.versions) }));
  }

  #beginning({ text, after, limit, ...only }: NameQuery): Promise<readonly FoundName[]> {
    const start = sql`lower(${text})`;
    const { folded, from } = this.#source(only);
    const place = after === undefined ? sql`` : sql`and (${folded}, ecosystem) > (${after.folded}, ${after.ecosystem})`;
    return this.#found(sql`
      select distinct 0 as rank, length(${folded}) as length, ${folded} as folded, ecosystem, name ${from}
      and ${folded} >= ${start} and ${folded} < ${start} || ${LAST} ${place}
      order by 3, 4, 5 limit ${limit}`);
  }

  #containing({ text, after, limit, ...only }: NameQuery): Promise<readonly FoundName[]> {
    const { folded, from } = this.#source(only);
    const place =
      after?.rank === 1
        ? sql`and (length(folded), folded, ecosystem) > (${after.length}, ${after.folded}, ${after.ecosystem})`
        : sql``;
    const matching = this.#isPostgres
      ? sql`${folded} like ${likeOf(text)}`
      : sql`id in (select rowid from name_parts where name_parts match ${matchOf(text)} limit ${CANDIDATES})`;
    return this.#found(sql`
      select 1 as rank, length(folded) as length, folded, ecosystem, name from (
        select distinct ${folded} as folded, ecosystem, name ${from} and ${matching} limit ${CANDIDATES}
      ) as candidates
      where ${this.#isPostgres ? sql`strpos` : sql`instr`}(folded, lower(${text})) > 1 ${place}
      order by 2, 3, 4, 5 limit ${limit}`);
  }

  /** The column of names, and the expression that writes it in small letters. */
  #source({ ecosystem, repository }: Pick<NameQuery, 'ecosystem' | 'repository'>) {
    if (this.#isPostgres) {
      const ofType = ecosystem === undefined ? sql`` : sql`and ecosystem = ${ecosystem}`;
      const there = repository === undefined ? sql`` : sql`and repository = ${repository}`;
      return { folded: sql`lower(name)`, from: sql`from entries where name is not null ${ofType} ${there}` };
    }
    const there =
      repository === undefined
        ? sql``
        : sql`and exists (select 1 from entries where entries.ecosystem = names.ecosystem and entries.name = names.name
            and entries.repository = ${repository})`;
    // Not by the index over types and names, which leads to all names of a type.
    const filter = ecosystem === undefined ? sql`` : sql`and +ecosystem = ${ecosystem}`;
    return { folded: sql`folded`, from: sql`from names where true ${filter} ${there}` };
  }

  async #found(query: RawBuilder<FoundName>): Promise<readonly FoundName[]> {
    const rows = await this.#all(query);
    return rows.map((row) => ({ ...row, rank: Number(row.rank), length: Number(row.length) }));
  }

  #all<Row>(query: RawBuilder<Row>): Promise<readonly Row[]> {
    return stored('search for names', () => this.#database.aside.all(query.compile(this.#database)));
  }
}

/** The last code point: no name has it. */
const LAST = '\u{10ffff}';

/** The sequences of three letters in `text`, all of which an index of them has to have. */
function matchOf(text: string): string {
  const letters = Array.from(text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()));
  const parts = new Set(letters.slice(2).map((_, at) => letters.slice(at, at + 3).join('')));
  return [...parts].map((part) => `"${part.replaceAll('"', '""')}"`).join(' AND ');
}

function likeOf(text: string): RawBuilder<unknown> {
  return sql`'%' || lower(${text.replaceAll(/[\\%_]/g, String.raw`\$&`)}) || '%'`;
}
