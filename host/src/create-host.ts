import { setTimeout as delay } from 'node:timers/promises';
import type Router from '@koa/router';
import { CLOCK, type ClientSetup } from '@entrepot/core';
import type { ConfigurationProblem } from './config/configuration-error.js';
import type { LoadedConfig } from './config/load.js';
import { adminTokenFileOf } from './access/secret-file.js';
import { placeOf } from './container/open-stores.js';
import {
  ADMINISTRATION,
  BLOBS,
  DATABASE,
  GOVERNANCE,
  METRICS,
  ROOT_LOGGER,
  SPACE,
  STORAGE,
  TOKENS,
} from './container/tokens.js';
import { createApp } from './http/app.js';
import { isIndexLost, lostIndexAdvice } from './drivers/lost-index.js';
import { accessLog, countRequests, Exchanges } from './http/exchange.js';
import { PROBES } from './http/health-routes.js';
import { Listener } from './http/listener.js';
import { createSenderOf } from './http/sender.js';
import { tokenRoute } from './http/token-route.js';
import { trustedProxies } from './http/trusted-proxies.js';
import {
  clientSetup,
  describe,
  mountRepositories,
  tokenRepositories,
  urlAt,
  type HostRepository,
} from './mount-repositories.js';
import { watchGovernance } from './policy/governance-metrics.js';
import { abandon, prepare, withStarted, type CreateHostOptions, type Prepared } from './prepare-host.js';
import { keepFoundUpstreams } from './repositories/found-upstreams.js';
import { serverRoutes } from './server-routes.js';
import { watchSpace } from './space/space-metrics.js';
import { listenAll, portOf, sitesOf, type OpenSite } from './sites.js';
import { Cleanup } from './space/cleanup.js';
import { watchVerification } from './space/verification-metrics.js';

export type { CreateHostOptions, HostRepository };

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

/**
 * Loads the plugins, checks the configuration against them, opens storage and puts the server together.
 * @throws ConfigurationError with everything that is wrong
 */
export async function createHost(loaded: LoadedConfig, options: CreateHostOptions = {}): Promise<Host> {
  return await withStarted(loaded, options, 'server', async (prepared) => {
    const { root, found } = prepared;
    const logger = root.get(ROOT_LOGGER);
    if (await isIndexLost(root.get(DATABASE), root.get(BLOBS)))
      logger.error({}, lostIndexAdvice(placeOf(loaded.config.storage)));
    keepFoundUpstreams(loaded.config, found, logger);
    return assemble(loaded, prepared, options);
  });
}

/** Lists the repositories that `createHost` would serve, and every problem. Opens no storage and no listener. */
export async function checkConfiguration(
  loaded: LoadedConfig,
  options: CreateHostOptions = {},
): Promise<{ readonly repositories: readonly HostRepository[]; readonly problems: readonly ConfigurationProblem[] }> {
  const prepared = await prepare(loaded, options, 'server');
  await abandon(prepared);
  return { repositories: prepared.served.map(({ plan }) => describe(plan)), problems: prepared.problems };
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
  return await withStarted(loaded, options, 'worker', async ({ root, forgetPlugins }) => {
    const scanners = root.get(GOVERNANCE).scanners.map(({ id }) => id);
    root.get(ROOT_LOGGER).info({ scanners }, 'scanning');
    return async () => {
      await root.dispose();
      forgetPlugins();
    };
  });
}

function assemble(loaded: LoadedConfig, prepared: Prepared, options: CreateHostOptions): Host {
  const { wait = delay } = options;
  const { config, sources } = loaded;
  const { root, administration, served, deadline, forgetPlugins } = prepared;
  const { server, metrics, log } = config;
  const logger = root.get(ROOT_LOGGER);
  const proxies = trustedProxies(server.trustProxy);
  const senderOf = createSenderOf({
    publicUrls: [server.publicUrl, ...served.map(({ plan }) => plan.config.publicUrl)].flatMap((url) => url ?? []),
    proxies,
    hasProxies: server.trustProxy.length > 0,
  });
  const numbers = root.get(METRICS);
  const shown = options.metrics?.(numbers) ?? numbers;
  const observers = [countRequests(numbers)];
  if (log.access) observers.push(accessLog(logger, [...PROBES, metrics.path]));
  const exchanges = new Exchanges(observers, proxies);

  const cleanup = new Cleanup({
    targets: served.flatMap(({ plan: { name, cleanup: plan } }) => {
      const removal = prepared.engines.get(name)?.cleanup;
      return plan === undefined || removal === undefined ? [] : [{ repository: name, plan, cleanup: removal }];
    }),
    pins: root.get(SPACE).pins,
    clock: root.get(CLOCK),
    logger,
  });
  const sites: OpenSite[] = [];
  for (const site of sitesOf(server, served)) {
    const isMain = sites.length === 0;
    const repositories = mountRepositories(site.served, isMain ? server.publicUrl : undefined, proxies, senderOf);
    const routes = (router: Router): void => {
      if (isMain)
        serverRoutes(router, { loaded, prepared, metrics: shown, cleanup, exchanges, proxies, senderOf, sites });
      const tokens = tokenRepositories(site.served);
      if (tokens.some(({ access }) => access.knowsCallers)) tokenRoute(router, tokens, root.get(TOKENS));
    };
    const app = createApp({ repositories, routes, maxPathLength: server.maxPathLength, exchanges, logger });
    const listener = new Listener(
      app,
      { ...server, ...site.address, tls: site.tls, reusePort: options.reusePort },
      logger,
    );
    sites.push({ ...site, listener, repositories });
  }
  const [main] = sites as [OpenSite];
  const storage = root.get(STORAGE);
  numbers.watch('memoryCacheBytes', () => storage.memoryBytes());
  numbers.watch('spoolBytes', () => storage.spools.used);
  watchGovernance(numbers, root.get(GOVERNANCE), root.get(CLOCK));
  watchVerification(numbers, root.get(SPACE).verification);
  watchSpace(numbers, root.get(SPACE).report);
  for (const engine of prepared.engines.values()) numbers.watch('flights', () => engine.flights());

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
      cleanup.start();
      logger.info({ listen: listeners.map(({ url }) => url), configuration: sources }, 'serving');
      return listeners;
    },
    guide() {
      const { url } = main.listener;
      const hasPage = !main.served.some(({ plan }) => plan.mount === '/');
      return {
        page: hasPage ? `${server.publicUrl ?? url}/` : undefined,
        repositories: served.map((one) => {
          const base = urlAt(one.plan, server.publicUrl, () => url, portOf(sites, one));
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
    // It fetches through repositories, which end before the stores.
    await root.get(SPACE).verification.dispose();
    await Promise.all([cleanup.stop(), ...sites.map(({ listener }) => listener.close(server.drainTimeout))]);
    await root.dispose();
    forgetPlugins();
    logger.info({}, 'closed');
  }
}
