import { randomUUID } from 'node:crypto';
import type { Clock } from '@entrepot/core';
import type { Kysely } from 'kysely';
import type { Schema } from './schema.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** A lease that this process has. */
export interface Lease {
  readonly name: string;
  /** Grows each time that somebody takes the lease. */
  readonly generation: number;
}

/** No lease is taken for longer, in milliseconds. */
export const LONGEST_TERM = 600_000;

/** Leases: work that one process does at a time, until it ends, or is not heard of any more. */
export class SqlLeases extends SqlStore {
  readonly #clock: Clock;
  readonly #owner = randomUUID();

  constructor(database: Kysely<Schema>, clock: Clock) {
    super(database);
    this.#clock = clock;
  }

  /** Takes a lease for `term` milliseconds. @returns `undefined` while somebody else has it */
  async acquire(name: string, term: number): Promise<Lease | undefined> {
    const now = this.#clock.now();
    const row = { owner: this.#owner, until: now + term };
    const taken = await stored('take a lease', () =>
      this.database
        .insertInto('leases')
        .values({ ...row, name, generation: 1 })
        .onConflict((conflict) =>
          conflict
            .column('name')
            .doUpdateSet((old) => ({ ...row, generation: old('leases.generation', '+', 1) }))
            // One of the far future was taken by a clock that was ahead.
            .where(({ eb, or }) => or([eb('leases.until', '<', now), eb('leases.until', '>', now + LONGEST_TERM)])),
        )
        .returning('generation')
        .executeTakeFirst(),
    );
    return taken && { name, generation: Number(taken.generation) };
  }

  /** Extends a lease to `term` milliseconds from now. @returns whether it still was ours */
  async renew({ name, generation }: Lease, term: number): Promise<boolean> {
    const now = this.#clock.now();
    const { numUpdatedRows } = await stored('renew a lease', () =>
      this.database
        .updateTable('leases')
        .set({ until: now + term })
        .where(({ and }) => and({ name, generation, owner: this.#owner }))
        .where('until', '>=', now)
        .executeTakeFirst(),
    );
    return numUpdatedRows > 0n;
  }

  /** Ends a lease. Its row stays, so that the generation goes on. */
  async release({ name, generation }: Lease): Promise<void> {
    await stored('end a lease', () =>
      this.database
        .updateTable('leases')
        .set({ until: 0 })
        .where(({ and }) => and({ name, generation, owner: this.#owner }))
        .execute(),
    );
  }
}
