import { setImmediate as turn } from 'node:timers/promises';
import { type Kysely, sql, type Updateable } from 'kysely';
import { slices } from '../slices.js';
import {
  STATISTICS_NUMBERS,
  type Dimension,
  type Schema,
  type StatisticsNumber,
  type StatisticsTable,
} from './schema.js';
import type { SqlDatabase } from './sql-database.js';
import { SqlStore } from './sql-store.js';
import { stored, storedWithin } from './stored.js';
import { withoutSync } from './without-sync.js';

/** Numbers of one day, repository, and package or principal. */
export type StatisticsRow = Readonly<StatisticsTable>;

/** Rows that are added together, once. */
export interface StatisticsBatch {
  /** The process that counted them. */
  readonly writer: string;
  /** Grows with each batch of the writer. */
  readonly number: number;
  readonly rows: readonly StatisticsRow[];
}

/** The most names of one repository that have a row of their own on one day. */
export interface NamesPerDay {
  readonly packages: number;
  readonly principals: number;
}

const KEY = ['day', 'repository', 'dimension', 'name'] as const;
/** The number of rows of one statement. */
const WIDTH = 50;
/** The number of rows that become one in one transaction. */
const FOLDED = 250;
const DAY = 86_400_000;

/** Keeps the statistics of all processes on one database: they add up. */
export class SqlStatisticsStore extends SqlStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    super(database);
    this.#database = database;
  }

  /** Adds a batch to the rows of its days. One that was added before is left out: a late commit may have been taken for a failure. */
  async add({ writer, number, rows }: StatisticsBatch, now: number): Promise<void> {
    await storedWithin('write', 'write down statistics', () =>
      this.database.transaction().execute(async (transaction) => {
        await withoutSync(transaction);
        const { numInsertedOrUpdatedRows = 0n } = await transaction
          .insertInto('statistics_writers')
          .values({ writer, batch: number, at: now })
          .onConflict((conflict) =>
            conflict
              .column('writer')
              .doUpdateSet({ batch: number, at: now })
              .where('statistics_writers.batch', '<', number),
          )
          .executeTakeFirstOrThrow();
        if (numInsertedOrUpdatedRows === 0n) return;
        for (const part of slices(inOrder(rows), WIDTH)) await addRows(transaction, part);
      }),
    );
  }

  /**
   * Forgets the days before `before`, and makes one row of the smallest of those that are more than `most` on one day. The sums stay.
   * @param since the first day that may have more, in milliseconds since the epoch
   */
  async tidy(before: number, since: number, most: NamesPerDay): Promise<void> {
    const [firstKept, first] = [Math.floor(before / DAY), Math.floor(since / DAY)];
    await stored('tidy the statistics', () =>
      this.database.deleteFrom('statistics').where('day', '<', firstKept).execute(),
    );
    await stored('tidy the statistics', () =>
      this.database.deleteFrom('statistics_writers').where('at', '<', before).execute(),
    );
    for (const [dimension, rest, limit] of [
      ['package', 'other-packages', most.packages],
      ['principal', 'other-principals', most.principals],
    ] as const) {
      const query = sql<{ day: number; repository: string; name: string }>`
        select day, repository, name from (
          select day, repository, name,
            row_number() over (partition by day, repository order by requests desc, name) as place
          from statistics where day >= ${first} and dimension = ${dimension}) as ranked
        where place > ${limit} order by day, repository, name`;
      const excess = await stored('tidy the statistics', () => this.#database.aside.all(query.compile(this.#database)));
      for (const part of slices(excess, FOLDED)) {
        await this.#fold(dimension, rest, part);
        await turn();
      }
    }
  }

  /** Adds rows to the rest of their places, as they are by now, and removes them. */
  async #fold(
    dimension: Dimension,
    rest: Dimension,
    excess: readonly Pick<StatisticsRow, 'day' | 'repository' | 'name'>[],
  ): Promise<void> {
    await this.transaction('tidy the statistics', async (transaction) => {
      await withoutSync(transaction);
      for (const [place, names] of Map.groupBy(excess, ({ day, repository }) => `${day} ${repository}`)) {
        const day = Number(place.slice(0, place.indexOf(' ')));
        const repository = place.slice(place.indexOf(' ') + 1);
        const gone = await transaction
          .deleteFrom('statistics')
          .where(({ and }) => and({ day, repository, dimension }))
          .where(
            'name',
            'in',
            names.map(({ name }) => name),
          )
          .returning([...STATISTICS_NUMBERS])
          .execute();
        if (gone.length === 0) continue;
        const sums = Object.fromEntries(
          STATISTICS_NUMBERS.map((column) => [column, gone.reduce((sum, row) => sum + Number(row[column]), 0)]),
        ) as Record<StatisticsNumber, number>;
        await addRows(transaction, [{ day, repository, ...sums, dimension: rest, name: '' }]);
      }
    });
  }
}

/** In one order, so that two processes which write the same rows wait for each other, and neither waits for ever. */
function inOrder(rows: readonly StatisticsRow[]): readonly StatisticsRow[] {
  return rows.toSorted((one, other) => {
    for (const column of KEY) {
      if (one[column] !== other[column]) return one[column] < other[column] ? -1 : 1;
    }
    return 0;
  });
}

async function addRows(transaction: Kysely<Schema>, rows: readonly StatisticsRow[]): Promise<void> {
  await transaction
    .insertInto('statistics')
    .values([...rows])
    .onConflict((conflict) => conflict.columns(KEY).doUpdateSet(SUMS))
    .execute();
}

/** Each number, and what is added to it. */
const SUMS = Object.fromEntries(
  STATISTICS_NUMBERS.map((column) => [
    column,
    sql`${sql.ref(`statistics.${column}`)} + ${sql.ref(`excluded.${column}`)}`,
  ]),
) as unknown as Updateable<StatisticsTable>;
