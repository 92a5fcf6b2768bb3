import type { PackageCoordinates } from '@entrepot/core';
import type { Kysely } from 'kysely';
import type { Schema } from './schema.js';
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
export class SqlDownloadHistory {
  readonly #database: Kysely<Schema>;

  /** @param database with the tables of the newest migration; the caller closes it */
  constructor(database: Kysely<Schema>) {
    this.#database = database;
  }

  /** Adds downloads to the rows of their day. */
  async record(downloads: readonly Download[]): Promise<void> {
    if (downloads.length === 0) return;
    await stored('record downloads', () =>
      this.#database.transaction().execute(async (transaction) => {
        for (const { repository, coordinates, digest, caller, address, firstAt, lastAt, times } of downloads) {
          await transaction
            .insertInto('downloads')
            .values({
              repository,
              ecosystem: coordinates.ecosystem,
              name: coordinates.name,
              version: coordinates.version ?? '',
              digest: digest ?? '',
              caller: caller ?? '',
              address: address ?? '',
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
      }),
    );
  }

  /** The newest first. */
  async list({ packages, repository, caller, since, limit }: DownloadQuery): Promise<readonly Download[]> {
    const rows = await stored('read downloads', () => {
      let query = this.#database.selectFrom('downloads').selectAll();
      if (packages !== undefined) {
        query = query.where((where) =>
          where.or(
            packages.map(({ ecosystem, name, version }) =>
              where.and({ ecosystem, name, ...(version === undefined ? {} : { version }) }),
            ),
          ),
        );
      }
      if (repository !== undefined) query = query.where('repository', '=', repository);
      if (caller !== undefined) query = query.where('caller', '=', caller);
      if (since !== undefined) query = query.where('last_at', '>=', since);
      return query.orderBy('last_at', 'desc').limit(limit).execute();
    });
    return rows.map((row) => ({
      repository: row.repository,
      coordinates: {
        ecosystem: row.ecosystem,
        name: row.name,
        ...(row.version === '' ? {} : { version: row.version }),
      },
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
      this.#database
        .deleteFrom('downloads')
        .where('day', '<', Math.floor(before / DAY))
        .execute(),
    );
  }
}
