import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BlobInfo, type BlobStore, EntrepotError } from '@entrepot/core';
import { FilesystemBlobStore } from '../drivers/blob/filesystem.js';
import { COPYING } from '../drivers/sql/collection-store.js';
import type { SqlLeases } from '../drivers/sql/leases.js';
import { SqlNamedBlobs } from '../drivers/sql/named-blobs.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { openSqlite } from '../drivers/sql/sqlite.js';
import { copyBlob } from './copy-blob.js';
import { digestsOf } from './deletion.js';
import { holdLease } from './held-lease.js';

/** Files of a backup. */
const DATABASE = 'entrepot.db';
const BLOBS = 'blobs';
const SUMMARY = 'backup.json';
/** The version of the form of backups. */
const VERSION = 1;

/** The contents of a backup, as it says itself. */
export interface Backup {
  readonly version: number;
  /** The id of the store that it is of. */
  readonly storeId: string | undefined;
  /** ISO 8601. */
  readonly madeAt: string;
  readonly entries: number;
  readonly blobs: number;
  readonly bytes: number;
}

/** Tells how far a copy is. */
export type Progress = (done: { readonly blobs: number; readonly bytes: number }) => void;

/** Runs `work` while nothing is deleted from the store, whichever process would. */
export async function withoutDeletions<Result>(
  leases: SqlLeases,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const lease = await holdLease(leases, COPYING);
  if (lease === undefined)
    throw new EntrepotError('conflict', 'another copy of this store is being made; try again when it has ended', {
      code: 'COPYING',
    });
  try {
    const result = await work(lease.signal);
    // Blobs that were deleted meanwhile may be missing.
    if (!(await lease.confirm())) throw lost();
    return result;
  } finally {
    await lease.release();
  }
}

/**
 * Copies database and blobs into a folder, as they are at one moment, while servers go on. A folder with an earlier backup of the same
 * store gets what is new.
 */
export async function backUp(
  {
    database,
    blobs,
    leases,
  }: { readonly database: SqlDatabase; readonly blobs: BlobStore; readonly leases: SqlLeases },
  folder: string,
  progress: Progress = () => {},
): Promise<Backup> {
  const { copyTo } = database.aside;
  if (copyTo === undefined)
    throw new EntrepotError(
      'configuration',
      'only the embedded database is copied by this command; for another one see "Backups" in docs/storage.md, and entrepot hold',
    );
  const storeId = await blobs.storeId?.();
  const earlier = await readSummary(folder);
  if (earlier !== undefined && earlier.storeId !== storeId)
    throw new EntrepotError(
      'configuration',
      `${folder} holds a backup of another store (${earlier.storeId}); expected an empty folder, or one with a backup of ${storeId}`,
    );
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const copy = await FilesystemBlobStore.open({ path: join(folder, BLOBS), durability: 'strict' });
  const draft = join(folder, `${randomUUID()}.db`);
  try {
    return await withoutDeletions(leases, async (signal) => {
      await copyTo.call(database.aside, draft);
      const counted = await readNames(draft, (named) => copyBlobs(named, blobs, copy, signal, progress));
      // The database last: a backup that was not finished is the one before.
      await rename(draft, join(folder, DATABASE));
      const backup: Backup = { version: VERSION, storeId, madeAt: new Date().toISOString(), ...counted };
      await writeFile(join(folder, SUMMARY), `${JSON.stringify(backup, null, 2)}\n`, { mode: 0o600 });
      return backup;
    });
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Brings a backup back where there is nothing yet: the blobs first, each held against its digest, then the database.
 * @param target the file of the database that does not exist, and an empty store
 */
export async function restore(
  folder: string,
  target: { readonly database: string; readonly blobs: BlobStore },
  progress: Progress = () => {},
): Promise<Backup> {
  const backup = await readSummary(folder);
  if (backup === undefined) throw new EntrepotError('configuration', `${folder} holds no backup: expected ${SUMMARY}`);
  await requireEmpty(target);
  const copy = await FilesystemBlobStore.open({ path: join(folder, BLOBS), durability: 'relaxed' });
  const draft = `${target.database}.${randomUUID()}`;
  const signal = new AbortController().signal;
  try {
    await copyFile(join(folder, DATABASE), draft);
    const counted = await readNames(draft, (named) => copyBlobs(named, copy, target.blobs, signal, progress));
    if (backup.storeId !== undefined) await target.blobs.setStoreId?.(backup.storeId);
    await rename(draft, target.database);
    return { ...backup, ...counted };
  } finally {
    await rm(draft, { force: true });
  }
}

/** Copies blobs, each held against its digest. */
async function copyBlobs(
  named: SqlNamedBlobs,
  from: BlobStore,
  to: BlobStore,
  signal: AbortSignal,
  progress: Progress,
): Promise<Pick<Backup, 'entries' | 'blobs' | 'bytes'>> {
  let blobs = 0;
  let bytes = 0;
  const missing: BlobInfo[] = [];
  for await (const blob of named.list()) {
    signal.throwIfAborted();
    if ((await copyBlob(blob, from, to, signal)) === 'missing') missing.push(blob);
    blobs += 1;
    bytes += blob.size;
    progress({ blobs, bytes });
  }
  if (missing.length > 0)
    throw new EntrepotError(
      'storage',
      `${missing.length} blobs of entries are missing or damaged: ${digestsOf(missing).slice(0, 5).join(', ')}${missing.length > 5 ? ' …' : ''}; entrepot verify heals what an upstream has`,
      { code: 'BLOB_MISSING' },
    );
  return { entries: await named.entries(), blobs, bytes };
}

/** Reads the names of blobs in a copy of a database, which is brought up to date for it. */
async function readNames<Result>(path: string, work: (named: SqlNamedBlobs) => Promise<Result>): Promise<Result> {
  const database = await openSqlite({ path, durability: 'strict' });
  try {
    const named = new SqlNamedBlobs(database);
    await named.forgetProcesses();
    return await work(named);
  } finally {
    await database.destroy();
  }
}

async function requireEmpty({
  database,
  blobs,
}: {
  readonly database: string;
  readonly blobs: BlobStore;
}): Promise<void> {
  const there = await stat(database).catch(() => undefined);
  if (there !== undefined)
    throw new EntrepotError(
      'conflict',
      `${database} exists: a backup is only restored where there is no database; move it away`,
    );
  for await (const _ of blobs.list())
    throw new EntrepotError(
      'conflict',
      'the store has blobs: a backup is only restored into an empty one; move them away',
    );
}

async function readSummary(folder: string): Promise<Backup | undefined> {
  const text = await readFile(join(folder, SUMMARY), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const backup = JSON.parse(text) as Backup;
    if (backup.version === VERSION) return backup;
  } catch {
    // Falls through.
  }
  throw new EntrepotError(
    'configuration',
    `${join(folder, SUMMARY)}: expected the summary of a backup of version ${VERSION}`,
  );
}

function lost(): EntrepotError {
  return new EntrepotError(
    'storage',
    'the copy was not heard of for a minute, and something may have been deleted; make it again',
    {
      code: 'COPY_LOST',
    },
  );
}
