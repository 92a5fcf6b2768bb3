import { packageUrl } from '@entrepot/core';
import { type RawBuilder, sql } from 'kysely';
import type { SqlDatabase } from './sql-database.js';
import { stored } from './stored.js';

const DAY = 86_400_000;

/** The ages by which usage is told: the time since an entry was last served, up to so many milliseconds. */
const AGES = { '1d': DAY, '7d': 7 * DAY, '30d': 30 * DAY, '90d': 90 * DAY, '1y': 365 * DAY } as const;

export type Age = keyof typeof AGES | 'older' | 'never';

/** All ages, the youngest first; `never`: not served since it was stored. */
export const ALL_AGES: readonly Age[] = [...(Object.keys(AGES) as (keyof typeof AGES)[]), 'older', 'never'];

/** Entries, and the bytes that they name. Bytes that several entries name count for each. */
export interface EntryUsage {
  readonly entries: number;
  readonly bytes: number;
}

/** Room that the entries of one package take. */
export interface PackageUsage extends EntryUsage {
  readonly repository: string;
  /** The package URL, without a version. */
  readonly purl: string;
  /** When one of them was last served; milliseconds since the epoch. Absent: never since they were stored. */
  readonly lastServedAt?: number | undefined;
}

interface PackageRow {
  readonly repository: string;
  readonly ecosystem: string;
  readonly name: string;
  readonly entries: number;
  readonly bytes: number;
  readonly served: number | null;
}

interface AgeRow {
  readonly age: Age;
  readonly entries: number;
  readonly bytes: number;
}

/** Reads what entries take, over the whole table: aside, so that no request waits for it. */
export class SqlUsageReport {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  /** The packages that take most, the largest first. @param repository absent: of all */
  async packages(repository: string | undefined, limit: number): Promise<readonly PackageUsage[]> {
    return await this.#packages(repository, sql``, limit);
  }

  /** The packages of which nothing was served, nor stored, since `before`: those that take most first. @param repository absent: of all */
  async unused(repository: string | undefined, before: number, limit: number): Promise<readonly PackageUsage[]> {
    return await this.#packages(repository, sql`having max(coalesce(accessed_at, fetched_at)) < ${before}`, limit);
  }

  async #packages(
    repository: string | undefined,
    having: RawBuilder<unknown>,
    limit: number,
  ): Promise<readonly PackageUsage[]> {
    const rows = await this.#all<PackageRow>(sql`
      select ${REPOSITORY} as repository, ecosystem, name, count(*) as entries, sum(size) as bytes,
        max(accessed_at) as served
      from entries where name is not null ${only(repository)}
      group by 1, 2, 3 ${having} order by bytes desc, 1, 2, 3 limit ${limit}`);
    return rows.map(({ repository: place, ecosystem, name, entries, bytes, served }) => ({
      repository: place,
      purl: packageUrl({ ecosystem, name }),
      entries: Number(entries),
      bytes: Number(bytes),
      ...(served === null ? {} : { lastServedAt: Number(served) }),
    }));
  }

  /** Bytes by how long ago they were last served. @param repository absent: of all */
  async ages(repository: string | undefined, now: number): Promise<ReadonlyMap<Age, EntryUsage>> {
    const cases = Object.entries(AGES).map(
      ([age, most]) => sql`when accessed_at >= ${now - most} then ${sql.lit(age)}`,
    );
    const rows = await this.#all<AgeRow>(sql`
      select case when accessed_at is null then 'never' ${sql.join(cases, sql` `)} else 'older' end as age,
        count(*) as entries, sum(size) as bytes
      from entries where true ${only(repository)} group by age`);
    const found = new Map(rows.map(({ age, ...usage }) => [age, usage]));
    return new Map(
      ALL_AGES.map((age) => {
        const { entries = 0, bytes = 0 } = found.get(age) ?? {};
        return [age, { entries: Number(entries), bytes: Number(bytes) }];
      }),
    );
  }

  #all<Row>(query: ReturnType<typeof sql<Row>>): Promise<readonly Row[]> {
    return stored('read what entries take', () => this.#database.aside.all(query.compile(this.#database)));
  }
}

/** The repository as no index has it. Rows are read in the order of the file: to look up each by an index takes several times as long. */
const REPOSITORY = sql`repository || ''`;

function only(repository: string | undefined) {
  return repository === undefined ? sql`` : sql`and ${REPOSITORY} = ${repository}`;
}
