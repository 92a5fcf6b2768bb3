import type { PackageCoordinates } from '@entrepot/core';
import { setImmediate as turn } from 'node:timers/promises';
import { slices } from '../slices.js';
import type { FirstSeenTable } from './schema.js';
import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** Rows of one statement. */
const BATCH = 500;

/** A version, and when it was first met here; milliseconds since the epoch. */
export interface Sight {
  readonly coordinates: PackageCoordinates & { readonly version: string };
  readonly at: number;
}

/** When versions were first met, shared by all repositories and all processes on one database. */
export class SqlFirstSeenStore extends SqlStore {
  /** The newest `limit` of them, the oldest of these first. */
  async newest(limit: number): Promise<readonly Sight[]> {
    const rows = await stored('read when versions were first met', () =>
      this.database.selectFrom('first_seen').selectAll().orderBy('seen_at', 'desc').limit(limit).execute(),
    );
    return rows.reverse().map(sightOf);
  }

  /** Notes versions, unless they are known for longer. @returns since when each of them is known */
  async record(sights: readonly Sight[]): Promise<readonly Sight[]> {
    const known: Sight[] = [];
    for (const batch of slices(sights, BATCH)) {
      const rows = await stored('note when versions were first met', () => this.#record(batch));
      known.push(...rows.map(sightOf));
      await turn();
    }
    return known;
  }

  /** Forgets the oldest of those that are more than `limit`. */
  async prune(limit: number): Promise<void> {
    await stored('tidy when versions were first met', () =>
      this.database
        .deleteFrom('first_seen')
        .where('seen_at', '<=', (select) =>
          select.selectFrom('first_seen').select('seen_at').orderBy('seen_at', 'desc').offset(limit).limit(1),
        )
        .execute(),
    );
  }

  #record(sights: readonly Sight[]): Promise<readonly FirstSeenTable[]> {
    return (
      this.database
        .insertInto('first_seen')
        .values(
          sights.map(({ coordinates: { ecosystem, name, version }, at }) => {
            return { ecosystem, name, version, seen_at: at };
          }),
        )
        // The row comes back, whichever is the earlier one.
        .onConflict((conflict) =>
          conflict.columns(['ecosystem', 'name', 'version']).doUpdateSet((kept) => ({
            seen_at: kept
              .case()
              .when('excluded.seen_at', '<', kept.ref('first_seen.seen_at'))
              .then(kept.ref('excluded.seen_at'))
              .else(kept.ref('first_seen.seen_at'))
              .end(),
          })),
        )
        .returningAll()
        .execute()
    );
  }
}

function sightOf({ ecosystem, name, version, seen_at: at }: FirstSeenTable): Sight {
  return { coordinates: { ecosystem, name, version }, at: Number(at) };
}
