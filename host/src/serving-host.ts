import { setTimeout as delay } from 'node:timers/promises';
import type { ClientSetup, Logger } from '@entrepot/core';
import { adminTokenFileOf } from './access/secret-file.js';
import { configurationChanges, needsRestart, restartProblems } from './config/changes.js';
import { ConfigurationError } from './config/configuration-error.js';
import type { LoadedConfig } from './config/load.js';
import type { Scope } from './container/scope.js';
import { ADMINISTRATION, AUDIT, ROOT_LOGGER, SPACE } from './container/tokens.js';
import { Edition, type EditionOptions } from './edition.js';
import { createLogger, type SwappableLogger } from './log/logger.js';
import { clientSetup, describe, urlAt, type HostRepository } from './mount-repositories.js';
import type { CreateHostOptions } from './prepare-host.js';
import { listenAll, portOf, siteAt, type OpenSite } from './sites.js';

/** The next steps for the user of a server that has started. */
export interface Guide {
  /** The start page. Absent: a repository has its place. */
  readonly page: string | undefined;
  readonly repositories: readonly { readonly name: string; readonly clients: readonly ClientSetup[] }[];
}

/** Another configuration that is ready to be served. */
export interface NextEdition {
  /** Serves it from the next request on. Running requests end as they began. */
  apply(): void;
  /** Closes it again. */
  abandon(): Promise<void>;
}

/** Everything that the configuration means, put together. Logs what it serves, from where, and when it stops. */
export interface Host {
  readonly repositories: readonly HostRepository[];
  readonly logger: Logger;
  /**
   * Begins to serve.
   * @returns the listeners, the server's first
   * @throws the system's error (`EADDRINUSE`) when an address cannot be listened on; nothing is listened on then
   */
  listen(): Promise<readonly { readonly url: string }[]>;
  /** Next steps for the user, once it listens. */
  guide(): Guide;
  /**
   * Opens what another configuration means beside what is served, until it is ready. Nothing is changed by that. One at a time: the next
   * one may be opened when it is applied or abandoned.
   * @throws ConfigurationError with everything that is wrong, and with every change that needs a restart
   */
  prepare(loaded: LoadedConfig): Promise<NextEdition>;
  /** Stops serving: running requests get `server.drainTimeout` to end. Then closes everything, last first. Once. */
  close(): Promise<void>;
}

export interface ServingHostOptions extends Pick<CreateHostOptions, 'wait'> {
  readonly ground: Scope;
  readonly edition: Omit<EditionOptions, 'openAt'>;
  /** The logger whose settings are of the configuration. Absent: it is somebody else's. */
  readonly logger?: SwappableLogger | undefined;
}

/** A ground, and the editions above it: the one that serves, and those before it whose requests still run. */
export class ServingHost implements Host {
  readonly #options: ServingHostOptions;
  readonly logger: Logger;
  /** Editions that are not closed yet. */
  readonly #editions = new Set<Edition>();
  /** Listeners that no edition has any more. */
  readonly #removed = new Set<OpenSite['listener']>();
  readonly #ending = new AbortController();
  readonly #preparing = new Set<Promise<unknown>>();
  #current: Edition;
  #closed: Promise<void> | undefined;

  constructor(first: Edition, options: ServingHostOptions) {
    this.#options = options;
    this.logger = options.ground.get(ROOT_LOGGER);
    this.#current = first;
    this.#editions.add(first);
  }

  get repositories(): readonly HostRepository[] {
    return this.#current.prepared.served.map(({ plan }) => describe(plan));
  }

  async listen(): Promise<readonly { readonly url: string }[]> {
    this.#current.begin();
    const listeners = await listenAll(this.#current.sites);
    this.#tell();
    return listeners;
  }

  #tell(): void {
    const { loaded, prepared, sites } = this.#current;
    for (const { name, ...rest } of this.repositories) this.logger.info({ repository: name, ...rest }, 'repository');
    if (this.repositories.length === 0)
      this.logger.warn({}, 'there is no repository: none is configured, or no upstream was found');
    if (prepared.administration.get(ADMINISTRATION).trustsLocal)
      this.logger.info(
        { token: adminTokenFileOf(loaded.config) },
        'administration: users of this machine need no credentials; from elsewhere the token in this file is expected',
      );
    this.logger.info({ listen: sites.map(({ listener }) => listener.url), configuration: loaded.sources }, 'serving');
  }

  guide(): Guide {
    const { loaded, prepared, sites } = this.#current;
    const { publicUrl } = loaded.config.server;
    const [main] = sites;
    const { url } = main.listener;
    const hasPage = !main.served.some(({ plan }) => plan.mount === '/');
    return {
      page: hasPage ? `${publicUrl ?? url}/` : undefined,
      repositories: prepared.served.map((one) => {
        const base = urlAt(one.plan, publicUrl, () => url, portOf(sites, one));
        return { name: one.plan.name, clients: clientSetup(one, base, this.logger) };
      }),
    };
  }

