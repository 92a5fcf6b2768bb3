import type { EntryIndexFixture } from '@entrepot/core/testing';
import type { Kysely } from 'kysely';
import { AdmittingIndex } from './admitting-index.js';
import type { Schema } from '../../../src/drivers/sql/schema.js';

/**
 * The fixture of `entryIndexSuite` for a database.
 * @param open opens the same one, as another process does
 */
export async function entryIndexFixture(
  open: () => Promise<Kysely<Schema>>,
  close: () => Promise<void> = async () => {},
): Promise<EntryIndexFixture> {
  const database = await open();
  return {
    index: new AdmittingIndex(database),
    reopen: async () => new AdmittingIndex(await open()),
    breakDown: () => database.destroy(),
    close,
  };
}
