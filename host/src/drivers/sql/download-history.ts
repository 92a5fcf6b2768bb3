import type { PackageCoordinates } from '@entrepot/core';
import { coordinatesOf, given, SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** The downloads of one version by one caller on one day. Times are milliseconds since the epoch. */
export interface Download {
  readonly repository: string;
  readonly coordinates: PackageCoordinates;
  readonly digest?: string | undefined;
  /** The authenticated caller's name. */
  readonly caller?: string | undefined;
  /** The client's IP address. */
  readonly address?: string | undefined;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly times: number;
}

/** Selects downloads. An absent key selects all. */
export interface DownloadQuery {
  readonly packages?: readonly PackageCoordinates[] | undefined;
  readonly repository?: string | undefined;
  readonly caller?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly since?: number | undefined;
  readonly limit: number;
}

const DAY = 86_400_000;

/** The history of downloads, a row for each version, caller and day. Shared by all processes on one database. */
export class SqlDownloadHistory extends SqlStore {
  /** Adds downloads to the rows of their day. */
  async record(downloads: readonly Download[]): Promise<void> {
    if (downloads.length === 0) return;
    await this.transaction('record downloads', async (transaction) => {
      for (const { repository, coordinates, firstAt, lastAt, times, ...download } of downloads) {
        const { digest = '', caller = '', address = '' } = download;
        await transaction
          .insertInto('downloads')
          .values({
            repository,
            ...coordinates,
            version: coordinates.version ?? '',
            digest,
            caller,
            address,
            day: Math.floor(firstAt / DAY),
            first_at: firstAt,
            last_at: lastAt,
            times,
          })
          .onConflict((conflict) =>
            conflict
              .columns(['ecosystem', 'name', 'version', 'repository', 'digest', 'caller', 'address', 'day'])
              .doUpdateSet((row) => ({ last_at: lastAt, times: row('downloads.times', '+', times) })),
          )
          .execute();
      }
    });
  }

  /** The newest first. */
  async list({ packages, repository, caller, since = 0, limit }: DownloadQuery): Promise<readonly Download[]> {
    const rows = await stored('read downloads', () =>
      this.database
        .selectFrom('downloads')
        .selectAll()
        .where(({ and }) => and(given({ repository, caller })))
        .where('last_at', '>=', since)
        .$if(packages !== undefined, (all) =>
          all.where(({ and, or }) =>
            or((packages ?? []).map(({ ecosystem, name, version }) => and(given({ ecosystem, name, version })))),
          ),
        )
        .orderBy('last_at', 'desc')
        .limit(limit)
        .execute(),
    );
    return rows.map((row) => ({
      repository: row.repository,
      coordinates: coordinatesOf(row),
      digest: row.digest || undefined,
      caller: row.caller || undefined,
      address: row.address || undefined,
      firstAt: Number(row.first_at),
      lastAt: Number(row.last_at),
      times: Number(row.times),
    }));
  }

  /** Forgets the days before `before`. */
  async prune(before: number): Promise<void> {
    await stored('tidy the downloads', () =>
      this.database
        .deleteFrom('downloads')
        .where('day', '<', Math.floor(before / DAY))
        .execute(),
    );
  }
}
