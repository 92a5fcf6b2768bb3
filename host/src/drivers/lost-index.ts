import type { BlobStore } from '@entrepot/core';
import type { Kysely } from 'kysely';
import type { Schema } from './sql/schema.js';
import { stored } from './sql/stored.js';

/** Whether the index has no entries although blobs are there: a database that was lost, or belongs elsewhere. */
export async function isIndexLost(database: Kysely<Schema>, blobs: Pick<BlobStore, 'list'>): Promise<boolean> {
  const entry = await stored(
    'look for entries',
    () => database.selectFrom('entries').select('key').limit(1).executeTakeFirst(),
    'read',
  );
  if (entry !== undefined) return false;
  for await (const _ of blobs.list()) return true;
  return false;
}

/** Explains a lost index, and how to mend it. @param where the blobs are */
export function lostIndexAdvice(where: string): string {
  return (
    `the database knows nothing of what is kept, but there are blobs in ${where}. If it was lost, or is another one, stop, and put ` +
    'the right one or its backup in place: what was uploaded is only found with it. What proxies had is fetched again'
  );
}
