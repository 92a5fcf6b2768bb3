import { dirname } from 'node:path';
import { systemClock, type BlobStore, type Clock, type Logger } from '@entrepot/core';
import { SMALL_BLOB } from '@entrepot/core/engine';
import { projectOf } from '../config/projects.js';
import type { Config } from '../config/schema.js';
import { DiskCache } from '../drivers/blob/disk-cache.js';
import { FilesystemBlobStore } from '../drivers/blob/filesystem.js';
import { S3BlobStore } from '../drivers/blob/s3/s3-blob-store.js';
import { bucketName } from '../drivers/blob/s3/settings.js';
import { NO_NOTICES, type Notices, type NoticesOptions } from '../drivers/sql/notices.js';
import { openPostgres } from '../drivers/sql/postgres.js';
import { PostgresNotices } from '../drivers/sql/postgres-notices.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { openSqlite } from '../drivers/sql/sqlite.js';
import { Space, type SpaceOptions } from '../space/space.js';
import { openPluginStore } from './open-plugin-store.js';

/** Opens the store of blobs that the configuration names. */
export async function openBlobs(storage: Config['storage'], logger: Logger): Promise<BlobStore> {
  if (storage.backend === 'filesystem') return await FilesystemBlobStore.open(storage);
  const store =
    storage.backend === 's3'
      ? await S3BlobStore.open({ settings: storage, logger })
      : await openPluginStore(storage, logger);
  if (storage.cache === undefined) return store;
  return await DiskCache.open(store, { ...storage.cache, logger }).catch(async (error: unknown) => {
    await store.dispose();
    throw error;
  });
}

/** Where the blobs are, for people: a folder, a bucket, or the store of a plugin. */
export function placeOf(storage: Config['storage']): string {
  if (storage.backend === 'plugin') return `the store of ${storage.plugin}`;
  return storage.backend === 'filesystem' ? storage.path : bucketName(storage);
}

/** Opens the database that the configuration names, and brings its tables up to date. */
export function openDatabaseOf(
  { metadata, storage }: Pick<Config, 'metadata' | 'storage'>,
  logger: Logger,
): Promise<SqlDatabase> {
  return metadata.backend === 'sqlite'
    ? openSqlite({ path: metadata.path, durability: storage.backend === 'filesystem' ? storage.durability : 'strict' })
    : openPostgres({ ...metadata, logger });
}

/** Opens the notices between the processes on a database. */
export async function openNotices(metadata: Config['metadata'], options: NoticesOptions): Promise<Notices> {
  return metadata.backend === 'sqlite' ? NO_NOTICES : await PostgresNotices.open(metadata, options);
}

/** The room that a configuration gives. @param repositories all that are served, or that the configuration names */
export function spaceOf(
  { storage }: Pick<Config, 'storage'>,
  repositories: SpaceOptions['repositories'],
  services: Pick<SpaceOptions, 'database' | 'blobs' | 'clock' | 'logger' | 'heal' | 'observer' | 'onCollected'>,
): Space {
  const { maxBytes, gc, verify } = storage;
  const reserve = storage.backend === 'filesystem' ? storage.reserve : 0;
  const linkedAbove = isSpoolBeside(storage) ? SMALL_BLOB : Infinity;
  return new Space({ ...services, maxBytes, reserve, linkedAbove, gc, verify, repositories });
}

/** Whether bytes are spooled on the volume of the blobs, as far as paths tell. */
export function isSpoolBeside(storage: Config['storage']): boolean {
  if (storage.backend !== 'filesystem') return false;
  return [storage.path, dirname(storage.path)].includes(dirname(storage.spool.path));
}

/** The stores of a configuration, for a command that works on them beside running servers. */
export interface Stores {
  readonly database: SqlDatabase;
  readonly blobs: BlobStore;
  readonly space: Space;
  readonly clock: Clock;
  close(): Promise<void>;
}

/** Opens the stores of a configuration. Whether they belong together is not asked: commands mend that. */
export async function openStores(config: Config, logger: Logger): Promise<Stores> {
  const blobs = await openBlobs(config.storage, logger);
  const database = await openDatabaseOf(config, logger);
  const clock = systemClock;
  const repositories = new Map(
    Object.entries(config.repositories ?? {}).map(([name, { kind, quota }]) => [
      name,
      { kind, quota, project: projectOf(config, name) },
    ]),
  );
  const space = spaceOf(config, repositories, { database, blobs, clock, logger });
  return {
    database,
    blobs,
    space,
    clock,
    async close() {
      await space.dispose();
      await database.destroy();
      await blobs.dispose();
    },
  };
}
