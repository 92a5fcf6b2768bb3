import { CLOCK, TRANSPORT, type Token } from '@entrepot/core';
import { RateLimits } from '../access/rate-limits.js';
import { RepositoryTokens } from '../access/repository-tokens.js';
import { auditing } from '../audit/observe.js';
import { isAdministrationNamed, openAdministration } from '../admin/administration.js';
import { adminTokenFileOf, readOrMakeSecret, secretFileOf } from '../access/secret-file.js';
import { type AdminConfig, type Config, DEFAULT_TRANSPORT } from '../config/schema.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import { Governance, type GovernanceOptions } from '../policy/governance.js';
import { policiesOf } from '../policy/policy-document.js';
import { tellingObserver } from '../events/telling-observer.js';
import { Webhooks } from '../events/webhooks.js';
import type { ScannerPlan } from '../scanning/plan-scanners.js';
import type { FetchPart } from '../scanning/scan-worker.js';
import { openScanners } from './open-scanners.js';
import { Scope } from './scope.js';
import {
  ADMIN_TOKEN,
  ADMINISTRATION,
  AUDIT,
  BLOBS,
  CLUSTER,
  DATABASE,
  ENTRIES,
  EVENTS,
  GOVERNANCE,
  HOT_CACHE,
  KEYS,
  METRICS,
  NOTICES,
  OBSERVER,
  POLICY,
  RATE_LIMITS,
  ROOT_LOGGER,
  SPACE,
  STATISTICS,
  STORAGE,
  TOKENS,
  TRACING,
} from './tokens.js';

/** Dependencies of `Governance` besides the configuration. */
export interface Governed {
  readonly scanners: readonly ScannerPlan[];
  readonly fetchPart: FetchPart;
  readonly role: 'server' | 'worker';
}

async function openGovernance(
  root: Scope,
  { policy, webhooks, repositories = {} }: Pick<Config, 'policy' | 'webhooks' | 'repositories'>,
  { scanners, ...governed }: Governed,
  services: Pick<GovernanceOptions, 'database' | 'notices' | 'blobs' | 'clock' | 'logger' | 'events' | 'onChanges'>,
): Promise<Governance> {
  const opened = await openScanners(root, scanners);
  const transport = openTransport(DEFAULT_TRANSPORT);
  const { events: hub, logger, clock } = services;
  const called = new Webhooks({ hub, logger, clock, transport, webhooks: [...(policy?.webhooks ?? []), ...webhooks] });
  const places = policiesOf(repositories);
  const governance = new Governance({
    ...services,
    ...governed,
    policy,
    repositories: places,
    scanners: opened,
    webhooks: called,
  });
  await governance.start();
  return governance;
}

/** The services of the ground, as every configuration has them. */
const GROUND: readonly Token<unknown, 'root'>[] = [
  ROOT_LOGGER,
  CLOCK,
  METRICS,
  BLOBS,
  DATABASE,
  NOTICES,
  ENTRIES,
  EVENTS,
  SPACE,
  STATISTICS,
  KEYS,
  AUDIT,
  HOT_CACHE,
  CLUSTER,
  STORAGE,
];

/**
 * The services of one configuration, above those of `ground`. Nothing is opened before `start`, for which the ground has to be open.
 * @param ground outlives it
 */
export function createRootScope(
  { server, storage, metadata, admin, policy, webhooks, tracing, repositories = {} }: Config,
  governed: Governed,
  ground: Scope,
): Scope {
  const root = new Scope('host');
  for (const token of GROUND) borrow(root, token, ground);
  const stores = { blobs: BLOBS, clock: CLOCK, logger: ROOT_LOGGER };
  const { endpoint } = tracing;
  root.open(
    TRACING,
    { clock: CLOCK, logger: ROOT_LOGGER },
    async (services) => {
      if (endpoint === undefined) return undefined;
      const { openTracing } = await import('../drivers/tracing/open-tracing.js');
      return openTracing(endpoint, tracing, services);
    },
    (opened) => opened?.dispose(),
  );
  root.open(
    GOVERNANCE,
    { ...stores, database: DATABASE, notices: NOTICES, events: EVENTS, space: SPACE, keys: KEYS },
    async ({ space, keys, ...services }) =>
      openGovernance(root, { policy, webhooks, repositories }, governed, {
        ...services,
        onChanges: async (changes) => {
          if (governed.role === 'server') await keys.noteChanges(changes);
          await space.purging.noteChanges(changes);
        },
      }),
  );
  root.single(POLICY, { governance: GOVERNANCE }, ({ governance }) => governance.policy);
  root.single(RATE_LIMITS, { clock: CLOCK }, ({ clock }) => new RateLimits(server.rateLimit, repositories, clock));
  const observers = { metrics: METRICS, governance: GOVERNANCE, statistics: STATISTICS, events: EVENTS, audit: AUDIT };
  root.single(OBSERVER, observers, ({ metrics, governance, statistics, events, audit }) =>
    tellingObserver(events, statistics.observer(auditing(governance.journal.observer(metrics), audit))),
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

/** Has `scope` give a service of `owner`, which ends it. */
function borrow(scope: Scope, token: Token<unknown, 'root'>, owner: Scope): void {
  scope.single(
    token,
    {},
    () => owner.get(token),
    () => {},
  );
}

/**
 * Services that authenticate administrators. `start` rejects with a `ConfigurationError` for a key file that cannot be
 * used.
 */
export function createAdministrationScope(root: Scope, config: AdminConfig): Scope {
  const scope = root.child('administration');
  scope.single(TRANSPORT, {}, () => openTransport(DEFAULT_TRANSPORT));
  scope.open(ADMINISTRATION, { clock: CLOCK, transport: TRANSPORT }, (services) =>
    openAdministration(config, { ...services, madeToken: () => root.get(ADMIN_TOKEN), keys: () => root.get(KEYS) }),
  );
  return scope;
}
