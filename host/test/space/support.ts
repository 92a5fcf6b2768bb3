import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Digest, Entry } from '@entrepot/core';
import { silentLogger } from '@entrepot/core';
import { createSharedStorage, type SharedStorage } from '@entrepot/core/engine';
import { ManualClock } from '@entrepot/core/testing';
import { onTestFinished } from 'vitest';
import { FilesystemBlobStore } from '../../src/drivers/blob/filesystem.js';
import { SqlEntryIndex } from '../../src/drivers/sql/entry-index.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { Space, type SpaceOptions } from '../../src/space/space.js';
import type { SqlDatabase } from '../../src/drivers/sql/sql-database.js';

export const HOUR = 3_600_000;

/** A store as servers have it, with a clock that stands still. */
export interface Opened {
  readonly root: string;
  readonly clock: ManualClock;
  readonly database: SqlDatabase;
  readonly blobs: FilesystemBlobStore;
  readonly storage: SharedStorage;
  readonly space: Space;
  /** Puts bytes and an entry, as a fetch or an upload does. */
  put(repository: string, key: string, text: string | Buffer, more?: Partial<Entry>): Promise<Entry>;
  /** The digests of all files. */
  files(): Promise<readonly Digest[]>;
}

type Options = Partial<Omit<SpaceOptions, 'database' | 'blobs' | 'clock' | 'logger'>> & {
  readonly root?: string;
  readonly clock?: ManualClock;
  /** Stands for the volume. */
  readonly freeBytes?: () => Promise<number>;
};

const REPOSITORIES = new Map([
  ['proxy', { kind: 'proxy' }],
  ['hosted', { kind: 'hosted' }],
] as const);

/** Opens a store, in a new folder unless one is given. */
export async function openSpace({
  root: given,
  clock = new ManualClock(),
  freeBytes,
  ...options
}: Options = {}): Promise<Opened> {
  const root = given ?? (await mkdtemp(join(tmpdir(), 'entrepot-space-')));
  const database = await openSqlite({ path: join(root, 'entrepot.db'), durability: 'relaxed' });
  const blobs = await FilesystemBlobStore.open({ path: join(root, 'blobs'), durability: 'relaxed' });
  if (freeBytes !== undefined) blobs.freeBytes = freeBytes;
  const space = new Space({
    maxBytes: Infinity,
    reserve: 0,
    linkedAbove: Infinity,
    gc: { interval: 0, grace: HOUR, batchSize: 100 },
    verify: { rate: 0, interval: HOUR, batchSize: 100 },
    repositories: REPOSITORIES,
    ...options,
    database,
    blobs,
    clock,
    logger: silentLogger,
  });
  const entries = new SqlEntryIndex(database);
  const storage = await createSharedStorage({
    blobs,
    entries,
    catalogue: space.room,
    clock,
    logger: silentLogger,
    spoolPath: join(root, 'spool'),
    maxSpoolBytes: 1024 ** 3,
    maxMemoryBytes: 1024 ** 2,
    maxEntries: 1000,
  });
  space.attach(storage);
  onTestFinished(async () => {
    await storage.dispose();
    await space.dispose();
    await entries.dispose();
    if (given === undefined) await rm(root, { recursive: true, force: true });
  });
  return {
    root,
    clock,
    database,
    blobs,
    storage,
    space,
    async put(repository, key, text, more) {
      const bytes = Buffer.from(text);
      const entry = entryOf(repository, key, bytes, { fetchedAt: clock.now(), ...more });
      await storage.blobs.put(repository, entry, { open: () => Readable.from([bytes]), bytes });
      await storage.entries.replace(entry);
      return entry;
    },
    async files() {
      const found: Digest[] = [];
      for await (const { digest } of blobs.list()) found.push(digest);
      return found.sort();
    },
  };
}

/** An entry for bytes; in any repository but `hosted` it has an upstream. */
export function entryOf(repository: string, key: string, bytes: Buffer, more: Partial<Entry> = {}): Entry {
  return {
    repository,
    key,
    digest: digestOfBytes(bytes),
    size: bytes.length,
    mediaType: 'application/octet-stream',
    headers: {},
    fetchedAt: 0,
    checkedAt: 0,
    integrity: [],
    ...(repository === 'hosted' ? {} : { upstreamUrl: `https://registry.example.com/${key}` }),
    ...more,
  };
}

export function digestOfBytes(bytes: Buffer): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
