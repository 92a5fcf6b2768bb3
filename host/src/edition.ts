import type Router from '@koa/router';
import { CLOCK } from '@entrepot/core';
import { sideOf, type RepositoryRoots } from '@entrepot/core/engine';
import { EventStreams } from './admin/events-routes.js';
import { auditSettings } from './container/audit-settings.js';
import type { LoadedConfig } from './config/load.js';
import type { Scope } from './container/scope.js';
import {
  AUDIT,
  ENTRIES,
  GOVERNANCE,
  METRICS,
  RATE_LIMITS,
  ROOT_LOGGER,
  SPACE,
  STATISTICS,
  TOKENS,
  TRACING,
} from './container/tokens.js';
import { auditDenials } from './http/audit-denials.js';
import { createApp } from './http/app.js';
import { accessLog, countRequests, Exchanges } from './http/exchange.js';
import { PROBES } from './http/health-routes.js';
import { Listener } from './http/listener.js';
import { readHome } from './http/home-content.js';
import { metricsGuard, metricsRoute, type MetricsRouteOptions } from './http/metrics-route.js';
import { OPEN, Operations } from './http/operations/operations.js';
import { createSenderOf } from './http/sender.js';
import { tokenRoute } from './http/token-route.js';
import { trustedProxies } from './http/trusted-proxies.js';
import { mountRepositories, tokenRepositories } from './mount-repositories.js';
import { watchGovernance } from './policy/governance-metrics.js';
import { withStarted, type CreateHostOptions, type Prepared } from './prepare-host.js';
import { keepFoundUpstreams } from './repositories/found-upstreams.js';
import { watchRoots } from './roots/root-metrics.js';
import { RootRefresher } from './roots/root-refresher.js';
import { serverRoutes } from './server-routes.js';
import { sitesOf, type OpenSite, type Site } from './sites.js';
import { Cleanup } from './space/cleanup.js';
import { HostedCounts, watchHostedCounts } from './space/hosted-counts.js';

export interface EditionOptions extends Pick<CreateHostOptions, 'reusePort' | 'reload'> {
  readonly metrics: MetricsRouteOptions['source'];
  /** When the process began, as `startOf` its clock. */
  readonly begunAt: number;
  /** The site whose listener another one has. `undefined`: it has one of its own. */
  readonly openAt: (site: Site) => OpenSite | undefined;
}

/** Everything that one configuration means, put together above the ground. It serves when its apps are at its listeners and it has begun. */
export class Edition {
  readonly loaded: LoadedConfig;
  readonly prepared: Prepared;
  readonly exchanges: Exchanges;
  /** The server's own first. */
  readonly sites: readonly [OpenSite, ...OpenSite[]];
  readonly #cleanup: Cleanup;
  readonly #roots: RootRefresher;
  readonly #counts: HostedCounts;
  readonly #streams = new EventStreams();
  #unwatch: readonly (() => void)[] = [];
  #closed: Promise<void> | undefined;

  /**
   * Opens everything but the listeners.
   * @throws ConfigurationError with everything that is wrong
   */
  static async open(loaded: LoadedConfig, ground: Scope, options: EditionOptions): Promise<Edition> {
    return await withStarted(loaded, ground, 'server', async (prepared) => new Edition(loaded, prepared, options));
  }

