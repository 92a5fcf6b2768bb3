import { mkdir, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { BlobCatalogue } from '../../api/blob-catalogue.js';
import type { BlobStore } from '../../api/blob-store.js';
import type { Clock } from '../../api/clock.js';
import type { EntryIndex } from '../../api/entry-index.js';
import type { Logger } from '../../api/logger.js';
import { BlobCache, type BlobCacheOptions } from './blob-cache.js';
import { BlobHolds, NO_CATALOGUE } from './blob-holds.js';
import { Lru } from '../../formats/lru.js';
import { EntryCache } from './entry-cache.js';
import { JoinedDocuments } from './joined-documents.js';
import { Renditions } from './renditions.js';
import { SpoolSpace } from './spool-space.js';
import { TableFolder } from './table-folder.js';
import type { SessionPeers } from './upload-session.js';
import { openUploadSessions, type UploadSessions } from './upload-sessions.js';

/** The default time for which an upload in several requests may be left alone; milliseconds. */
const MAX_SESSION_AGE = 24 * 3_600_000;

export interface SharedStorageOptions {
  readonly blobs: BlobStore;
  readonly entries: EntryIndex;
  /** Absent: nothing is ever deleted from `blobs`. */
  readonly catalogue?: BlobCatalogue | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * The folder for bytes in transit, best on the file system of the blobs. Processes may share it: each has a folder of
   * its own.
   */
  readonly spoolPath: string;
  /** The bound on all spools together, and on all unfinished uploads together, in bytes. */
  readonly maxSpoolBytes: number;
  /** Gives the bytes that the volume of `spoolPath` can still take, at once. Absent: it is not known. */
  readonly freeBytes?: (() => number) | undefined;
  /** The time for which an upload in several requests may be left alone, in milliseconds. Default: a day. */
  readonly maxSessionAge?: number | undefined;
  /** Other processes, which have unfinished uploads of their own. Absent: there are none. */
  readonly sessionPeers?: SessionPeers | undefined;
  /** The bound on bodies in memory, in bytes. */
  readonly maxMemoryBytes: number;
  /** The bound on entries in memory. */
  readonly maxEntries: number;
  /** Whether large blobs, too, are verified before they are served for the first time. Default: no. */
  readonly verifyFirstRead?: boolean | undefined;
  /** Where clients are sent to the store itself for large blobs. Absent: nowhere. */
  readonly redirect?: BlobCacheOptions['redirect'];
}

/** The bounded memory and disk that all repositories share. */
export interface SharedStorage {
  readonly spools: SpoolSpace;
  readonly sessions: UploadSessions;
  readonly entries: EntryCache;
  readonly blobs: BlobCache;
  readonly renditions: Renditions;
  readonly joined: JoinedDocuments;
  readonly tables: TableFolder;
  /** Bytes of bodies that are in memory now. */
  memoryBytes(): number;
  dispose(): Promise<void>;
}

/** Opens the storage that repositories share. */
export async function createSharedStorage(options: SharedStorageOptions): Promise<SharedStorage> {
  const folder = await claimFolder(options.spoolPath);
  const spools = new SpoolSpace(folder, options.maxSpoolBytes, options.freeBytes);
  const sessions = await openUploadSessions({
    path: join(options.spoolPath, 'sessions'),
    maxBytes: options.maxSpoolBytes,
    maxAge: options.maxSessionAge ?? MAX_SESSION_AGE,
    clock: options.clock,
    peers: options.sessionPeers,
  });
  const renditions = new Renditions(folder, options.maxMemoryBytes / 4, options.maxSpoolBytes / 4);
  const memory = new Lru<Buffer>(options.maxMemoryBytes / 2, (bytes) => bytes.length);
  const holds = new BlobHolds(options.catalogue ?? NO_CATALOGUE, options.blobs, options.clock);
  const blobs = new BlobCache(options.blobs, holds, memory, options.logger, options);
  const joined = new JoinedDocuments(blobs, options.maxMemoryBytes / 6);
  const tables = new TableFolder(
    join(options.spoolPath, 'tables'),
    options.maxSpoolBytes / 4,
    options.clock,
    options.logger,
  );
  const entries = new EntryCache(options.entries, holds, options.maxEntries, options.clock, options.logger);
  return {
    spools,
    sessions,
    entries,
    blobs,
    renditions,
    joined,
    tables,
    memoryBytes: () => memory.weight + renditions.memoryBytes + joined.memoryBytes,
    async dispose() {
      await entries.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Folders that this process has claimed so far. */
let claimed = 0;

/**
 * Makes a folder for this process below `path`, and removes those of processes of this machine that are no more: what a
 * crash left behind. In a container every process has the same number; then what the first claim finds is its own.
 */
async function claimFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  for (const name of await readdir(path)) {
    const [, host, pid] = /^(.*)-(\d+)-\d+$/.exec(name) ?? [];
    if (host !== hostname()) continue;
    const left = Number(pid) === process.pid ? claimed === 0 : !isRunning(Number(pid));
    if (left) await rm(join(path, name), { recursive: true, force: true });
  }
  const folder = join(path, `${hostname()}-${process.pid}-${claimed}`);
  claimed += 1;
  await mkdir(folder, 0o700);
  return folder;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is one, too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
