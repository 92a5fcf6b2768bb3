import { randomUUID } from 'node:crypto';
import { type BlobStore, EntrepotError } from '@entrepot/core';
import type { SqlMetaStore } from '../drivers/sql/meta-store.js';
import { explainMark, idIn, readMark } from './store-marks.js';

/** Under this name a database has the id of its store. */
export const STORE_ID = 'storeId';

/**
 * Checks that a database and a store of blobs belong together; those that belong to nobody yet are joined. Whatever one of two
 * databases over one store does not know would be deleted for the other.
 * @returns the id of the store
 * @throws EntrepotError `configuration` when they do not, or when one of them was moved, or is half a copy
 */
export async function joinStores(meta: SqlMetaStore, blobs: BlobStore): Promise<string> {
  const ofStore = await blobs.storeId?.();
  requireInUse('the store of blobs', ofStore);
  requireInUse('the database', await meta.get(STORE_ID));
  const ofDatabase = await meta.setOnce(STORE_ID, ofStore ?? randomUUID());
  if (ofStore === undefined) await blobs.setStoreId?.(ofDatabase);
  else if (ofStore !== ofDatabase) {
    throw new EntrepotError(
      'configuration',
      `the database and the store of blobs do not belong together: the database is that of the store ${ofDatabase}, found the store ${ofStore}. ` +
        'Set the right storage and metadata; or, if this database is to take over this store, run: entrepot adopt',
    );
  }
  return ofDatabase;
}

function requireInUse(name: string, id: string | undefined): void {
  const mark = id === undefined ? undefined : readMark(id);
  if (mark !== undefined) throw new EntrepotError('configuration', explainMark(name, mark));
}

/** The id of the store that a database belongs to. `undefined`: it belongs to none yet. */
export function storeIdOf(meta: SqlMetaStore): Promise<string | undefined> {
  return meta.get(STORE_ID);
}

/** Lets a database take over a store, whichever it had before. @returns the id of the store */
export async function adoptStore(meta: SqlMetaStore, blobs: BlobStore): Promise<string> {
  const id = idIn((await blobs.storeId?.()) ?? (await meta.get(STORE_ID)) ?? randomUUID());
  await blobs.setStoreId?.(id);
  await meta.set(STORE_ID, id);
  return id;
}
