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
}

export interface OpenSite extends Site {
  readonly listener: Listener;
  /** Answers its requests, within these bounds. */
  readonly app: RequestListener;
  readonly options: ListenerOptions;
  /** Repositories that are served, where they are mounted. */
  readonly repositories: readonly MountedRepository[];
}

/** The server's own listener first, then those that repositories have, each address once. */
export function sitesOf({ listen: address, tls }: Config['server'], served: readonly Served[]): Site[] {
  const sites: Site[] = [{ address, isMain: true, tls, served: [] }];
  const separate = new Map<string, Site>();
  for (const one of served) {
    const { listen, tls } = one.plan;
    let site = listen === undefined ? sites[0] : separate.get(printListenAddress(listen));
    if (site === undefined) {
      site = { address: listen as ListenAddress, isMain: false, tls, served: [] };
      separate.set(printListenAddress(site.address), site);
      sites.push(site);
    }
    site.served.push(one);
  }
  return sites;
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
