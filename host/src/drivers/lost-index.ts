import type { BlobStore } from '@entrepot/core';
import type { Kysely } from 'kysely';
import type { Schema } from './sql/schema.js';
import { storedWithin } from './sql/stored.js';

/** Whether the index has no entries although blobs are there: a database that was lost, or belongs elsewhere. */
export async function isIndexLost(database: Kysely<Schema>, blobs: Pick<BlobStore, 'list'>): Promise<boolean> {
  const entry = await storedWithin('read', 'look for entries', () =>
    database.selectFrom('entries').select('key').limit(1).executeTakeFirst(),
  );
  if (entry !== undefined) return false;
  for await (const _ of blobs.list()) return true;
  return false;
}

/** Explains a lost index, and how to mend it. @param where the blobs are */
export function lostIndexAdvice(where: string): string {
  return (
    `the database has no entries, but there are blobs in ${where}. If it was lost or is the wrong one, stop the server and ` +
    'restore the right one: uploads can only be found with it. Proxies fetch their artifacts again'
  );
}
