import type { RequestListener } from 'node:http';
import { printListenAddress, type ListenAddress } from './config/listen-address.js';
import type { Config, TlsConfig } from './config/schema.js';
import type { Listener, ListenerOptions } from './http/listener.js';
import type { MountedRepository } from './http/serve-repository.js';
import type { Served } from './mount-repositories.js';

/** One listener and what is served on it. */
export interface Site {
  readonly address: ListenAddress;
  /** Whether it is the server's own. */
  readonly isMain: boolean;
  readonly tls: TlsConfig | undefined;
  readonly served: Served[];
  /** Whether the metrics are served on it. */
  readonly hasMetrics: boolean;
}

export interface OpenSite extends Site {
  readonly listener: Listener;
  /** Answers its requests, within these bounds. */
  readonly app: RequestListener;
  readonly options: ListenerOptions;
  /** Repositories that are served, where they are mounted. */
  readonly repositories: readonly MountedRepository[];
}

/** The server's own listener first, then those that repositories and the metrics have, each address once. */
export function sitesOf({ server, metrics }: Pick<Config, 'server' | 'metrics'>, served: readonly Served[]): Site[] {
  const { listen: address, tls: ownTls } = server;
  const { enabled, listen: metricsAt } = metrics;
  const own = enabled && metricsAt !== undefined && !isSame(metricsAt, address) ? metricsAt : undefined;
  const main: Site = { address, isMain: true, tls: ownTls, served: [], hasMetrics: enabled && own === undefined };
  const sites = [main];
  const separate = new Map<string, Site>();
  const open = (listen: ListenAddress, tls: TlsConfig | undefined): Site => {
    const at = printListenAddress(listen);
    const known = separate.get(at);
    if (known !== undefined) return known;
    const hasMetrics = own !== undefined && at === printListenAddress(own);
    const site = { address: listen, isMain: false, tls, served: [], hasMetrics };
    separate.set(at, site);
    sites.push(site);
    return site;
  };
  for (const one of served) {
    const { listen, tls } = one.plan;
    (listen === undefined ? main : open(listen, tls)).served.push(one);
  }
  if (own !== undefined) open(own, ownTls);
  return sites;
}

/** Whether two addresses are one listener. Where the system chooses the port, they are not. */
function isSame(one: ListenAddress, other: ListenAddress): boolean {
  return one.port !== 0 && printListenAddress(one) === printListenAddress(other);
}

/**
 * The site among `open` at the address of another one, whose listener that one may have. Where the system chooses the port, the server's own
 * is another one than that of a repository.
 */
export function siteAt(open: readonly OpenSite[], { address, isMain }: Site): OpenSite | undefined {
  const printed = printListenAddress(address);
  return open.find(
    (one) => printListenAddress(one.address) === printed && (address.port !== 0 || one.isMain === isMain),
  );
}

/** Begins to listen everywhere, or nowhere. @throws the system's error */
export async function listenAll(sites: readonly OpenSite[]): Promise<{ readonly url: string }[]> {
  const listening: { url: string }[] = [];
  try {
    for (const { listener } of sites) listening.push({ url: await listener.listen() });
    return listening;
  } catch (error) {
    await Promise.all(sites.map(({ listener }) => listener.close(0)));
    throw error;
  }
}

/** The port that a repository is served on; 0 before. */
export function portOf(sites: readonly OpenSite[], one: Served): number {
  return sites.find(({ served }) => served.includes(one))?.listener.port ?? 0;
}