  async prepare(loaded: LoadedConfig): Promise<NextEdition> {
    const preparing = this.#prepare(loaded);
    this.#preparing.add(preparing);
    return await preparing.finally(() => this.#preparing.delete(preparing));
  }

  async #prepare(loaded: LoadedConfig): Promise<NextEdition> {
    const { ground, edition: options } = this.#options;
    const { sites } = this.#current;
    const refused = restartProblems(this.#current.loaded.config, loaded.config);
    if (refused.length > 0) throw new ConfigurationError(refused);
    const logger = this.#options.logger && createLogger(loaded.config.log);
    const next = await Edition.open(loaded, ground, { ...options, openAt: (site) => siteAt(sites, site) });
    this.#editions.add(next);
    const opened = next.sites.filter(({ listener }) => !sites.some((one) => one.listener === listener));
    const abandon = async (): Promise<void> => {
      await Promise.all(opened.map(({ listener }) => listener.close(0)));
      await this.#close(next);
    };
    try {
      assertSameTls(sites, next.sites);
      await next.ready(this.#ending.signal);
      await listenBeside(sites, opened);
      this.#ending.signal.throwIfAborted();
    } catch (error) {
      await abandon();
      throw error;
    }
    return { apply: () => this.#swap(next, logger), abandon };
  }

  #swap(next: Edition, logger: Logger | undefined): void {
    // It is closed with all others.
    if (this.#ending.signal.aborted) return;
    const before = this.#current;
    this.#current = next;
    const changes = configurationChanges(before.loaded.config, next.loaded.config);
    this.#options.ground.get(AUDIT).changedByAll({ event: 'configuration-applied', detail: { changes } });
    if (logger !== undefined) this.#options.logger?.swap(logger);
    const retired = before.retire();
    next.begin();
    const left = before.sites.filter(({ listener }) => !next.sites.some((one) => one.listener === listener));
    for (const { listener } of left) this.#removed.add(listener);
    void this.#end(before, left, retired);
  }

  /** Waits for the requests of an edition that serves no more, however long they take, and closes it. */
  async #end(edition: Edition, left: readonly OpenSite[], retired: Promise<void>): Promise<void> {
    try {
      await Promise.all([retired, ...left.map(({ listener }) => listener.close())]);
      for (const { listener } of left) this.#removed.delete(listener);
      await edition.exchanges.retire();
      await this.#close(edition);
      this.logger.debug({}, 'all requests of a configuration from before have ended');
    } catch (error) {
      this.logger.error({ err: error }, 'a configuration from before could not be closed');
    }
  }

  async #close(edition: Edition): Promise<void> {
    await edition.close();
    this.#editions.delete(edition);
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    const { ground, wait = delay } = this.#options;
    const { sites } = this.#current;
    const { drainDelay, drainTimeout } = this.#current.loaded.config.server;
    this.#ending.abort(new Error('the server stops'));
    for (const edition of this.#editions) {
      edition.exchanges.drain();
      edition.endStreams();
    }
    if (drainDelay > 0 && sites.some(({ listener }) => listener.port !== 0)) {
      this.logger.info(
        { delay: drainDelay },
        'draining: not ready any more; requests are answered until balancers know',
      );
      await wait(drainDelay);
    }
    await Promise.allSettled(this.#preparing);
    const editions = [...this.#editions];
    for (const { prepared } of editions) prepared.deadline.at = performance.now() + drainTimeout;
    const running = editions.reduce((sum, { exchanges }) => sum + exchanges.running, 0);
    this.logger.info({ running }, 'draining: running requests may end');
    // It fetches through repositories, which end before the stores.
    await ground.get(SPACE).verification.dispose();
    const listeners = new Set([
      ...editions.flatMap((one) => one.sites.map(({ listener }) => listener)),
      ...this.#removed,
    ]);
    await Promise.all(Array.from(listeners, (listener) => listener.close(drainTimeout)));
    const closed = await Promise.allSettled(editions.map((edition) => this.#close(edition)));
    await ground.dispose();
    for (const one of closed) if (one.status === 'rejected') throw one.reason;
    this.logger.info({}, 'closed');
  }
}

/** @throws ConfigurationError where a listener that stays would begin or cease to speak TLS, or to ask for certificates of clients */
function assertSameTls(open: readonly OpenSite[], next: readonly OpenSite[]): void {
  const problems = next.flatMap(({ listener, isMain, tls, served }) => {
    const before = open.find((one) => one.listener === listener);
    if (before === undefined || before.tls?.clientCertificates === tls?.clientCertificates) return [];
    const path = isMain ? 'server.tls' : `repositories.${served[0]?.plan.name ?? ''}.tls`;
    return [needsRestart(path)];
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** @throws ConfigurationError where an address overlaps with one that is listened on; else the system's error */
async function listenBeside(open: readonly OpenSite[], opened: readonly OpenSite[]): Promise<void> {
  try {
    await listenAll(opened);
  } catch (error) {
    const { code, port } = error as NodeJS.ErrnoException & { readonly port?: number };
    const isOurs = code === 'EADDRINUSE' && open.some(({ listener }) => listener.port === port);
    const site = isOurs ? opened.find(({ address }) => address.port === port) : undefined;
    if (site === undefined) throw error;
    throw new ConfigurationError([
      needsRestart(site.isMain ? 'server.listen' : `repositories.${site.served[0]?.plan.name ?? ''}.listen`),
    ]);
  }
}
