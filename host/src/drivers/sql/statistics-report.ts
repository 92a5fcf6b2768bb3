import { type RawBuilder, sql } from 'kysely';
import { STATISTICS_NUMBERS, type Dimension, type StatisticsNumber } from './schema.js';
import type { SqlDatabase } from './sql-database.js';
import { stored } from './stored.js';

/** Rows that statistics are told in. */
export type StatisticsBy = 'day' | 'repository' | 'principal' | 'package';

/** Columns by which rows may be ordered. */
export type StatisticsOrder = 'requests' | 'downloads' | 'bytes';

/** Days, repositories and rows that are wanted. */
export interface StatisticsQuery {
  /** The first day and the last one, since the epoch. */
  readonly from: number;
  readonly to: number;
  /** Absent: all. */
  readonly repository?: string | undefined;
  readonly by: StatisticsBy;
  readonly order: StatisticsOrder;
  readonly limit: number;
  /** Repositories without upstreams: a kept copy saves nothing there. */
  readonly hosted: readonly string[];
}

/** Numbers of requests, and what kept copies saved. */
export interface StatisticsSums extends Readonly<Record<StatisticsNumber, number>> {
  readonly savedBytes: number;
  /** Milliseconds. `undefined`: no upstream was measured. */
  readonly savedTime: number | undefined;
}

/** Numbers of one day, repository, principal or package. */
export interface StatisticsPart extends StatisticsSums {
  readonly day: number;
  readonly repository: string;
  readonly dimension: Dimension;
  readonly name: string;
}

type Row = Record<StatisticsNumber | 'saved_bytes' | 'day', number> & {
  readonly saved_time: number | null;
  readonly repository: string;
  readonly dimension: Dimension;
  readonly name: string;
};

/** The dimensions that a view is made of. Each request is in just one of their rows, but for packages. */
const DIMENSIONS: Readonly<Record<StatisticsBy, readonly Dimension[]>> = {
  day: ['all'],
  repository: ['all'],
  principal: ['principal', 'other-principals', 'anonymous'],
  package: ['package', 'other-packages'],
};

/** The columns that tell the rows of a view apart. */
const COLUMNS: Readonly<Record<StatisticsBy, readonly (keyof StatisticsPart & string)[]>> = {
  day: ['day'],
  repository: ['repository'],
  principal: ['dimension', 'name'],
  package: ['repository', 'dimension', 'name'],
};

/** The number of days before the first one from which the times of upstreams are taken, too. */
const MEASURED = 30;

/** Reads statistics, aside: so that no request waits for it. */
export class SqlStatisticsReport {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  /** Adds up all that is asked for. */
  async total(query: StatisticsQuery): Promise<StatisticsSums> {
    const [row] = await this.#all({ ...query, by: 'repository', limit: 1 }, []);
    return sumsOf(row as Row);
  }

  /** Reads the parts: days in their order, all else with the largest first. */
  async parts(query: StatisticsQuery): Promise<readonly StatisticsPart[]> {
    const rows = await this.#all(query, COLUMNS[query.by]);
    return rows.map((row) => ({
      day: Number(row.day),
      repository: row.repository,
      dimension: row.dimension,
      name: row.name,
      ...sumsOf(row),
    }));
  }

  /**
   * The time that a hit saves is the mean of what upstreams of its repository took to answer, and a stale copy as much; the bytes of
   * each kept copy save the mean of what so many bytes took.
   */
  async #all(query: StatisticsQuery, columns: readonly string[]): Promise<readonly Row[]> {
    const { from, to, repository, by, order, limit, hosted } = query;
    const only = repository === undefined ? sql`` : sql`and s.repository = ${repository}`;
    const isHosted = hosted.length === 0 ? sql`1 = 0` : sql`s.repository in (${sql.join(hosted)})`;
    const keys = columns.map((column) => sql.ref(`s.${column}`));
    const sums = STATISTICS_NUMBERS.map((column) => sql`coalesce(sum(s.${sql.ref(column)}), 0) as ${sql.ref(column)}`);
    const sorted = by === 'day' ? sql`s.day` : sql`${sql.ref(order)} desc, ${sql.join([...keys, sql`1`])}`;
    const grouped = keys.length === 0 ? sql`` : sql`group by ${sql.join(keys)} order by ${sorted} limit ${limit}`;
    const text: RawBuilder<Row> = sql`
      with measured as (
        select repository, sum(upstream_time) * 1.0 / nullif(sum(upstream_requests), 0) as wait,
          sum(receive_time) * 1.0 / nullif(sum(received_bytes), 0) as pace
        from statistics where dimension = 'all' and day between ${from - MEASURED} and ${to} group by repository)
      select ${sql.join([...keys, ...sums])},
        coalesce(sum(case when ${isHosted} then 0 else s.kept_bytes end), 0) as saved_bytes,
        sum(case when ${isHosted} then null else (s.hits + s.stale) * m.wait + s.kept_bytes * coalesce(m.pace, 0) end)
          as saved_time
      from statistics s left join measured m on m.repository = s.repository
      where s.day between ${from} and ${to} and s.dimension in (${sql.join(DIMENSIONS[by])}) ${only} ${grouped}`;
    return await stored('read statistics', () => this.#database.aside.all(text.compile(this.#database)));
  }
}

function sumsOf(row: Row): StatisticsSums {
  const numbers = Object.fromEntries(STATISTICS_NUMBERS.map((column) => [column, Number(row[column])]));
  return {
    ...(numbers as Record<StatisticsNumber, number>),
    savedBytes: Number(row.saved_bytes),
    savedTime: row.saved_time === null ? undefined : Math.round(Number(row.saved_time)),
  };
}
