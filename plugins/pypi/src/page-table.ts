import type { DocumentTable } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram, type Table } from '@entrepot/core/formats';
import { readKey } from './keys.js';
import type { PageHead } from './page-head.js';
import { HEAD, readPageRows } from './page-rows.js';
import { ProjectPage, type ListedFile, type PageFiles, type PageOf } from './project-page.js';

/** The files of a large page, in the table of its rows. */
class TabledFiles implements PageFiles {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  get weight(): number {
    return this.#table.weight;
  }

  get(key: string): ListedFile | undefined {
    const row = isFile(key) ? this.#table.get(key) : undefined;
    return row && fileIn(row);
  }

  ofProvenance(key: string): ListedFile | undefined {
    const file = this.#table.get(key);
    return file && this.get(file.toString());
  }

  *all(): Generator<readonly [string, ListedFile], void> {
    for (const [key, row] of this.#table.rows()) if (isFile(key)) yield [key, fileIn(row)];
  }
}

/** Large project pages as rows. */
export const PAGE_TABLE: DocumentTable<Pick<PageOf, 'deriveMetadata'>, ProjectPage> = {
  maker: new TableMaker(builtProgram(import.meta.url, 'page-worker', () => tableProgram(readPageRows))),
  revision: 1,
  parameters: ({ key, coordinates }) => ({ project: coordinates?.name ?? '', key }),
  open: (table, { coordinates }, { deriveMetadata }) => {
    const head = JSON.parse(table.get(HEAD)?.toString() ?? '') as PageHead;
    return new ProjectPage({ project: coordinates?.name ?? '', deriveMetadata }, new TabledFiles(table), head);
  },
};

/** Whether a row is of a file: others are the head, and keys of provenance. */
function isFile(key: string): boolean {
  return key !== HEAD && readKey(key).kind !== 'provenance';
}

function fileIn(row: Buffer): ListedFile {
  return JSON.parse(row.toString()) as ListedFile;
}
