import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';
import { lostIndexAdvice } from '../drivers/lost-index.js';
import { damageOf } from '../drivers/sql/sqlite.js';
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
  const known = size === 0 ? false : await look(check, file, size);
  if (typeof known === 'object') return [known];
  if (known || !(await hasBlobs(blobs))) return [];
  return [{ status: 'fail', check, detail: lostIndexAdvice(blobs) }];
}

/** Whether there is an entry; a finding where the file cannot be used. */
async function look(check: string, file: string, size: number): Promise<boolean | Finding> {
  let database: Database.Database | undefined;
  try {
    database = new Database(file);
    const damage = damageOf(database, size);
    if (damage !== undefined) return { status: 'fail', check, detail: `${file} is damaged: ${damage}` };
    const tables = database.prepare("select 1 from sqlite_master where name = 'entries'").all([]);
    return tables.length > 0 && database.prepare('select 1 from entries limit 1').all([]).length > 0;
  } catch (error) {
    return { status: 'fail', check, detail: `${file} cannot be read: ${(error as Error).message}` };
  } finally {
    database?.close();
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
