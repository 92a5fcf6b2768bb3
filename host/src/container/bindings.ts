import { CLOCK, systemClock, TRANSPORT, type Logger } from '@entrepot/core';
import { createSharedStorage } from '@entrepot/core/engine';
import { RepositoryTokens } from '../access/repository-tokens.js';
import { isAdministrationNamed, openAdministration } from '../admin/administration.js';
import { adminTokenFileOf, readOrMakeSecret, secretFileOf } from '../access/secret-file.js';
import { Cluster, clusterPlace } from '../cluster/cluster.js';
import { type AdminConfig, type Config, DEFAULT_TRANSPORT } from '../config/schema.js';
import { openHotCache } from './open-hot-cache.js';
import { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { SqlEntryIndex } from '../drivers/sql/entry-index.js';
import { SqlMetaStore } from '../drivers/sql/meta-store.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import { Governance, type GovernanceOptions } from '../policy/governance.js';
import { policiesOf } from '../policy/policy-document.js';
import { Webhooks } from '../policy/webhooks.js';
import type { ScannerPlan } from '../scanning/plan-scanners.js';
import type { FetchPart } from '../scanning/scan-worker.js';
import { joinStores } from '../space/belonging.js';
import type { SpaceOptions } from '../space/space.js';
import { openScanners } from './open-scanners.js';
import { isSpoolBeside, openBlobs, openDatabaseOf, openNotices, spaceOf } from './open-stores.js';
import { Scope } from './scope.js';
import {
  ADMIN_TOKEN,
  ADMINISTRATION,
  BLOBS,
  CLUSTER,
  DATABASE,
  ENTRIES,
  GOVERNANCE,
  HOT_CACHE,
  METRICS,
  NOTICES,
  OBSERVER,
  POLICY,
  ROOT_LOGGER,
  SPACE,
  STORAGE,
  TOKENS,
} from './tokens.js';

/** Dependencies of `Governance` besides the configuration. */
export interface Governed {
  readonly scanners: readonly ScannerPlan[];
  readonly fetchPart: FetchPart;
  readonly role: 'server' | 'worker';
}

async function openGovernance(
  root: Scope,
  { policy, repositories = {} }: Pick<Config, 'policy' | 'repositories'>,
  { scanners, ...governed }: Governed,
  services: Pick<GovernanceOptions, 'database' | 'notices' | 'blobs' | 'clock' | 'logger' | 'onChanges'>,
): Promise<Governance> {
  const opened = await openScanners(root, scanners);
  const transport = openTransport(DEFAULT_TRANSPORT);
  const events = new Webhooks({ ...services, webhooks: policy?.webhooks ?? [], transport });
  const places = policiesOf(repositories);
  const governance = new Governance({
    ...services,
    ...governed,
    policy,
    repositories: places,
    scanners: opened,
    events,
  });
  await governance.start();
  return governance;
}

/**
 * The services of which there is one for the process. Nothing is opened before `start`.
 * @param served the repositories that are served
 * @param place in a cluster, where it is not that of the configuration
 */
export function createRootScope(
  { server, storage, metadata, cache, cluster, admin, policy, repositories = {} }: Config,
  served: Pick<SpaceOptions, 'repositories' | 'heal'>,
  governed: Governed,
  logger: Logger,
  place = cluster && clusterPlace(cluster),
): Scope {
  const root = new Scope('host');
  root.value(ROOT_LOGGER, logger);
  root.value(CLOCK, systemClock);
  root.single(METRICS, {}, () => new PrometheusMetrics());
  root.open(BLOBS, { logger: ROOT_LOGGER }, ({ logger }) => openBlobs(storage, logger));
  root.open(
    DATABASE,
    { logger: ROOT_LOGGER },
    ({ logger }) => openDatabaseOf({ metadata, storage }, logger),
    // The index of entries ends it.
    () => {},
  );
  root.open(NOTICES, { database: DATABASE, logger: ROOT_LOGGER }, (services) => openNotices(metadata, services));
  root.open(
    ENTRIES,
    { database: DATABASE, notices: NOTICES },
    async ({ database, notices }) => new SqlEntryIndex(database, notices),
  );
  const stores = { blobs: BLOBS, clock: CLOCK, logger: ROOT_LOGGER };
  root.open(SPACE, { ...stores, database: DATABASE, observer: METRICS }, async (services) => {
    await joinStores(new SqlMetaStore(services.database), services.blobs);
    return spaceOf({ storage }, served.repositories, { ...services, heal: served.heal });
  });
  const cached = { database: DATABASE, space: SPACE, metrics: METRICS, clock: CLOCK, logger: ROOT_LOGGER };
  root.open(HOT_CACHE, cached, (services) => openHotCache(cache, services));
  root.open(
    CLUSTER,
    { database: DATABASE, notices: NOTICES, entries: ENTRIES, metrics: METRICS, logger: ROOT_LOGGER },
    async (services) =>
      place === undefined || governed.role !== 'server' ? undefined : await Cluster.open(place, services),
  );
  root.open(STORAGE, { ...stores, entries: ENTRIES, space: SPACE, cluster: CLUSTER }, async (opened) => {
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
    if (governed.role === 'server') space.start();
    return shared;
  });
  root.open(
    GOVERNANCE,
    { ...stores, database: DATABASE, notices: NOTICES, space: SPACE },
    async ({ space, ...services }) =>
      openGovernance(root, { policy, repositories }, governed, {
        ...services,
        onChanges: (changes) => space.purging.noteChanges(changes),
      }),
  );
  root.single(POLICY, { governance: GOVERNANCE }, ({ governance }) => governance.policy);
  root.single(OBSERVER, { metrics: METRICS, governance: GOVERNANCE }, ({ metrics, governance }) =>
    governance.journal.observer(metrics),
  );
  if (Object.values(repositories).some(({ access }) => access !== undefined)) {
    const { tokenKey } = server;
    const file = secretFileOf({ metadata, storage }, 'token.key');
    root.open(TOKENS, { clock: CLOCK }, async ({ clock }) => {
      const key = tokenKey === undefined ? Buffer.from(await readOrMakeSecret(file), 'hex') : Buffer.from(tokenKey);
      return new RepositoryTokens(key, clock);
    });
  }
  if (governed.role === 'server' && !isAdministrationNamed(admin))
    root.open(ADMIN_TOKEN, {}, () => readOrMakeSecret(adminTokenFileOf({ metadata, storage })));
  return root;
}

/**
 * Services that authenticate administrators. `start` rejects with a `ConfigurationError` for a key file that cannot be
 * used.
 */
export function createAdministrationScope(root: Scope, config: AdminConfig): Scope {
  const scope = root.child('administration');
  scope.single(TRANSPORT, {}, () => openTransport(DEFAULT_TRANSPORT));
  scope.open(ADMINISTRATION, { clock: CLOCK, transport: TRANSPORT }, (services) =>
    openAdministration(config, { ...services, madeToken: () => root.get(ADMIN_TOKEN) }),
  );
  return scope;
}
