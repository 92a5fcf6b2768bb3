import { join } from 'node:path';
import type { BlobStore } from '../api/blob-store.js';
import type { Clock } from '../api/clock.js';
import type { EntryIndex } from '../api/entry-index.js';
import type { Logger } from '../api/logger.js';
import { BlobCache } from './blob-cache.js';
import { ByteLru } from './byte-lru.js';
import { EntryCache } from './entry-cache.js';
import { Renditions } from './renditions.js';
import { SpoolSpace } from './spool.js';

/** What `createSharedStorage` is made from. */
export interface SharedStorageOptions {
  readonly blobs: BlobStore;
  readonly entries: EntryIndex;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A directory of this process alone, best on the file system of the blobs. What is in it is removed at the start. */
  readonly spoolPath: string;
  /** The bound on all spools together, in bytes. */
  readonly maxSpoolBytes: number;
  /** The bound on bodies in memory, in bytes. */
  readonly maxMemoryBytes: number;
  /** The bound on entries in memory. */
  readonly maxEntries: number;
}

/** The bounded memory and disk that all repositories share. */
export interface SharedStorage {
  readonly spools: SpoolSpace;
  readonly entries: EntryCache;
  readonly blobs: BlobCache;
  readonly renditions: Renditions;
  /** Bytes of bodies that are in memory now. */
  memoryBytes(): number;
  dispose(): Promise<void>;
}

/** Opens the storage that repositories share. */
export async function createSharedStorage(options: SharedStorageOptions): Promise<SharedStorage> {
  const spools = await SpoolSpace.open(join(options.spoolPath, 'flights'), options.maxSpoolBytes);
  const renditions = await Renditions.open(
    join(options.spoolPath, 'renditions'),
    options.maxMemoryBytes / 2,
    options.maxSpoolBytes / 4,
  );
  const memory = new ByteLru<Buffer>(options.maxMemoryBytes / 2, (bytes) => bytes.length);
  const entries = new EntryCache(options.entries, options.maxEntries, options.clock, options.logger);
  return {
    spools,
    entries,
    blobs: new BlobCache(options.blobs, memory),
    renditions,
    memoryBytes: () => memory.weight + renditions.memoryBytes,
    async dispose() {
      await entries.dispose();
      renditions.dispose();
    },
  };
}
