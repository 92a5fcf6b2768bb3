import type { Clock, HotCache, Logger } from '@entrepot/core';
import type { Config } from '../config/schema.js';
import { KeyvHotCache, memoryKeyv } from '../drivers/cache/keyv.js';
import { RedisCache } from '../drivers/cache/redis.js';
import { SharedHotCache } from '../drivers/cache/shared.js';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { SqlMetaStore } from '../drivers/sql/meta-store.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { storeIdOf } from '../space/belonging.js';
import type { Space } from '../space/space.js';

export interface HotCacheServices {
  readonly database: SqlDatabase;
  readonly space: Space;
  readonly metrics: PrometheusMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Opens the cache that the configuration names. A server of Redis that is not there is no error.
 * @throws EntrepotError `configuration` for settings that cannot be used
 */
export async function openHotCache(cache: Config['cache'], services: HotCacheServices): Promise<HotCache> {
  const { clock, database, logger, metrics, space } = services;
  const near = new KeyvHotCache(memoryKeyv(), logger);
  if (cache.backend === 'memory') return near;
  // Another database knows of other upstreams, policies and purges.
  const storeId = await storeIdOf(new SqlMetaStore(database));
  const onOutcome = (outcome: string): void => metrics.sharedCacheAsked(outcome);
  const far = await RedisCache.open(cache, { clock, logger, onOutcome });
  metrics.watch('sharedCacheAway', () => (far.isAway ? 1 : 0));
  const place = (): string | undefined => {
    const { purges } = space.purging;
    return purges === undefined ? undefined : `${storeId}:${purges}`;
  };
  return new SharedHotCache({ near, far, place, now: () => clock.now() });
}
