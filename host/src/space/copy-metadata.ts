import { EntrepotError } from '@entrepot/core';
import { SqlMetaStore } from '../drivers/sql/meta-store.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { SqlTableCopy } from '../drivers/sql/table-copy.js';
import { STORE_ID } from './belonging.js';
import { isCopyOf, ownId, printMark } from './store-marks.js';

/** The number of passes after which a source that still changes is in use. */
const MOST_PASSES = 5;

/** A copy of a database, as far as it is. */
export interface MetadataCopied {
  /** Rows that have been compared in this pass, and all. */
  readonly rows: number;
  readonly total: number;
  readonly pass: number;
}

export interface MetadataCopyOptions {
  /** Copies what there is now: more is to follow, and the target is not to be used yet. */
  readonly prepare: boolean;
  /** The number of rows that are compared together. Default: 500. */
  readonly pageSize?: number | undefined;
  readonly signal: AbortSignal;
  readonly progress: (done: MetadataCopied) => void;
}

/** An empty database, or one with a part of the same copy. */
export interface MetadataTarget {
  readonly database: SqlDatabase;
  /** For people. */
  readonly name: string;
}

/**
 * Copies all tables to another database, which belongs to the store of blobs afterwards, and the source to none. It is done when a pass over
 * all rows finds no difference.
 * @returns the number of rows
 * @throws EntrepotError `conflict` when the target has something else, or when the source changes all the time
 */
export async function copyMetadata(
  from: SqlDatabase,
  to: MetadataTarget,
  { prepare, pageSize, signal, progress }: MetadataCopyOptions,
): Promise<number> {
  const source = new SqlMetaStore(from);
  const target = new SqlMetaStore(to.database);
  const id = await idOf(source, target);
  let pass = 1;
  let total = 0;
  const copy = new SqlTableCopy(from, to.database, {
    ownFact: STORE_ID,
    pageSize,
    signal,
    progress: (rows) => progress({ rows, total, pass }),
  });
  await begin(id, target, to.name, copy);
  for (; ; pass += 1) {
    total = await copy.count();
    const changes = await copy.pass();
    if (prepare) return total;
    if (changes === 0) break;
    if (pass === MOST_PASSES)
      throw new EntrepotError(
        'conflict',
        `the source changes while it is copied (${changes} rows in the last pass); stop its servers, and run this again`,
      );
  }
  // Of the two, never both are in use.
  await source.set(STORE_ID, printMark({ movedFrom: id, to: to.name }));
  await target.set(STORE_ID, id);
  return total;
}

/** The id of the store that the source is the database of. */
async function idOf(source: SqlMetaStore, target: SqlMetaStore): Promise<string> {
  const id = await source.get(STORE_ID);
  if (id === undefined)
    throw new EntrepotError(
      'configuration',
      'no server has used the source yet; expected a database with a store of blobs',
    );
  return ownId('the source', id, await target.get(STORE_ID));
}

/** Marks the target as a copy, unless it is one. */
async function begin(id: string, target: SqlMetaStore, name: string, copy: SqlTableCopy): Promise<void> {
  if (await isCopyOf(id, name, await target.get(STORE_ID))) return;
  if (!(await copy.isEmpty())) throw conflict(`${name} has rows that are of no copy`);
  await target.set(STORE_ID, printMark({ copyOf: id, since: 0, after: '' }));
}

function conflict(what: string): EntrepotError {
  return new EntrepotError('conflict', `${what}; expected an empty database, or one with a part of this copy`);
}
