import { createToken, type Access, type BlobStore, type EntryIndex, type HotCache, type Logger } from '@entrepot/core';
import { type Protocol, type EngineObserver, type RepositoryEngine, type SharedStorage } from '@entrepot/core/engine';
import type { Administration } from '../admin/administration.js';
import type { ApiKeys } from '../access/api-keys.js';
import type { RateLimits } from '../access/rate-limits.js';
import type { RepositoryTokens } from '../access/repository-tokens.js';
import type { AuditLog } from '../audit/audit-log.js';
import type { Cluster } from '../cluster/cluster.js';
import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import type { Notices } from '../drivers/sql/notices.js';
import type { Tracing } from '../drivers/tracing/tracing.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import type { EventHub } from '../events/event-hub.js';
import type { Governance } from '../policy/governance.js';
import type { PolicyInForce } from '../policy/policy-in-force.js';
import type { Space } from '../space/space.js';
import type { Statistics } from '../statistics/statistics.js';

// The services of the host that plugins do not get. Those that they may name are in @entrepot/core.

/** The logger of the process; that of a repository is LOGGER. */
export const ROOT_LOGGER = createToken<Logger, 'root'>('host-logger', 'root');
export const METRICS = createToken<PrometheusMetrics, 'root'>('host-metrics', 'root');
export const DATABASE = createToken<SqlDatabase, 'root'>('host-database', 'root');
/** Wakes the processes on one database. */
export const NOTICES = createToken<Notices, 'root'>('host-notices', 'root');
export const GOVERNANCE = createToken<Governance, 'root'>('host-governance', 'root');
/** Receives the events of the engines, for metrics and the journal of policy. */
export const OBSERVER = createToken<EngineObserver, 'root'>('host-observer', 'root');
export const POLICY = createToken<PolicyInForce, 'root'>('host-policy', 'root');
/** The events of this process. */
export const EVENTS = createToken<EventHub, 'root'>('host-events', 'root');
export const STATISTICS = createToken<Statistics, 'root'>('host-statistics', 'root');
export const BLOBS = createToken<BlobStore, 'root'>('host-blobs', 'root');
export const ENTRIES = createToken<EntryIndex, 'root'>('host-entries', 'root');
export const SPACE = createToken<Space, 'root'>('host-space', 'root');
/** `undefined`: each server fetches for itself. */
export const CLUSTER = createToken<Cluster | undefined, 'root'>('host-cluster', 'root');
export const HOT_CACHE = createToken<HotCache, 'root'>('host-hot-cache', 'root');
export const STORAGE = createToken<SharedStorage, 'root'>('host-storage', 'root');
/** The log of changes and denials. */
export const AUDIT = createToken<AuditLog, 'root'>('host-audit', 'root');
/** The keys of callers. */
export const KEYS = createToken<ApiKeys, 'root'>('host-keys', 'root');
/** There only where a repository has `access` configured. */
export const TOKENS = createToken<RepositoryTokens, 'root'>('host-tokens', 'root');

/** `undefined`: nothing is traced. */
export const TRACING = createToken<Tracing | undefined, 'root'>('host-tracing', 'root');
/** Of one configuration. */
export const RATE_LIMITS = createToken<RateLimits, 'root'>('host-rate-limits', 'root');

/** The generated token of administration. A secret. */
export const ADMIN_TOKEN = createToken<string, 'root'>('host-admin-token', 'root');
/** In a scope of its own. */
export const ADMINISTRATION = createToken<Administration, 'repository'>('host-administration', 'repository');

export const ACCESS = createToken<Access, 'repository'>('host-access', 'repository');
export const PROTOCOL = createToken<Protocol, 'repository'>('host-protocol', 'repository');
export const ENGINE = createToken<RepositoryEngine, 'repository'>('host-engine', 'repository');
