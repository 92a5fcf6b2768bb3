import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lostIndexAdvice } from '../drivers/lost-index.js';
import { inspectSqlite } from '../drivers/sql/sqlite.js';
import type { Finding } from './finding.js';

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
  const known = size === 0 ? false : look(check, file, size);
  if (typeof known === 'object') return [known];
  if (known || !(await hasBlobs(blobs))) return [];
  return [{ status: 'fail', check, detail: lostIndexAdvice(blobs) }];
}

/** Whether there is an entry; a finding where the file cannot be used. */
function look(check: string, file: string, size: number): boolean | Finding {
  try {
    const found = inspectSqlite(file, size);
    if (found.damage === undefined) return found.hasEntries;
    return { status: 'fail', check, detail: `${file} is damaged: ${found.damage}` };
  } catch (error) {
    return { status: 'fail', check, detail: `${file} cannot be read: ${(error as Error).message}` };
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