  private constructor(loaded: LoadedConfig, prepared: Prepared, options: EditionOptions) {
    this.loaded = loaded;
    this.prepared = prepared;
    const { reusePort, metrics: source, reload, begunAt, openAt } = options;
    const { root, served } = prepared;
    const { server, metrics, log } = loaded.config;
    const logger = root.get(ROOT_LOGGER);
    const proxies = trustedProxies(server.trustProxy);
    const senderOf = createSenderOf({
      publicUrls: [server.publicUrl, ...served.map(({ plan }) => plan.config.publicUrl)].flatMap((url) => url ?? []),
      proxies,
      hasProxies: server.trustProxy.length > 0,
    });
    const audit = root.get(AUDIT);
    const rateLimits = root.get(RATE_LIMITS);
    const observers = [countRequests(root.get(METRICS)), root.get(STATISTICS).observe, auditDenials(audit)];
    if (countsBytes(loaded.config)) observers.push((record) => rateLimits.spend(record));
    const probes = [...PROBES, metrics.path];
    if (log.access) observers.push(accessLog(logger, probes));
    const exchanges = new Exchanges(observers, proxies);
    this.exchanges = exchanges;
    const cleanup = new Cleanup({
      targets: served.flatMap(({ plan: { name, cleanup: plan } }) => {
        const removal = prepared.engines.get(name)?.cleanup;
        return plan === undefined || removal === undefined ? [] : [{ repository: name, plan, cleanup: removal }];
      }),
      pins: root.get(SPACE).pins,
      clock: root.get(CLOCK),
      logger,
      begunAt,
      onCleaned: ({ repository, looked, removed, bytes }) => {
        if (removed > 0) audit.changed({ event: 'cleanup-removed', repository, detail: { looked, removed, bytes } });
      },
    });
    this.#cleanup = cleanup;
    const roots = new RootRefresher({
      repositories: new Map(
        Array.from(prepared.engines, ([name, engine]) => [name, engine.roots] as const).filter(hasRoots),
      ),
      leases: root.get(SPACE).leases,
      clock: root.get(CLOCK),
      logger,
    });
    this.#roots = roots;
    this.#counts = new HostedCounts({
      repositories: served.flatMap(
        ({
          plan: {
            name,
            kind,
            loaded: { plugin },
          },
        }) => {
          const removal = prepared.engines.get(name)?.cleanup;
          const hasVersions = kind === 'hosted' && sideOf(plugin, 'hosted')?.cleanup?.versions !== undefined;
          return removal === undefined || !hasVersions ? [] : [{ repository: name, cleanup: removal }];
        },
      ),
      revision: (repository) => root.get(ENTRIES).revision(repository),
      clock: root.get(CLOCK),
      logger,
    });
    const sites: OpenSite[] = [];
    const home = readHome(server.home);
    for (const site of sitesOf(loaded.config, served)) {
      const { isMain, hasMetrics } = site;
      const repositories = mountRepositories(site.served, {
        serverUrl: isMain ? server.publicUrl : undefined,
        proxies,
        senderOf,
        limits: rateLimits.of(),
      });
      const routes = (router: Router): void => {
        const operations = isMain
          ? serverRoutes(router, {
              loaded,
              prepared,
              metrics: hasMetrics ? source : undefined,
              home,
              reload,
              cleanup,
              roots,
              streams: this.#streams,
              exchanges,
              proxies,
              senderOf,
              sites,
            })
          : new Operations(router, { everybody: OPEN, metrics: metricsGuard(metrics.token) }, { logger });
        if (!isMain && hasMetrics) metricsRoute(operations, { path: metrics.path, source });
        const tokens = tokenRepositories(site.served);
        if (tokens.some(({ access }) => access.knowsCallers)) tokenRoute(operations, tokens, root.get(TOKENS));
      };
      const app = createApp({
        repositories,
        routes,
        maxPathLength: server.maxPathLength,
        limits: rateLimits.of(),
        unlimited: probes,
        tracing: root.get(TRACING),
        exchanges,
        logger,
      });
      const bounds = { ...server, ...site.address, tls: site.tls, reusePort };
      const listener = openAt(site)?.listener ?? new Listener(app, bounds, logger);
      sites.push({ ...site, app, options: bounds, listener, repositories });
    }
    this.sites = sites as [OpenSite, ...OpenSite[]];
  }

  /** Waits until its scanners have had the time to get their databases, or `signal` is aborted. */
  async ready(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    const end = (): void => aborted.resolve();
    signal.addEventListener('abort', end);
    await Promise.race([this.prepared.root.get(GOVERNANCE).started, aborted.promise]);
    signal.removeEventListener('abort', end);
  }

  /** Puts its apps in place of those that are at its listeners, and begins to work in the background. */
  begin(): void {
    const { root, kept, engines, found } = this.prepared;
    const metrics = root.get(METRICS);
    keepFoundUpstreams(this.loaded.config, found, root.get(ROOT_LOGGER));
    for (const { listener, app, options } of this.sites) listener.swap(app, options);
    root.get(SPACE).serve(kept, engines);
    metrics.expectUpstreams(
      this.prepared.served.flatMap(({ plan: { name: repository, upstreams } }) =>
        upstreams.map(({ url }) => ({ repository, url })),
      ),
    );
    root.get(GOVERNANCE).begin();
    root.get(STATISTICS).configure(this.loaded.config.statistics);
    const services = { clock: root.get(CLOCK), logger: root.get(ROOT_LOGGER) };
    void root.get(AUDIT).configure(auditSettings(this.loaded.config.audit, services));
    this.#unwatch = [
      watchGovernance(metrics, root.get(GOVERNANCE), root.get(CLOCK)),
      watchRoots(metrics, this.#roots),
      watchHostedCounts(metrics, this.#counts),
      ...Array.from(engines.values(), (engine) => metrics.watch('flights', () => engine.flights())),
    ];
    this.#cleanup.start();
    this.#roots.start();
  }

  /** Leaves the work in the background and the metrics to another one. @returns a promise that this work has ended */
  async retire(): Promise<void> {
    for (const end of this.#unwatch) end();
    this.endStreams();
    this.#roots.stop();
    await Promise.all([this.#cleanup.stop(), this.#counts.stop(), this.prepared.root.get(GOVERNANCE).retire()]);
  }

  /** Closes everything but the ground and the listeners, last first. Running fetches get `server.drainTimeout`. Once. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Ends streams of events, which would not end by themselves. */
  endStreams(): void {
    this.#streams.end();
  }

  async #close(): Promise<void> {
    this.endStreams();
    const { deadline, root, forgetPlugins } = this.prepared;
    // On the way to the end of the process it is set already.
    if (deadline.at === 0) deadline.at = performance.now() + this.loaded.config.server.drainTimeout;
    try {
      this.#roots.stop();
      await Promise.all([this.#cleanup.stop(), this.#counts.stop()]);
      await root.dispose();
      await this.#roots.ended();
    } finally {
      forgetPlugins();
    }
  }
}

/** Whether a limit counts the bytes of answers. */
function countsBytes({ server, repositories = {} }: LoadedConfig['config']): boolean {
  return [server, ...Object.values(repositories)].some(
    ({ rateLimit }) => rateLimit?.address?.bytes !== undefined || rateLimit?.principal?.bytes !== undefined,
  );
}

function hasRoots(one: readonly [string, RepositoryRoots | undefined]): one is readonly [string, RepositoryRoots] {
  return one[1] !== undefined;
}
