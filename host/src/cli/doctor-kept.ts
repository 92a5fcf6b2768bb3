import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import type { Config } from '../config/schema.js';
import { openBlobs, placeOf } from '../container/open-stores.js';
import { lostIndexAdvice } from '../drivers/lost-index.js';
import { inspectSqlite } from '../drivers/sql/sqlite.js';
import { finding, type Finding } from './finding.js';

/**
 * Whether the database knows what is kept, and is whole. Says nothing where there is neither.
 * @param storage where the blobs are
 * @param file of SQLite
 */
export async function checkKept(check: string, storage: Config['storage'], file: string): Promise<Finding[]> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  try {
    const { damage, hasEntries = false } = size === 0 ? {} : inspectSqlite(file, size);
    if (damage !== undefined) return [finding('fail', check, `${file} is damaged: ${damage}`)];
    if (hasEntries || !(await hasBlobs(storage))) return [];
    return [finding('fail', check, lostIndexAdvice(placeOf(storage)))];
  } catch (error) {
    return [finding('fail', check, `${file} cannot be read: ${(error as Error).message}`)];
  }
}

/** Whether there is a blob. A folder that is not there yet is not made for it. */
async function hasBlobs(storage: Config['storage']): Promise<boolean> {
  if (storage.backend !== 'filesystem') {
    const store = await openBlobs(storage, silentLogger);
    try {
      for await (const _ of store.list()) return true;
      return false;
    } finally {
      await store.dispose();
    }
  }
  const root = join(storage.path, 'v1', 'sha256');
  for (const below of await readdir(root).catch(() => [])) {
    const names = await readdir(join(root, below)).catch(() => []);
    if (names.length > 0) return true;
  }
  return false;
}
