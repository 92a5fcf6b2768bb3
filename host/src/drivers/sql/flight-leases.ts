import { randomUUID } from 'node:crypto';
import type { Fence } from '@entrepot/core';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { slices } from '../slices.js';
import type { Schema } from './schema.js';
import { SqlStore } from './sql-store.js';
import { storedWithin } from './stored.js';
import { isPostgres, withoutSync } from './without-sync.js';

/** The time after which a lease ends whose owner is not heard of; milliseconds. */
export const FLIGHT_TERM = 6_000;
/** The number of names in one statement. */
const WIDTH = 200;
/** Rows of leases that ended this long ago are removed; milliseconds. */
const KEPT = 86_400_000;
/** The number of rows that one statement removes, and of statements at one time. */
const REMOVED = 500;
const REMOVALS = 200;

/** The owner of a lease, as others see it. */
export interface LeaseState {
  readonly name: string;
  readonly owner: string;
  readonly generation: number;
  readonly isLive: boolean;
  readonly address: string | undefined;
  readonly outcome: string | undefined;
}

/**
 * Leases of fetches, by the clock of the database: those of several machines differ. A process that dies loses its own after six
 * seconds; the generation of a lease tells a process that slept that it is another one's by now.
 */
export class SqlFlightLeases extends SqlStore {
  /** Names this process. */
  readonly owner = randomUUID();

  /**
   * Takes the lease of `name`, or finds who has it.
   * @param address where others may follow
   * @returns the new generation, or the state of the lease of another one
   */
  async take(name: string, address: string | undefined): Promise<number | LeaseState> {
    return await storedWithin('read', 'take the lease of a fetch', async () => {
      for (;;) {
        const taken = await this.#quickly(async (database) => {
          const { rows } = await sql<{ generation: number }>`
            insert into flights (name, owner, generation, until, address, outcome)
            values (${name}, ${this.owner}, 1, ${clockOf(database)} + ${FLIGHT_TERM}, ${address ?? null}, null)
            on conflict (name) do update set owner = excluded.owner, generation = flights.generation + 1,
              until = excluded.until, address = excluded.address, outcome = null
            where flights.until <= ${clockOf(database)}
            returning generation`.execute(database);
          return rows[0];
        });
        if (taken !== undefined) return Number(taken.generation);
        const [found] = await this.#look([name]);
        // It ended between the two questions, or its row was removed.
        if (found?.isLive === true) return found;
      }
    });
  }

  /** Extends leases of this process. @returns the names of those that it still has */
  async renew(fences: readonly Fence[]): Promise<ReadonlySet<string>> {
    const renewed = new Set<string>();
    const generations = new Map(fences.map(({ name, generation }) => [name, generation]));
    for (const names of slices([...generations.keys()], WIDTH)) {
      const { rows } = await storedWithin('read', 'renew leases', () =>
        this.#quickly(
          async (database) =>
            await sql<{ name: string; generation: number }>`
              update flights set until = ${clockOf(database)} + ${FLIGHT_TERM}
              where owner = ${this.owner} and until > ${clockOf(database)} and name in (${sql.join(names)})
              returning name, generation`.execute(database),
        ),
      );
      for (const { name, generation } of rows) {
        if (Number(generation) === generations.get(name)) renewed.add(name);
      }
    }
    return renewed;
  }

  /** Ends a lease. Its row stays, so that the generation goes on. @param outcome for those who follow */
  async release({ name, owner, generation }: Fence, outcome: string | undefined): Promise<void> {
    await storedWithin('read', 'end a lease', () =>
      this.#quickly((database) =>
        database
          .updateTable('flights')
          .set({ until: clockOf(database), address: null, outcome: outcome ?? null })
          .where(({ and }) => and({ name, owner, generation }))
          .execute(),
      ),
    );
  }

  /** Reads the states of leases. Those that never were are left out. */
  async look(names: readonly string[]): Promise<readonly LeaseState[]> {
    return await storedWithin('read', 'read leases', () => this.#look(names));
  }

  async #look(names: readonly string[]): Promise<readonly LeaseState[]> {
    const found: LeaseState[] = [];
    for (const part of slices(names, WIDTH)) {
      const rows = await this.database
        .selectFrom('flights')
        .select(['name', 'owner', 'generation', 'address', 'outcome'])
        .select(sql<number>`case when until > ${clockOf(this.database)} then 1 else 0 end`.as('live'))
        .where('name', 'in', part)
        .execute();
      for (const { live, generation, address, outcome, ...row } of rows) {
        const rest = { address: address ?? undefined, outcome: outcome ?? undefined };
        found.push({ ...row, ...rest, generation: Number(generation), isLive: Number(live) === 1 });
      }
    }
    return found;
  }

  /** Removes rows of leases that ended long ago: of each artifact that was fetched there is one. */
  async removeOld(): Promise<void> {
    for (let statement = 0; statement < REMOVALS; statement += 1) {
      const { numAffectedRows = 0n } = await storedWithin('write', 'remove old leases', () =>
        this.#quickly(
          async (database) =>
            await sql`delete from flights where name in (
              select name from flights where until < ${clockOf(database)} - ${KEPT} limit ${REMOVED})`.execute(
              database,
            ),
        ),
      );
      if (numAffectedRows < REMOVED) return;
    }
  }

  /** Runs a statement whose effect a power cut may take away: nobody has a lease after one. */
  async #quickly<Result>(work: (database: Kysely<Schema>) => Promise<Result>): Promise<Result> {
    // One round trip less, where a commit waits for the disk of another machine in any case.
    if (isPostgres(this.database)) return await work(this.database);
    return await this.database.transaction().execute(async (transaction) => {
      await withoutSync(transaction);
      return await work(transaction);
    });
  }
}

/** Finds those of `fences` whose lease another process has by now, and keeps the others from ending before the transaction does. */
export async function lostFences(transaction: Kysely<Schema>, fences: readonly Fence[]): Promise<ReadonlySet<Fence>> {
  const lost = new Set<Fence>();
  // One order for everybody: two transactions that wait for each other never end.
  for (const fence of [...fences].sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const { name, owner, generation } = fence;
    const { numAffectedRows = 0n } = await sql`
      update flights set until = until where name = ${name} and owner = ${owner} and generation = ${generation}
        and until > ${clockOf(transaction)}`.execute(transaction);
    if (numAffectedRows === 0n) lost.add(fence);
  }
  return lost;
}

/** The clock of the database, in milliseconds since the epoch: not that of the beginning of a transaction. */
function clockOf(database: Kysely<Schema>): RawBuilder<number> {
  return isPostgres(database)
    ? sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`
    : sql<number>`cast(unixepoch('subsec') * 1000 as integer)`;
}
