import { setTimeout as delay } from 'node:timers/promises';
import type Router from '@koa/router';
import { CLOCK, type ClientSetup, type Logger } from '@entrepot/core';
import type { RepositoryEngine } from '@entrepot/core/engine';
import {
  ConfigurationError,
  printListenAddress,
  type Config,
  type ConfigurationProblem,
  type ListenAddress,
  type LoadedConfig,
  type TlsConfig,
} from './config/index.js';
import { adminTokenFileOf } from './access/secret-file.js';
import { TokenEndpoint } from './access/token-endpoint.js';
import { createAdministrationScope } from './container/administration-scope.js';
import { createRootScope } from './container/bindings.js';
import { createRepositoryScope } from './container/repository-scope.js';
import type { Scope } from './container/scope.js';
import {
  ACCESS,
  ADMINISTRATION,
  BLOBS,
  DATABASE,
  ENGINE,
  ENTRIES,
  GOVERNANCE,
  METRICS,
  ROOT_LOGGER,
  STORAGE,
  TOKENS,
} from './container/tokens.js';
import { AdminAccess } from './admin/admin-access.js';
import { adminRoutes } from './admin/admin-routes.js';
import { createApp } from './http/app.js';
import { advisoryRoutes } from './http/advisory-routes.js';
import { explainPage } from './admin/explain-page.js';
import { isIndexLost, lostIndexAdvice } from './drivers/lost-index.js';
import { accessLog, countRequests, Exchanges } from './http/exchange.js';
import { healthRoutes, PROBES } from './http/health-routes.js';
import { homePage } from './http/home-page.js';
import { readCertificates } from './http/certificates.js';
import { Listener } from './http/listener.js';
import { readerGuard } from './admin/reader-guard.js';
import { metricsRoute } from './http/metrics-route.js';
import { createSenderOf } from './http/sender.js';
import { tokenRoute } from './http/token-route.js';
import { trustedProxies } from './http/trusted-proxies.js';
import { keepFoundUpstreams, type FoundUpstreams } from './repositories/found-upstreams.js';
import { createLogger } from './log/logger.js';
import { mountRepositories, shownUrl, tokenRepositories, urlAt, type Served } from './mount-repositories.js';
import { BUNDLED_PLUGINS, bundledType } from './config/bundled.js';
import { blameForEnd } from './plugins/blame.js';
import { loadPlugins } from './plugins/load.js';
import { Inquiry } from './policy/inquiry.js';
import { watchGovernance } from './policy/governance-metrics.js';
import { policiesOf, policyProblems } from './policy/policy-document.js';
import { planRepositories, type RepositoryPlan } from './repositories/repository-plan.js';
import { planScanners, scannerPackages } from './scanning/plan-scanners.js';
import type { FetchPart } from './scanning/scan-worker.js';

/** A repository as a host serves it. Holds no secret. */
export interface HostRepository {
  readonly name: string;
  readonly type: string;
  readonly kind: 'proxy' | 'hosted';
  readonly mount: string;
  /** `host:port` of its own listener. Absent: it is on the server's. */
  readonly listen: string | undefined;
  readonly upstreams: readonly {
    readonly url: string;
    readonly scope?: string | undefined;
    /** Its source, for people. */
    readonly source: string;
  }[];
}

/** Everything that the configuration means, put together. Logs what it serves, from where, and when it stops. */
export interface Host {
  readonly repositories: readonly HostRepository[];
  /**
   * Begins to serve.
   * @returns the listeners, the server's first
   * @throws the system's error (`EADDRINUSE`) when an address cannot be listened on; nothing is listened on then
   */
  listen(): Promise<readonly { readonly url: string }[]>;
  /** Next steps for the user, once it listens. */
  guide(): Guide;
  /** Stops serving: running requests get `server.drainTimeout` to end. Then closes everything, last first. Once. */
  close(): Promise<void>;
}

/** The next steps for the user of a server that has started. */
export interface Guide {
  /** The start page. Absent: a repository has its place. */
  readonly page: string | undefined;
  readonly repositories: readonly { readonly name: string; readonly clients: readonly ClientSetup[] }[];
}

export interface CreateHostOptions {
  /** Default: standard output. */
  readonly logger?: Logger | undefined;
  /** Waits between the end of readiness and the close of the listeners; milliseconds. Default: a timer. */
  readonly wait?: ((delay: number) => Promise<unknown>) | undefined;
}

/**
 * Loads the plugins, checks the configuration against them, opens storage and puts the server together.
 * @throws ConfigurationError with everything that is wrong
 */
