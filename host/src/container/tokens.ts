import {
  createToken,
  type Access,
  type BlobStore,
  type EntryIndex,
  type HotCache,
  type Logger,
  type PolicyEngine,
  type Protocol,
} from '@entrepot/core';
import type { RepositoryEngine, SharedStorage } from '@entrepot/core/engine';
import type { RepositoryTokens } from '../access/repository-tokens.js';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';

// The services of the host that plugins do not get. Those that they may name are in @entrepot/core.

/** The logger of the process; that of a repository is LOGGER. */
export const ROOT_LOGGER = createToken<Logger, 'root'>('host-logger', 'root');
export const METRICS = createToken<PrometheusMetrics, 'root'>('host-metrics', 'root');
export const POLICY = createToken<PolicyEngine, 'root'>('host-policy', 'root');
export const BLOBS = createToken<BlobStore, 'root'>('host-blobs', 'root');
export const ENTRIES = createToken<EntryIndex, 'root'>('host-entries', 'root');
export const HOT_CACHE = createToken<HotCache, 'root'>('host-hot-cache', 'root');
export const STORAGE = createToken<SharedStorage, 'root'>('host-storage', 'root');
/** There only where a repository has `access` configured. */
export const TOKENS = createToken<RepositoryTokens, 'root'>('host-tokens', 'root');

export const ACCESS = createToken<Access, 'repository'>('host-access', 'repository');
export const PROTOCOL = createToken<Protocol, 'repository'>('host-protocol', 'repository');
export const ENGINE = createToken<RepositoryEngine, 'repository'>('host-engine', 'repository');
