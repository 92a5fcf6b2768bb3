import type { Parsed } from '@entrepot/core';
import type { Table } from '@entrepot/core/formats';

/** A list of packages that was read. */
export class PackageList implements Parsed {
  readonly weight: number;
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
    this.weight = table.weight;
  }

  /** Finds the row of a file by the name that the list has for it. */
  find(name: string): Buffer | undefined {
    return this.#table.get(name);
  }
}
