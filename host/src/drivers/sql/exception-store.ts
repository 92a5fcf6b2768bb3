import { EntrepotError } from '@entrepot/core';
import type { PolicyException } from '@entrepot/core/engine';
import type { Selectable } from 'kysely';
import { countChange } from './changes.js';
import type { ExceptionTable } from './schema.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** An exception with what people want to know of it. Times are milliseconds since the epoch. */
export interface KeptException extends PolicyException {
  readonly kind: 'risk-accepted' | 'false-positive';
  readonly reason: string;
  readonly ticket?: string | undefined;
  readonly requestedBy: readonly string[];
  readonly createdAt: number;
  /** The last changes, in their order. */
  readonly changes?: readonly ExceptionChange[] | undefined;
  /** The end that was announced; absent: none yet. */
  readonly announcedEnd?: number | undefined;
  /** When it last kept a rule from firing; absent: not yet. */
  readonly lastUsedAt?: number | undefined;
}

/** A change of an exception: who made it, and how it was before. Absent: that did not change. */
export interface ExceptionChange {
  readonly at: number;
  readonly by?: string | undefined;
  readonly active?: boolean;
  readonly expiresAt?: number;
  readonly reason?: string;
  /** Empty: it had none. */
  readonly ticket?: string;
  readonly approvedBy?: readonly string[];
}

/** The exceptions, shared by all processes on one database. */
export class SqlExceptionStore extends SqlStore {
  /** All of them, those that have ended too; by id. */
  async list(): Promise<readonly KeptException[]> {
    const rows = await stored('read exceptions', () =>
      this.database.selectFrom('exceptions').selectAll().orderBy('id').execute(),
    );
    return rows.map(toException);
  }

  /** @throws EntrepotError `conflict` when there is one with this id. */
  async add(exception: KeptException): Promise<void> {
    const isNew = await this.transaction('store an exception', async (transaction) => {
      await countChange(transaction, 'exceptions');
      const { numInsertedOrUpdatedRows } = await transaction
        .insertInto('exceptions')
        .values(toRow(exception))
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirstOrThrow();
      return numInsertedOrUpdatedRows !== 0n;
    });
    if (!isNew) throw new EntrepotError('conflict', `There is an exception ${JSON.stringify(exception.id)} already`);
  }

  /** Reads one. */
  async find(id: string): Promise<KeptException | undefined> {
    const row = await stored('read an exception', () =>
      this.database.selectFrom('exceptions').selectAll().where('id', '=', id).executeTakeFirst(),
    );
    return row && toException(row);
  }

  /** Puts what `alter` makes of an exception; nothing where that is the same object. @returns it; `undefined` when there is none */
  async alter(id: string, alter: (found: KeptException) => KeptException): Promise<KeptException | undefined> {
    return this.transaction('change an exception', async (transaction) => {
      // Counted first: its row is a lock, so that of two changes at once each sees the other one.
      await countChange(transaction, 'exceptions');
      const row = await transaction.selectFrom('exceptions').selectAll().where('id', '=', id).executeTakeFirst();
      if (row === undefined) return undefined;
      const found = toException(row);
      const altered = alter(found);
      if (altered === found) return found;
      await transaction.updateTable('exceptions').set(toRow(altered)).where('id', '=', id).execute();
      return altered;
    });
  }

  /** @returns whether there was one. */
  async remove(id: string): Promise<boolean> {
    return this.transaction('remove an exception', async (transaction) => {
      await countChange(transaction, 'exceptions');
      const { numDeletedRows } = await transaction.deleteFrom('exceptions').where('id', '=', id).executeTakeFirst();
      return numDeletedRows > 0n;
    });
  }

  /** Records that exceptions were used, by id. */
  async recordUse(uses: ReadonlyMap<string, number>): Promise<void> {
    await stored('record the use of exceptions', async () => {
      for (const [id, at] of uses) {
        await this.database
          .updateTable('exceptions')
          .set({ last_used_at: at })
          .where('id', '=', id)
          .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<', at)]))
          .execute();
      }
    });
  }
}

function toRow({ lastUsedAt, ...body }: KeptException): ExceptionTable {
  return { id: body.id, body: JSON.stringify(body), expires_at: body.expiresAt, last_used_at: lastUsedAt ?? null };
}

function toException({ body, last_used_at }: Selectable<ExceptionTable>): KeptException {
  const exception = JSON.parse(body) as KeptException;
  return last_used_at === null ? exception : { ...exception, lastUsedAt: Number(last_used_at) };
}