export async function createHost(loaded: LoadedConfig, options: CreateHostOptions = {}): Promise<Host> {
  const prepared = await prepare(loaded, options);
  try {
    if (prepared.problems.length > 0) throw new ConfigurationError(prepared.problems);
    await prepared.root.start();
    await sayIfIndexIsLost(prepared.root, loaded.config.storage.path);
    openEngines(prepared);
    keepFoundUpstreams(loaded.config, prepared.found, prepared.root.get(ROOT_LOGGER));
    return assemble(loaded, prepared, options.wait ?? delay);
  } catch (error) {
    await abandon(prepared);
    throw error;
  }
}

async function sayIfIndexIsLost(root: Scope, path: string): Promise<void> {
  if (await isIndexLost(root.get(DATABASE), root.get(BLOBS))) root.get(ROOT_LOGGER).error({}, lostIndexAdvice(path));
}

/** Lists the repositories that `createHost` would serve, and every problem. Opens no storage and no listener. */
export async function checkConfiguration(
  loaded: LoadedConfig,
  options: CreateHostOptions = {},
): Promise<{ readonly repositories: readonly HostRepository[]; readonly problems: readonly ConfigurationProblem[] }> {
  const prepared = await prepare(loaded, options);
  await abandon(prepared);
  return { repositories: prepared.served.map(({ plan }) => describe(plan)), problems: prepared.problems };
}

interface Prepared {
  readonly root: Scope;
  readonly administration: Scope;
  readonly served: readonly Served[];
  /** By repository; empty until the root has started. */
  readonly engines: Map<string, RepositoryEngine>;
  readonly problems: readonly ConfigurationProblem[];
  readonly deadline: Deadline;
  readonly found: FoundUpstreams;
  /** Stops watching for unhandled errors of plugins. */
  readonly forgetPlugins: () => void;
}

/** When everything has to be closed; milliseconds of the monotonic clock. */
interface Deadline {
  at: number;
}

/**
 * Starts a process that runs the scans that servers on the same database request, and updates the databases of
 * scanners. It has the repositories too, to fetch what has to be scanned, but serves nothing.
 * @returns a function that ends it; unfinished scans are given back
 * @throws ConfigurationError with every problem
 */
export async function startScanWorker(
  loaded: LoadedConfig,
  options: CreateHostOptions = {},
): Promise<() => Promise<void>> {
  const { config } = loaded;
  const prepared = await prepare(loaded, options, 'worker');
  const { root, problems } = prepared;
  try {
    if (problems.length > 0) throw new ConfigurationError(problems);
    if (config.scanners.length === 0)
      throw new ConfigurationError([
        {
          path: 'scanners',
          message: 'expected at least one scanner, found none; without scanners a worker has no work',
        },
      ]);
    await root.start();
    openEngines(prepared);
  } catch (error) {
    await abandon(prepared);
    throw error;
  }
  const scanners = root.get(GOVERNANCE).scanners.map(({ id }) => id);
  root.get(ROOT_LOGGER).info({ scanners }, 'scanning');
  return async () => {
    await root.dispose();
    prepared.forgetPlugins();
  };
}

/** Opens the engines, from which scanners fetch. */
function openEngines({ served, engines }: Prepared): void {
  for (const { plan, scope } of served) engines.set(plan.name, scope.get(ENGINE));
}

/** The bundled plugins that the configuration uses. Others are not loaded: each format takes megabytes. */
function bundledPluginsFor({ config, addBundledRepositories }: LoadedConfig): readonly string[] {
  if (addBundledRepositories) return BUNDLED_PLUGINS;
  const types = new Set(Object.values(config.repositories ?? {}).map(({ type }) => type));
  const wanted = BUNDLED_PLUGINS.filter((name) => types.delete(bundledType(name)));
  // What is left is another package's, or a mistake: then the message names all that there are.
  return types.size === 0 ? wanted : BUNDLED_PLUGINS;
}

/** Checks everything that needs no storage, so that all problems are reported at once. */
async function prepare(
  loaded: LoadedConfig,
  options: CreateHostOptions,
  role: 'server' | 'worker' = 'server',
): Promise<Prepared> {
  const { config, directory } = loaded;
  const plugins = await loadPlugins({
    plugins: config.plugins,
    scanners: scannerPackages(config.scanners, config.plugins),
    bundled: bundledPluginsFor(loaded),
    folder: directory,
  });
  const failed = new Set(plugins.problems.map((problem) => problem.package));
  const scanners = await planScanners(config.scanners, plugins.scanners, failed);
  const planned = await planRepositories(loaded, plugins.plugins, { someFailed: failed.size > 0 });
  const engines = new Map<string, RepositoryEngine>();
  const fetchPart: FetchPart = async (repository, ...what) => await engines.get(repository)?.part(...what);
  const governed = { scanners: scanners.plans, fetchPart, role };
  const root = createRootScope(config, governed, options.logger ?? createLogger(config.log));
  const forgetPlugins = blameForEnd([...plugins.plugins, ...plugins.scanners], root.get(ROOT_LOGGER));
  const deadline: Deadline = { at: 0 };
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
    ...planned.problems,
    ...scanners.problems,
    ...policyProblems(config.policy, policiesOf(config.repositories ?? {})),
    ...(role === 'server' ? certificateProblems(config, planned.plans) : []),
    ...refused,
  ];
  return { root, administration, served, engines, problems, deadline, found: planned.found, forgetPlugins };
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

