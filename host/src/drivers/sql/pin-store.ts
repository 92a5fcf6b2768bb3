import { EntrepotError } from '@entrepot/core';
import type { Selectable } from 'kysely';
import type { PinTable } from './schema.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** The most pins that there may be: each is held against what is about to be evicted. */
export const MOST_PINS = 1_000;

/** A rule that keeps entries from the evictor. */
export interface Pin {
  readonly id: string;
  /** A package URL, or `<repository>/<glob over keys>`. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  readonly madeAt: number;
  /** The name of the administrator. */
  readonly madeBy?: string | undefined;
  readonly note?: string | undefined;
}

/** The pins of all processes on one database. */
export class SqlPinStore extends SqlStore {
  async list(): Promise<readonly Pin[]> {
    const rows = await stored('read the pins', () =>
      this.database.selectFrom('pins').selectAll().orderBy('made_at').execute(),
    );
    return rows.map(toPin);
  }

  /** @throws EntrepotError `conflict` where there are too many */
  async add({ id, subject, madeAt, madeBy, note }: Pin): Promise<void> {
    const row = { id, subject, made_at: madeAt, made_by: madeBy ?? null, note: note ?? null };
    await this.transaction('add a pin', async (transaction) => {
      const { amount } = await transaction
        .selectFrom('pins')
        .select(({ fn }) => fn.countAll<number>().as('amount'))
        .executeTakeFirstOrThrow();
      if (Number(amount) >= MOST_PINS)
        throw new EntrepotError(
          'conflict',
          `there are ${amount} pins, and at most ${MOST_PINS} may be; remove some, or pin more with one pattern`,
          { code: 'TOO_MANY_PINS' },
        );
      await transaction.insertInto('pins').values(row).execute();
    });
  }

  /** @returns whether there was one */
  async remove(id: string): Promise<boolean> {
    const { numDeletedRows } = await stored('remove a pin', () =>
      this.database.deleteFrom('pins').where('id', '=', id).executeTakeFirst(),
    );
    return numDeletedRows > 0n;
  }
}

function toPin({ id, subject, made_at, made_by, note }: Selectable<PinTable>): Pin {
  return {
    id,
    subject,
    madeAt: Number(made_at),
    ...(made_by === null ? {} : { madeBy: made_by }),
    ...(note === null ? {} : { note }),
  };
}
