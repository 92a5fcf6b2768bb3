import type { PackageCoordinates } from '@entrepot/core';
import { isSameVersion } from '@entrepot/core/engine';
import type { Selectable } from 'kysely';
import { countChange } from './changes.js';
import type { QuarantineTable } from './schema.js';
import { coordinatesOf, given, SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** `held`: policy holds it; `released` and `denied`: decided by an administrator. */
export type QuarantineState = 'held' | 'released' | 'denied';

/** A version in one repository. */
export interface QuarantineSubject {
  readonly repository: string;
  readonly coordinates: PackageCoordinates;
}

/** A version that policy holds, or that an administrator decided on. Times are milliseconds since the epoch. */
export interface Quarantined extends QuarantineSubject {
  readonly state: QuarantineState;
  /** The ids of the rules that held it when it was last asked for. */
  readonly rules: readonly string[];
  readonly heldAt: number;
  /** When it was last requested. */
  readonly askedAt: number;
  /** When it is released automatically. Absent: not by time. */
  readonly until?: number | undefined;
  readonly decidedAt?: number | undefined;
  readonly decidedBy?: string | undefined;
  readonly note?: string | undefined;
}

/** A version that policy held when it was requested. */
export interface Hold extends QuarantineSubject {
  readonly rules: readonly string[];
  readonly at: number;
  readonly until?: number | undefined;
}

/** A decision of an administrator. */
export interface QuarantineVerdict {
  readonly state: 'released' | 'denied';
  readonly by: string;
  readonly at: number;
  readonly note: string;
}

/** Held versions and the decisions on them, shared by all processes on one database. */
export class SqlQuarantineStore extends SqlStore {
  /** The newest first, at most `limit`. */
  async list(limit: number, state?: QuarantineState): Promise<readonly Quarantined[]> {
    const rows = await stored('read the quarantine', () =>
      this.database
        .selectFrom('quarantine')
        .selectAll()
        .where(({ and }) => and(given({ state })))
        .orderBy('asked_at', 'desc')
        .limit(limit)
        .execute(),
    );
    return rows.map(toQuarantined);
  }

  /** The row of a version in any of its spellings; first of all in the one that is asked for. */
  async find(subject: QuarantineSubject): Promise<Quarantined | undefined> {
    const { repository, ecosystem, name, version } = keyOf(subject);
    const rows = await stored('read the quarantine', () =>
      this.database
        .selectFrom('quarantine')
        .selectAll()
        .where(({ and }) => and({ repository, ecosystem, name }))
        .execute(),
    );
    const row =
      rows.find((one) => one.version === version) ?? rows.find((one) => isSameVersion(ecosystem, one.version, version));
    return row && toQuarantined(row);
  }

  /**
   * Records holds. Decisions of administrators are not changed.
   * @returns those that are new
   */
  async hold(holds: readonly Hold[]): Promise<readonly Hold[]> {
    const fresh: Hold[] = [];
    await this.transaction('record what is held', async (transaction) => {
      for (const hold of holds) {
        const { rules, at, until } = hold;
        const row = { rules: JSON.stringify(rules), asked_at: at, until: until ?? null };
        const { numUpdatedRows } = await transaction
          .updateTable('quarantine')
          .set(row)
          .where(({ and }) => and(keyOf(hold)))
          .executeTakeFirst();
        if (numUpdatedRows > 0n) continue;
        await transaction
          .insertInto('quarantine')
          .values({ ...keyOf(hold), ...row, state: 'held', held_at: at })
          .onConflict((conflict) => conflict.columns(['repository', 'ecosystem', 'name', 'version']).doNothing())
          .execute();
        fresh.push(hold);
      }
    });
    return fresh;
  }

  /**
   * Records a decision of an administrator, also on a version that is not held. A version that has a row keeps its
   * spelling.
   */
  async decide(asked: QuarantineSubject, { state, by, at, note }: QuarantineVerdict): Promise<void> {
    const subject = (await this.find(asked)) ?? asked;
    const verdict = { state, decided_at: at, decided_by: by, note };
    await this.transaction('record a decision', async (transaction) => {
      await countChange(transaction, 'quarantine');
      await transaction
        .insertInto('quarantine')
        .values({ ...keyOf(subject), ...verdict, rules: '[]', held_at: at, asked_at: at })
        .onConflict((conflict) => conflict.columns(['repository', 'ecosystem', 'name', 'version']).doUpdateSet(verdict))
        .execute();
    });
  }

  /** Forgets a row. @returns whether there was one */
  async remove(asked: QuarantineSubject): Promise<boolean> {
    const subject = (await this.find(asked)) ?? asked;
    return this.transaction('remove from the quarantine', async (transaction) => {
      await countChange(transaction, 'quarantine');
      const { numDeletedRows } = await transaction
        .deleteFrom('quarantine')
        .where(({ and }) => and(keyOf(subject)))
        .executeTakeFirst();
      return numDeletedRows > 0n;
    });
  }

  /** Forgets what is held and was not asked for since `before`, and what has been released by time. */
  async prune(before: number, now: number): Promise<void> {
    await stored('tidy the quarantine', () =>
      this.database
        .deleteFrom('quarantine')
        .where('state', '=', 'held')
        .where((where) => where.or([where('asked_at', '<', before), where('until', '<=', now)]))
        .execute(),
    );
  }
}

function keyOf({ repository, coordinates: { ecosystem, name, version = '' } }: QuarantineSubject) {
  return { repository, ecosystem, name, version };
}

function toQuarantined(row: Selectable<QuarantineTable>): Quarantined {
  return {
    repository: row.repository,
    coordinates: coordinatesOf(row),
    state: row.state as QuarantineState,
    rules: JSON.parse(row.rules) as string[],
    heldAt: Number(row.held_at),
    askedAt: Number(row.asked_at),
    ...(row.until === null ? {} : { until: Number(row.until) }),
    ...(row.decided_at === null ? {} : { decidedAt: Number(row.decided_at) }),
    ...(row.decided_by === null ? {} : { decidedBy: row.decided_by }),
    ...(row.note === null ? {} : { note: row.note }),
  };
}
