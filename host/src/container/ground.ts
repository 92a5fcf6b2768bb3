import { CLOCK, systemClock, type Logger } from '@entrepot/core';
import { createSharedStorage } from '@entrepot/core/engine';
import { ApiKeys } from '../access/api-keys.js';
import { AuditLog } from '../audit/audit-log.js';
import { Cluster, clusterPlace } from '../cluster/cluster.js';
import type { Config } from '../config/schema.js';
import { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { SqlAuditStore } from '../drivers/sql/audit-store.js';
import { SqlEntryIndex } from '../drivers/sql/entry-index.js';
import { SqlKeyStore } from '../drivers/sql/key-store.js';
import { SqlMetaStore } from '../drivers/sql/meta-store.js';
import { SqlStatisticsStore } from '../drivers/sql/statistics-store.js';
import type { SpaceObserver } from '../space/space.js';
import type { Collected } from '../space/collector.js';
import { joinStores } from '../space/belonging.js';
import { EventHub } from '../events/event-hub.js';
import type { Heal } from '../space/healer.js';
import { Statistics } from '../statistics/statistics.js';
import { openHotCache } from './open-hot-cache.js';
import { isSpoolBeside, openBlobs, openDatabaseOf, openNotices, spaceOf } from './open-stores.js';
import { Scope } from './scope.js';
import {
  AUDIT,
  BLOBS,
  CLUSTER,
  DATABASE,
  ENTRIES,
  EVENTS,
  HOT_CACHE,
  KEYS,
  METRICS,
  NOTICES,
  ROOT_LOGGER,
  SPACE,
  STATISTICS,
  STORAGE,
} from './tokens.js';

/**
 * The services that a process has once and keeps when its configuration is read again: stores, what memory knows of them, uploads,
 * the place in a cluster, metrics. Two of them over the same stores would not see each other's changes, and the second one could not
 * listen where the first one does. Nothing is opened before `start`; then `Space.serve` says which repositories there are.
 * @param place in a cluster, where it is not that of the configuration
 */
export function createGroundScope(
  { storage, metadata, cache, cluster }: Config,
  role: 'server' | 'worker',
  logger: Logger,
  place = cluster && clusterPlace(cluster),
): Scope {
  const ground = new Scope('ground');
  ground.value(ROOT_LOGGER, logger);
  ground.value(CLOCK, systemClock);
  ground.single(METRICS, {}, () => new PrometheusMetrics());
  ground.single(EVENTS, { clock: CLOCK }, ({ clock }) => new EventHub(clock));
  ground.open(BLOBS, { logger: ROOT_LOGGER }, ({ logger }) => openBlobs(storage, logger));
  ground.open(
    DATABASE,
    { logger: ROOT_LOGGER },
    ({ logger }) => openDatabaseOf({ metadata, storage }, logger),
    // The index of entries ends it.
    () => {},
  );
  ground.open(NOTICES, { database: DATABASE, logger: ROOT_LOGGER }, (services) => openNotices(metadata, services));
  ground.open(
    ENTRIES,
    { database: DATABASE, notices: NOTICES },
    async ({ database, notices }) => new SqlEntryIndex(database, notices),
  );
  ground.open(
    STATISTICS,
    { database: DATABASE, clock: CLOCK, logger: ROOT_LOGGER },
    async ({ database, ...services }) => new Statistics({ ...services, store: new SqlStatisticsStore(database) }),
  );
  ground.open(KEYS, { database: DATABASE, clock: CLOCK, logger: ROOT_LOGGER }, async ({ database, ...services }) => {
    const keys = new ApiKeys({ ...services, store: new SqlKeyStore(database) });
    if (role === 'server') keys.start();
    return keys;
  });
  ground.open(AUDIT, { database: DATABASE, clock: CLOCK, logger: ROOT_LOGGER }, async ({ database, ...services }) => {
    const audit = new AuditLog({ ...services, store: new SqlAuditStore(database) });
    if (role === 'server') audit.start();
    return audit;
  });
  const stores = { blobs: BLOBS, clock: CLOCK, logger: ROOT_LOGGER };
  ground.open(
    SPACE,
    { ...stores, database: DATABASE, metrics: METRICS, events: EVENTS, audit: AUDIT },
    async ({ audit, metrics, events, ...services }) => {
      const observer = spaceObserver(metrics, events);
      await joinStores(new SqlMetaStore(services.database), services.blobs);
      const heal: Heal = async (entry, signal) => await space.engine(entry.repository)?.heal?.(entry, signal);
      const onCollected = (detail: Collected): void => {
        if (detail.deleted.blobs > 0) audit.changed({ event: 'gc-collected', detail: { ...detail } });
      };
      const space = spaceOf({ storage }, new Map(), { ...services, heal, observer, onCollected });
      return space;
    },
  );
  const cached = { database: DATABASE, space: SPACE, metrics: METRICS, clock: CLOCK, logger: ROOT_LOGGER };
  ground.open(HOT_CACHE, cached, (services) => openHotCache(cache, services));
  ground.open(
    CLUSTER,
    { database: DATABASE, notices: NOTICES, entries: ENTRIES, metrics: METRICS, logger: ROOT_LOGGER },
    async (services) => (place === undefined || role !== 'server' ? undefined : await Cluster.open(place, services)),
  );
  ground.open(STORAGE, { ...stores, entries: ENTRIES, space: SPACE, cluster: CLUSTER }, async (opened) => {
    const { space, cluster: peers, ...services } = opened;
    const shared = await createSharedStorage({
      ...services,
      catalogue: space.room,
      spoolPath: storage.spool.path,
      maxSpoolBytes: storage.spool.maxBytes,
      // Elsewhere is another volume, perhaps.
      freeBytes: isSpoolBeside(storage) ? () => space.freeBytes : undefined,
      maxSessionAge: storage.spool.keepUploads,
      sessionPeers: peers?.sessionPeers,
      maxMemoryBytes: cache.maxBytes,
      maxEntries: cache.maxEntries,
      verifyFirstRead: storage.verify.onFirstRead,
      redirect: storage.backend === 'filesystem' ? undefined : storage.redirect,
    });
    peers?.offer({ sessions: shared.sessions.own, newPath: () => shared.spools.newPath() });
    space.attach(shared);
    if (role === 'server') space.start();
    return shared;
  });
  return ground;
}

/** Counts what becomes of blobs, and tells of it. */
function spaceObserver(metrics: PrometheusMetrics, events: EventHub): SpaceObserver {
  return {
    blobVerified: (condition) => metrics.blobVerified(condition),
    blobsDeleted: (reason, deleted) => metrics.blobsDeleted(reason, deleted),
    unfinishedRemoved: (count) => metrics.unfinishedRemoved(count),
    blobHealed({ digest, size }) {
      metrics.blobHealed();
      events.publish('healed', undefined, { digest, size });
    },
    roomLacks(scope, repository, facts) {
      events.publish('quota', repository, { scope, ...facts });
    },
  };
}