async function abandon({ root, forgetPlugins }: Pick<Prepared, 'root' | 'forgetPlugins'>): Promise<void> {
  const logger = root.get(ROOT_LOGGER);
  forgetPlugins();
  await root
    .dispose()
    .catch((error: unknown) => logger.warn({ err: error }, 'cleaning up after the failed start failed too'));
}

/** One listener and what is served on it. */
interface Site {
  readonly address: ListenAddress;
  readonly tls: TlsConfig | undefined;
  readonly served: Served[];
}

interface OpenSite extends Site {
  readonly listener: Listener;
}

function assemble(
  { config, sources }: LoadedConfig,
  { root, administration, served, deadline, forgetPlugins }: Prepared,
  wait: (delay: number) => Promise<unknown>,
): Host {
  const { server, metrics, log, policy } = config;
  const logger = root.get(ROOT_LOGGER);
  const clock = root.get(CLOCK);
  const governance = root.get(GOVERNANCE);
  const asked = served.map(({ plan, scope }) => {
    const isOpen = scope.get(ACCESS).isOpen({ right: 'read' });
    const describe: RepositoryEngine['describe'] = (...asked) => scope.get(ENGINE).describe(...asked);
    return { name: plan.name, kind: plan.kind, type: plan.loaded.plugin.id, isOpen, describe };
  });
  const inquiry = new Inquiry(governance, root.get(DATABASE), asked, clock);
  const proxies = trustedProxies(server.trustProxy);
  const senderOf = createSenderOf({
    publicUrls: [server.publicUrl, ...served.map(({ plan }) => plan.config.publicUrl)].filter(
      (url) => url !== undefined,
    ),
    proxies,
    hasProxies: server.trustProxy.length > 0,
  });
  const numbers = root.get(METRICS);
  const observers = [countRequests(numbers)];
  if (log.access) observers.push(accessLog(logger, [...PROBES, metrics.path]));
  const exchanges = new Exchanges(observers, proxies);

  const sites: OpenSite[] = [];
  for (const site of sitesOf(server, served)) {
    const isMain = sites.length === 0;
    const repositories = mountRepositories(site.served, isMain ? server.publicUrl : undefined, proxies, senderOf);
    const routes = (router: Router): void => {
      if (isMain) addServerRoutes(router);
      addTokenRoute(router, site);
    };
    const app = createApp({ repositories, routes, maxPathLength: server.maxPathLength, exchanges, logger });
    const listener = new Listener(app, { ...server, ...site.address, tls: site.tls }, logger);
    sites.push({ ...site, listener });
  }
  const [main] = sites as [OpenSite];
  const storage = root.get(STORAGE);
  numbers.watch('memoryCacheBytes', () => storage.memoryBytes());
  numbers.watch('spoolBytes', () => storage.spools.used);
  watchGovernance(numbers, governance, clock);
  for (const { scope } of served) {
    const engine = scope.get(ENGINE);
    numbers.watch('flights', () => engine.flights());
  }

  function addTokenRoute(router: Router, site: Site): void {
    const repositories = tokenRepositories(site.served);
    if (repositories.some(({ access }) => access.knowsCallers))
      tokenRoute(router, new TokenEndpoint(repositories, root.get(TOKENS)));
  }

  function addServerRoutes(router: Router): void {
    const checks = [
      { name: 'blobs', check: () => root.get(BLOBS).check(), checkReading: () => root.get(BLOBS).check('read') },
      { name: 'entries', check: () => root.get(ENTRIES).check(), checkReading: () => root.get(ENTRIES).check('read') },
      { name: 'scanners', check: async () => (governance.starting.length > 0 ? ('starting' as const) : undefined) },
    ];
    healthRoutes(router, { checks, isDraining: () => exchanges.draining, clock, logger });
    metricsRoute(router, { ...metrics, source: numbers });
    const access = new AdminAccess(administration.get(ADMINISTRATION), senderOf);
    adminRoutes(router, {
      governance,
      inquiry,
      access,
      clock,
      logger,
      longestException: policy?.longestException ?? 90 * 86_400_000,
    });
    explainPage(router, inquiry, governance, access);
    const accesses = served.map(({ scope }) => scope.get(ACCESS));
    advisoryRoutes(router, governance.scanners, readerGuard(accesses, access));
    homePage(
      router,
      served.map((one) => ({
        ...describe(one.plan),
        // Whoever may not read a repository is not told whose it is either.
        ...(!one.scope.get(ACCESS).isOpen({ right: 'read' }) && { upstreams: [] }),
        baseUrl: shownUrl(one.plan, server.publicUrl, proxies, () => portOf(sites, one)),
        clientSetup: (baseUrl) => clientSetup(one, baseUrl, logger),
      })),
    );
  }

  const repositories = served.map(({ plan }) => describe(plan));
  let closed: Promise<void> | undefined;
  return {
    repositories,
    async listen() {
      const listeners = await listenAll(sites);
      for (const { name, ...rest } of repositories) logger.info({ repository: name, ...rest }, 'repository');
      if (repositories.length === 0)
        logger.warn({}, 'there is no repository: none is configured, or no upstream was found');
      if (administration.get(ADMINISTRATION).trustsLocal)
        logger.info(
          { token: adminTokenFileOf(config) },
          'administration: users of this machine need no credentials; from elsewhere the token in this file is expected',
        );
      logger.info({ listen: listeners.map(({ url }) => url), configuration: sources }, 'serving');
      return listeners;
    },
    guide() {
      const { url } = main.listener;
      const origin = (): string => url;
      const hasPage = !main.served.some(({ plan }) => plan.mount === '/');
      return {
        page: hasPage ? `${server.publicUrl ?? url}/` : undefined,
        repositories: served.map((one) => {
          const base = urlAt(one.plan, server.publicUrl, origin, portOf(sites, one));
          return { name: one.plan.name, clients: clientSetup(one, base, logger) };
        }),
      };
    },
    close() {
      closed ??= closeAll();
      return closed;
    },
  };

  async function closeAll(): Promise<void> {
    exchanges.drain();
    if (server.drainDelay > 0 && sites.some(({ listener }) => listener.port !== 0)) {
      logger.info(
        { delay: server.drainDelay },
        'draining: not ready any more; requests are answered until balancers know',
      );
      await wait(server.drainDelay);
    }
    deadline.at = performance.now() + server.drainTimeout;
    logger.info({ running: exchanges.running }, 'draining: running requests may end');
    await Promise.all(sites.map(({ listener }) => listener.close(server.drainTimeout)));
    await root.dispose();
    forgetPlugins();
    logger.info({}, 'closed');
  }
}

