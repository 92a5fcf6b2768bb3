import type { Logger } from '@entrepot/core';
import type { RepositoryEngine } from '@entrepot/core/engine';
import type { ClusterPlace } from './cluster/cluster.js';
import { ConfigurationError, type ConfigurationProblem } from './config/configuration-error.js';
import type { LoadedConfig } from './config/load.js';
import { projectOf } from './config/projects.js';
import type { ReloadOutcome } from './config/reload-outcome.js';
import type { Config } from './config/schema.js';
import { createAdministrationScope, createRootScope } from './container/bindings.js';
import { planStore } from './container/open-plugin-store.js';
import { createRepositoryScope } from './container/repository-scope.js';
import type { Scope } from './container/scope.js';
import { ENGINE, ROOT_LOGGER } from './container/tokens.js';
import { lackOf } from './drivers/optional-packages.js';
import type { PrometheusMetrics } from './drivers/metrics/prometheus.js';
import { readCertificates } from './http/certificates.js';
import type { Served } from './mount-repositories.js';
import { blameForEnd } from './plugins/blame.js';
import { loadPlugins } from './plugins/load.js';
import { namedPlugins, nothingToServe } from './container/named-plugins.js';
import { policiesOf, policyProblems } from './policy/policy-document.js';
import type { FoundUpstreams } from './repositories/found-upstreams.js';
import { planRepositories, type RepositoryPlan } from './repositories/repository-plan.js';
import { planScanners } from './scanning/plan-scanners.js';
import type { FetchPart } from './scanning/scan-worker.js';
import type { SpaceOptions } from './space/space.js';

export interface CreateHostOptions {
  /** Default: standard output. */
  readonly logger?: Logger | undefined;
  /** The place in a cluster, where it is not that of the configuration. */
  readonly cluster?: ClusterPlace | undefined;
  /** Whether other processes listen where this one does. Default: no. */
  readonly reusePort?: boolean | undefined;
  /** Gives the metrics of all processes that serve one address. Default: those of this process. */
  readonly metrics?: ((own: PrometheusMetrics) => Pick<PrometheusMetrics, 'contentType' | 'render'>) | undefined;
  /** Reads the configuration again, for administrators. Absent: nobody can. */
  readonly reload?: (() => Promise<ReloadOutcome>) | undefined;
  /** Waits between the end of readiness and the close of the listeners; milliseconds. Default: a timer. */
  readonly wait?: ((delay: number) => Promise<unknown>) | undefined;
}

/** `worker` scans and serves nothing. */
export type Role = 'server' | 'worker';

/** A configuration with its plugins, and the services that need no storage. */
export interface Prepared {
  readonly root: Scope;
  readonly administration: Scope;
  readonly served: readonly Served[];
  /** The room that each repository may take. */
  readonly kept: SpaceOptions['repositories'];
  /** By repository; empty until the root has started. */
  readonly engines: Map<string, RepositoryEngine>;
  readonly problems: readonly ConfigurationProblem[];
  /** When everything has to be closed; milliseconds of the monotonic clock. */
  readonly deadline: { at: number };
  readonly found: FoundUpstreams;
  /** Stops watching for unhandled errors of plugins. */
  readonly forgetPlugins: () => void;
}

