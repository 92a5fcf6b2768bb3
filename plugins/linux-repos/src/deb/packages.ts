import type { Parsed } from '@entrepot/core';
import type { Table } from '@entrepot/core/formats';
import { readValue, type ListedPackage } from './package-rows.js';

/** A list of packages that was read. */
export class Packages implements Parsed {
  readonly weight: number;
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
    this.weight = table.weight;
  }

  /** Finds a file by its path below the archive. */
  find(path: string): ListedPackage | undefined {
    const value = this.#table.get(path);
    return value && readValue(value);
  }
}
