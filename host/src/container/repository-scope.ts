import { createHash } from 'node:crypto';
import { CLOCK, LOGGER, TRANSPORT } from '@entrepot/core';
import {
  createRepository,
  Protocol,
  sideOf,
  type RepositoryDefinition,
  type RepositoryLimits,
} from '@entrepot/core/engine';
import { openAccess } from '../access/open-access.js';
import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import { withFields } from '../log/logger.js';
import { createProtocol } from '../plugins/create.js';
import { runningCoreVersion } from '../plugins/load.js';
import { pluginProblem } from '../plugins/problem.js';
import { factsOf, type RepositoryPlan } from '../repositories/repository-plan.js';
import { answererOf } from '../scanning/answerer.js';
import type { Scope } from './scope.js';
import {
  ACCESS,
  BLOBS,
  CLUSTER,
  ENGINE,
  ENTRIES,
  HOT_CACHE,
  GOVERNANCE,
  KEYS,
  OBSERVER,
  POLICY,
  PROTOCOL,
  RATE_LIMITS,
  ROOT_LOGGER,
  STORAGE,
  TOKENS,
} from './tokens.js';

/**
 * The services of one repository, above those of the process. `start` makes the protocol, and rejects with a
 * `ConfigurationError` when the plugin cannot; the engine is made when it is asked for, which needs a started root.
 * @param grace the time in which running fetches may end when the scope is disposed, in milliseconds, asked for then
 */
export function createRepositoryScope(root: Scope, plan: RepositoryPlan, grace: () => number): Scope {
  const scope = root.child(plan.name);
  let served = false;
  scope.value(LOGGER, withFields(root.get(ROOT_LOGGER), { repository: plan.name }));
  scope.open(
    PROTOCOL,
    {},
    () => openProtocol(plan, scope),
    // The engine ends the protocol that it was given.
    (protocol) => (served ? undefined : protocol.dispose()),
  );
  scope.single(TRANSPORT, {}, () => openTransport(plan.config.transport));
  scope.open(ACCESS, { clock: CLOCK, logger: LOGGER, transport: TRANSPORT }, (services) =>
    openAccess(plan, { ...services, tokens: () => scope.get(TOKENS), keys: () => scope.get(KEYS) }),
  );
  scope.single(
    ENGINE,
    {
      protocol: PROTOCOL,
      access: ACCESS,
      transport: TRANSPORT,
      logger: LOGGER,
      blobs: BLOBS,
      entries: ENTRIES,
      hotCache: HOT_CACHE,
      cluster: CLUSTER,
      policy: POLICY,
      clock: CLOCK,
      storage: STORAGE,
      observer: OBSERVER,
      governance: GOVERNANCE,
      rateLimits: RATE_LIMITS,
    },
    ({ protocol, access, governance, cluster, rateLimits, ...services }) => {
      const scanDesk = governance.scanners.length > 0 ? governance.desk : undefined;
      const engine = createRepository(
        { ...definitionOf(plan), protocol, access, callerLimits: rateLimits.of(plan.name) },
        {
          ...services,
          cluster: cluster?.flights,
          scanDesk,
          answer: answererOf(governance.scanners),
          firstSeen: (_repository, coordinates, since) => governance.firstSeen.meet(coordinates, since),
        },
      );
      served = true;
      return engine;
    },
    (engine) => engine.dispose(grace()),
  );
  return scope;
}

async function openProtocol(plan: RepositoryPlan, scope: Scope): Promise<Protocol> {
  const { name, kind, options, loaded } = plan;
  const { plugin } = loaded;
  const side = sideOf(plugin, kind);
  if (side === undefined) throw new Error(`${plugin.id} has no ${kind} repositories`);
  const repository = factsOf(plan);
  const result = await createProtocol({ plugin, side, scope, options, repository, logger: scope.get(LOGGER) });
  if (result.made !== undefined) return new Protocol(plugin, side, result.made);
  if (result.refusal !== undefined) throw new ConfigurationError([refusalProblem(name, result.refusal)]);
  throw new ConfigurationError(
    result.mismatches.map((mismatch) =>
      pluginProblem(`repositories.${name}`, loaded.package, loaded.location, mismatch),
    ),
  );
}

/**
 * Turns a plugin's refusal of its options into a problem. A refusal may begin with the key of the repository that it is
 * about.
 */
function refusalProblem(name: string, refusal: string): ConfigurationProblem {
  const path = `repositories.${name}`;
  const [key, ...rest] = refusal.split(': ');
  if (key?.startsWith(`${path}.`) && rest.length > 0) return { path: key, message: rest.join(': ') };
  return { path, message: refusal };
}

function definitionOf(plan: RepositoryPlan): Omit<RepositoryDefinition, 'protocol' | 'access'> {
  const { name, kind, loaded, upstreams, freshness, config } = plan;
  const { transport, coldRange, requireIntegrity, trustedRealms } = config;
  return {
    name,
    kind,
    plugin: loaded.plugin,
    upstreams: upstreams.map(({ url, scope, fallback, authorization }) => ({ url, scope, fallback, authorization })),
    freshness,
    coldRange,
    requireIntegrity,
    allowPrivateHosts: transport.allowPrivateHosts,
    userAgent: transport.userAgent,
    limits: limitsOf(config),
    trustedRealms,
    sameAs: sameAsOf(plan),
  };
}

function limitsOf({ limits, transport }: RepositoryPlan['config']): RepositoryLimits {
  const { fetches = transport.connections } = limits;
  // Connections are left for others, whoever asks for however much.
  const { fetchesPerClient = Math.max(1, Math.floor(fetches * 0.75)) } = limits;
  return { ...limits, totalTimeout: transport.totalTimeout, fetches, fetchesPerClient };
}

/** Names the code and the settings that answers of a repository depend on, by a digest; without the credentials for its upstreams. */
function sameAsOf({ name, kind, loaded, upstreams, freshness, config }: RepositoryPlan): string {
  const places = upstreams.map(({ url, scope, fallback, authorization }) => [
    url,
    scope,
    fallback,
    authorization !== undefined,
  ]);
  const { limits, requireIntegrity, options } = config;
  const code = [runningCoreVersion(), loaded.package, loaded.version, loaded.plugin.id];
  const text = JSON.stringify([name, kind, code, places, freshness, options, limits, requireIntegrity]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