/** Checks everything that needs no storage, so that all problems are reported at once. */
export async function prepare(loaded: LoadedConfig, ground: Scope, role: Role): Promise<Prepared> {
  const { config } = loaded;
  const plugins = await loadPlugins(namedPlugins(loaded));
  const failed = new Set(plugins.problems.map((problem) => problem.package));
  const scanners = await planScanners(config.scanners, plugins.scanners, failed);
  const store = await planStore(config.storage, plugins);
  const planned = await planRepositories(loaded, plugins.plugins, { someFailed: failed.size > 0 });
  const engines = new Map<string, RepositoryEngine>();
  const fetchPart: FetchPart = async (repository, ...what) => await engines.get(repository)?.part(...what);
  const governed = { scanners: scanners.plans, fetchPart, role };
  const kept = new Map(
    planned.plans.map(({ name, kind, config: { quota } }) => [name, { kind, quota, project: projectOf(config, name) }]),
  );
  const root = createRootScope(config, governed, ground);
  const forgetPlugins = blameForEnd(
    [...plugins.plugins, ...plugins.scanners, ...plugins.stores],
    root.get(ROOT_LOGGER),
  );
  const deadline = { at: 0 };
  const served = planned.plans.map((plan) => ({
    plan,
    scope: createRepositoryScope(root, plan, () => Math.max(0, deadline.at - performance.now())),
  }));
  const administration = createAdministrationScope(root, config.admin);
  const scopes = served.map(({ scope }) => scope);
  // A worker asks nobody who may administer it.
  if (role === 'server') scopes.push(administration);
  const starts = await Promise.allSettled(scopes.map((scope) => scope.start()));
  const failures = starts.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  const unexpected = failures.find((error) => !(error instanceof ConfigurationError));
  if (unexpected !== undefined) {
    await abandon({ root, forgetPlugins });
    throw unexpected;
  }
  const refused = failures.flatMap((error) => (error as ConfigurationError).problems);
  const problems = [
    ...plugins.problems,
    ...nothingToServe(loaded),
    ...driverProblems(config),
    ...planned.problems,
    ...scanners.problems,
    ...store.problems,
    ...policyProblems(config.policy, policiesOf(config.repositories ?? {})),
    ...(role === 'server' ? certificateProblems(config, planned.plans) : workerProblems(config)),
    ...refused,
  ];
  const { found } = planned;
  return { root, administration, served, kept, engines, problems, deadline, found, forgetPlugins };
}

function certificateProblems({ server }: Config, plans: readonly RepositoryPlan[]): ConfigurationProblem[] {
  const used = [
    { path: 'server.tls', tls: server.tls },
    ...plans.map(({ name, tls }) => ({ path: `repositories.${name}.tls`, tls: tls === server.tls ? undefined : tls })),
  ];
  return used.flatMap(({ path, tls }) => {
    try {
      if (tls !== undefined) readCertificates(tls);
      return [];
    } catch (error) {
      return [{ path, message: (error as Error).message }];
    }
  });
}

function workerProblems({ scanners }: Config): ConfigurationProblem[] {
  if (scanners.length > 0) return [];
  const message = 'expected at least one scanner, found none; without scanners a worker has no work';
  return [{ path: 'scanners', message }];
}

/** The drivers of the configuration whose packages are not installed. */
function driverProblems({ storage, cache }: Config): ConfigurationProblem[] {
  const used = [
    { path: 'storage.backend', driver: storage.backend === 's3' ? ('s3' as const) : undefined },
    { path: 'cache.backend', driver: cache.backend === 'redis' ? ('redis' as const) : undefined },
  ];
  return used.flatMap(({ path, driver }) => {
    const message = driver && lackOf(driver);
    return message === undefined ? [] : [{ path, message }];
  });
}

/**
 * Prepares, opens the ground unless it is open, and the engines, from which scanners fetch, and goes on with `then`. Closes everything
 * but the ground again when one of them fails.
 * @throws ConfigurationError with everything that is wrong
 */
export async function withStarted<T>(
  loaded: LoadedConfig,
  ground: Scope,
  role: Role,
  then: (prepared: Prepared) => Promise<T>,
): Promise<T> {
  const prepared = await prepare(loaded, ground, role);
  const { root, served, engines, problems } = prepared;
  try {
    if (problems.length > 0) throw new ConfigurationError(problems);
    await ground.start();
    await root.start();
    for (const { plan, scope } of served) engines.set(plan.name, scope.get(ENGINE));
    return await then(prepared);
  } catch (error) {
    await abandon(prepared);
    throw error;
  }
}

/** Ends what a failed start has opened. */
export async function abandon({ root, forgetPlugins }: Pick<Prepared, 'root' | 'forgetPlugins'>): Promise<void> {
  const logger = root.get(ROOT_LOGGER);
  forgetPlugins();
  await root
    .dispose()
    .catch((error: unknown) => logger.warn({ err: error }, 'cleaning up after the failed start failed too'));
}
