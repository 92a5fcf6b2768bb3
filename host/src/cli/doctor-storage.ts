import { mkdtemp, open, rm, stat, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, silentLogger } from '@entrepot/core';
import { printSize } from '@entrepot/core/formats';
import type { Config } from '../config/schema.js';
import { openBlobs, placeOf } from '../container/open-stores.js';
import { redisVersion } from '../drivers/cache/redis.js';
import { redisName, type RedisSettings } from '../drivers/cache/redis-settings.js';
import { postgresVersion } from '../drivers/sql/postgres.js';
import { nameOf, type PostgresSettings } from '../drivers/sql/postgres-settings.js';
import { finding, type Finding } from './finding.js';

const LITTLE_SPACE = 5 * 2 ** 30;
const NO_SPACE = 256 * 2 ** 20;

/** The first bytes of an SQLite database (sqlite.org/fileformat.html §1.3). */
const SQLITE_MAGIC = 'SQLite format 3\0';

/** Whether a folder can be written to, and how much space there is. Leaves nothing behind. */
export async function checkFolder(check: string, folder: string): Promise<Finding> {
  const existing = await nearestExisting(folder);
  const made = existing === folder ? '' : ', created at the first start';
  try {
    if (!(await stat(existing)).isDirectory()) return finding('fail', check, `${existing} is not a folder`);
    await tryWriting(existing);
    const { bavail, bsize } = await statfs(existing);
    const free = bavail * bsize;
    const status = free < NO_SPACE ? 'fail' : free < LITTLE_SPACE ? 'warn' : 'ok';
    return finding(status, check, `${folder}${made}, ${printSize(free)} free`);
  } catch (error) {
    const advice = 'give this user the right, or set another folder';
    return finding('fail', check, `${existing} cannot be written to (${codeOf(error)}); ${advice}`);
  }
}

/** Whether a store that is no folder can be used for all that is done with it. Leaves nothing behind. */
export async function checkStore(check: string, storage: Config['storage']): Promise<Finding> {
  try {
    const store = await openBlobs({ ...storage, cache: undefined } as Config['storage'], silentLogger);
    try {
      // A plugin need not try its store when it opens it.
      await store.check();
    } finally {
      await store.dispose();
    }
    return finding('ok', check, `${placeOf(storage)}, can be read, written and listed`);
  } catch (error) {
    return finding('fail', check, messageOf(error));
  }
}

/** Whether the database is one and can be written to, or can be made. */
export async function checkDatabase(check: string, file: string): Promise<Finding> {
  const folder = await checkFolder(check, path.dirname(file));
  if (folder.status === 'fail') return folder;
  try {
    const head = await readHead(file, SQLITE_MAGIC.length);
    if (head !== '' && head !== SQLITE_MAGIC)
      return finding('fail', check, `${file} is not an SQLite database; move it away, or set metadata.path`);
    return { ...folder, detail: folder.detail.replace(path.dirname(file), file) };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      const free = folder.detail.slice(folder.detail.lastIndexOf(', '));
      return { ...folder, detail: `${file}, created at the first start${free}` };
    }
    const advice = 'give this user the right, or set metadata.path';
    return finding('fail', check, `${file} cannot be read and written (${codeOf(error)}); ${advice}`);
  }
}

/** Whether a server of PostgreSQL answers, and lets this user in. Changes nothing in it. */
export async function checkPostgres(check: string, settings: PostgresSettings): Promise<Finding> {
  const where = nameOf(settings);
  try {
    return finding('ok', check, `${where}, PostgreSQL ${await postgresVersion(settings)}`);
  } catch (error) {
    return finding('fail', check, `${where}: ${(error as Error).message || codeOf(error)}`);
  }
}

/** Whether a server of Redis answers, and lets this user in. Without it everything works, more slowly. */
export async function checkRedis(check: string, settings: RedisSettings): Promise<Finding> {
  const where = redisName(settings);
  try {
    return finding('ok', check, `${where}, Redis ${await redisVersion(settings)}`);
  } catch (error) {
    return finding(
      'warn',
      check,
      `${where}: ${(error as Error).message || codeOf(error)}; it works without the cache meanwhile`,
    );
  }
}

/** Whether finished downloads can be linked into the store; across file systems they are copied. */
export async function checkFileSystems(blobs: string, spool: string): Promise<Finding[]> {
  try {
    const [one, two] = await Promise.all([blobs, spool].map(async (folder) => stat(await nearestExisting(folder))));
    if (one?.dev === two?.dev) return [];
  } catch {
    // What cannot be looked at has been reported.
    return [];
  }
  return [finding('warn', 'spool', `${spool} is on another file system than ${blobs}: every download is copied`)];
}

async function nearestExisting(folder: string): Promise<string> {
  for (let candidate = folder; ; candidate = path.dirname(candidate)) {
    try {
      await stat(candidate);
      return candidate;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || candidate === path.dirname(candidate)) return candidate;
    }
  }
}

async function tryWriting(folder: string): Promise<void> {
  const made = await mkdtemp(path.join(folder, '.entrepot-doctor-'));
  try {
    await writeFile(path.join(made, 'file'), 'x', { flush: true });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** The first bytes of a file that can be read and written. */
async function readHead(file: string, length: number): Promise<string> {
  const handle = await open(file, 'r+');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