/** The server's own listener first, then those that repositories have, each address once. */
function sitesOf({ listen: address, tls }: Config['server'], served: readonly Served[]): Site[] {
  const sites: Site[] = [{ address, tls, served: [] }];
  const separate = new Map<string, Site>();
  for (const one of served) {
    const { listen, tls } = one.plan;
    let site = listen === undefined ? sites[0] : separate.get(printListenAddress(listen));
    if (site === undefined) {
      site = { address: listen as ListenAddress, tls, served: [] };
      separate.set(printListenAddress(site.address), site);
      sites.push(site);
    }
    site.served.push(one);
  }
  return sites;
}

async function listenAll(sites: readonly OpenSite[]): Promise<{ readonly url: string }[]> {
  const listening: { url: string }[] = [];
  try {
    for (const { listener } of sites) listening.push({ url: await listener.listen() });
    return listening;
  } catch (error) {
    await Promise.all(sites.map(({ listener }) => listener.close(0)));
    throw error;
  }
}

function portOf(sites: readonly OpenSite[], one: Served): number {
  return sites.find(({ served }) => served.includes(one))?.listener.port ?? 0;
}

function describe({ name, kind, mount, listen, upstreams, loaded }: RepositoryPlan): HostRepository {
  return {
    name,
    type: loaded.plugin.id,
    kind,
    mount,
    listen: listen === undefined ? undefined : printListenAddress(listen),
    upstreams: upstreams.map(({ url, scope, source }) => ({ url, scope, source })),
  };
}

/** A plugin that cannot say it must not take the page with it. */
function clientSetup(
  { plan: { name, kind, upstreams, loaded }, scope }: Served,
  baseUrl: string,
  logger: Logger,
): readonly ClientSetup[] {
  const repository = { name, kind, upstreams: upstreams.map(({ url, scope }) => ({ url, scope })) };
  try {
    return (
      loaded.plugin.clientSetup?.({ baseUrl, repository, guarded: !scope.get(ACCESS).isOpen({ right: 'read' }) }) ?? []
    );
  } catch (error) {
    logger.error({ err: error, plugin: loaded.package, hook: 'clientSetup', repository: name }, 'plugin failed');
    return [];
  }
}
