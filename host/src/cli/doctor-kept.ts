import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lostIndexAdvice } from '../drivers/lost-index.js';
import { inspectSqlite } from '../drivers/sql/sqlite.js';
import { finding, type Finding } from './finding.js';

/**
 * Whether the database knows what is kept, and is whole. Says nothing where there is neither.
 * @param blobs the folder of the store
 * @param file of SQLite
 */
export async function checkKept(check: string, blobs: string, file: string): Promise<Finding[]> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  try {
    const { damage, hasEntries = false } = size === 0 ? {} : inspectSqlite(file, size);
    if (damage !== undefined) return [finding('fail', check, `${file} is damaged: ${damage}`)];
    if (hasEntries || !(await hasBlobs(blobs))) return [];
    return [finding('fail', check, lostIndexAdvice(blobs))];
  } catch (error) {
    return [finding('fail', check, `${file} cannot be read: ${(error as Error).message}`)];
  }
}

/** Whether a store in `folder` has a blob. */
async function hasBlobs(folder: string): Promise<boolean> {
  const root = join(folder, 'v1', 'sha256');
  for (const below of await readdir(root).catch(() => [])) {
    const names = await readdir(join(root, below)).catch(() => []);
    if (names.length > 0) return true;
  }
  return false;
}
