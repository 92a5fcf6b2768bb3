import path from 'node:path';
import { allowAll, CLOCK, systemClock, type Logger } from '@entrepot/core';
import { createSharedStorage } from '@entrepot/core/engine';
import { readOrMakeTokenKey, RepositoryTokens } from '../access/repository-tokens.js';
import type { Config } from '../config/index.js';
import { FilesystemBlobStore } from '../drivers/blob/filesystem.js';
import { KeyvHotCache, memoryKeyv } from '../drivers/cache/keyv.js';
import { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { SqlEntryIndex } from '../drivers/sql/entry-index.js';
import { openSqlite } from '../drivers/sql/sqlite.js';
import { Scope } from './scope.js';
import { BLOBS, ENTRIES, HOT_CACHE, METRICS, POLICY, ROOT_LOGGER, STORAGE, TOKENS } from './tokens.js';

/** The services of which there is one for the process. Nothing is opened before `start`. */
export function createRootScope(
  { server, storage, metadata, cache, repositories = {} }: Config,
  logger: Logger,
): Scope {
  const root = new Scope('host');
  root.value(ROOT_LOGGER, logger);
  root.value(CLOCK, systemClock);
  root.value(POLICY, allowAll);
  root.single(METRICS, {}, () => new PrometheusMetrics());
  root.single(HOT_CACHE, { logger: ROOT_LOGGER }, ({ logger }) => new KeyvHotCache(memoryKeyv(), logger));
  root.open(BLOBS, {}, () => FilesystemBlobStore.open({ path: storage.path, durability: storage.durability }));
  root.open(
    ENTRIES,
    {},
    async () => new SqlEntryIndex(await openSqlite({ path: metadata.path, durability: storage.durability })),
  );
  root.open(STORAGE, { blobs: BLOBS, entries: ENTRIES, clock: CLOCK, logger: ROOT_LOGGER }, (services) =>
    createSharedStorage({
      ...services,
      spoolPath: storage.spool.path,
      maxSpoolBytes: storage.spool.maxBytes,
      maxSessionAge: storage.spool.keepUploads,
      maxMemoryBytes: cache.maxBytes,
      maxEntries: cache.maxEntries,
    }),
  );
  if (Object.values(repositories).some(({ access }) => access !== undefined)) {
    const { tokenKey } = server;
    const file = path.join(path.dirname(metadata.path), 'token.key');
    root.open(TOKENS, { clock: CLOCK }, async ({ clock }) => {
      const key = tokenKey === undefined ? await readOrMakeTokenKey(file) : Buffer.from(tokenKey);
      return new RepositoryTokens(key, clock);
    });
  }
  return root;
}
