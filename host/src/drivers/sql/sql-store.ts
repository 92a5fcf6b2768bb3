import type { PackageCoordinates } from '@entrepot/core';
import type { Kysely } from 'kysely';
import type { Schema } from './schema.js';
import { stored } from './stored.js';

/** Tables of a database that all processes on it share. */
export abstract class SqlStore {
  protected readonly database: Kysely<Schema>;

  /** @param database with the tables of the newest migration; the caller closes it */
  constructor(database: Kysely<Schema>) {
    this.database = database;
  }

  /** Runs `work` in a transaction. @param action names it in errors */
  protected transaction<T>(action: string, work: (transaction: Kysely<Schema>) => Promise<T>): Promise<T> {
    return stored(action, () => this.database.transaction().execute(work));
  }
}

/** The package that a row names. Some tables hold `''` for no version, since it is part of their key. */
export function coordinatesOf(row: {
  readonly ecosystem: string;
  readonly name: string;
  readonly version: string | null;
}): PackageCoordinates {
  const { ecosystem, name, version } = row;
  return { ecosystem, name, ...(version ? { version } : {}) };
}

/** The columns that name a package. */
export function rowOf({ ecosystem, name, version }: PackageCoordinates) {
  return { ecosystem, name, version: version ?? null };
}

/** Conditions on columns; Kysely leaves out those that are `undefined`. */
export function given<Columns extends object>(columns: Columns) {
  return columns as { [Key in keyof Columns]?: Exclude<Columns[Key], undefined> };
}
