import { constants } from 'node:fs';
import { access, mkdtemp, open, rm, stat, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { printSize } from '@entrepot/core/formats';
import { nameOf, postgresVersion } from '../drivers/sql/postgres.js';
import type { Finding } from './finding.js';

const LITTLE_SPACE = 5 * 2 ** 30;
const NO_SPACE = 256 * 2 ** 20;

/** The first bytes of an SQLite database (sqlite.org/fileformat.html §1.3). */
const SQLITE_MAGIC = 'SQLite format 3\0';

/** Whether a folder can be written to, and how much space there is. Leaves nothing behind. */
export async function checkFolder(check: string, folder: string): Promise<Finding> {
  const existing = await nearestExisting(folder);
  const made = existing === folder ? '' : ', created at the first start';
  try {
    if (!(await stat(existing)).isDirectory()) return fail(check, `${existing} is not a folder`);
    await tryWriting(existing);
    return spaceFinding(check, `${folder}${made}`, await freeSpace(existing));
  } catch (error) {
    return fail(
      check,
      `${existing} cannot be written to (${codeOf(error)}); give this user the right, or set another folder`,
    );
  }
}

/** Whether the database is one and can be written to, or can be made. */
export async function checkDatabase(check: string, file: string): Promise<Finding> {
  const folder = await checkFolder(check, path.dirname(file));
  if (folder.status === 'fail') return folder;
  try {
    await access(file, constants.R_OK | constants.W_OK);
    const head = await readHead(file, SQLITE_MAGIC.length);
    if (head !== '' && head !== SQLITE_MAGIC)
      return fail(check, `${file} is not an SQLite database; move it away, or set metadata.path`);
    return { ...folder, detail: folder.detail.replace(path.dirname(file), file) };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      return fail(
        check,
        `${file} cannot be read and written (${codeOf(error)}); give this user the right, or set metadata.path`,
      );
    return {
      ...folder,
      detail: `${file}, created at the first start${folder.detail.slice(folder.detail.lastIndexOf(', '))}`,
    };
  }
}

/** Whether a server of PostgreSQL answers, and lets this user in. Changes nothing in it. */
export async function checkPostgres(check: string, url: string): Promise<Finding> {
  const where = nameOf(url);
  try {
    return { status: 'ok', check, detail: `${where}, PostgreSQL ${await postgresVersion(url)}` };
  } catch (error) {
    return fail(check, `${where}: ${(error as Error).message || codeOf(error)}`);
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
  const detail = `${spool} is on another file system than ${blobs}: every download is copied`;
  return [{ status: 'warn', check: 'spool', detail }];
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

async function freeSpace(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function spaceFinding(check: string, place: string, free: number): Finding {
  const status = free < NO_SPACE ? 'fail' : free < LITTLE_SPACE ? 'warn' : 'ok';
  return { status, check, detail: `${place}, ${printSize(free)} free` };
}

async function readHead(file: string, length: number): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function fail(check: string, detail: string): Finding {
  return { status: 'fail', check, detail };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
