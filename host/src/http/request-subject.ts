import type { IncomingMessage } from 'node:http';
import { EntrepotError } from '@entrepot/core';
import type { StoredKeys } from '@entrepot/core/engine';
import { isLoopback } from '../config/listen-address.js';
import { mountFinder } from './find-mount.js';
import type { MountedRepository } from './serve-repository.js';

/** The repositories of one listener. */
export interface MountedSite {
  readonly repositories: readonly MountedRepository[];
  /** The port that is listened on; 0 before. */
  readonly port: number;
}

const PATH = /^(\/[^?#]*)(?:\?([^#]*))?/;
const ABSOLUTE = /^(https?:\/\/[^/?#]*)([^]*)$/i;

/** Whether `text` is the path of a request, or a whole URL. */
export function isRequest(text: string): boolean {
  return text.startsWith('/') || ABSOLUTE.test(text);
}

/**
 * Finds what is stored for a request as clients send it: the path of one to the server's own listener, or the URL of one to any of
 * its listeners.
 * @param request that asks for it: it says by which name the server is known
 * @param sites the server's own first
 * @throws EntrepotError `bad-request` for a URL of another server; `not-found` for a path at which nothing can be stored
 */
export async function storedFor(
  text: string,
  request: IncomingMessage,
  sites: readonly [MountedSite, ...MountedSite[]],
): Promise<StoredKeys> {
  const { mounted, rawPath, rawQuery } = placeOf(text, request, sites);
  const stored = await mounted.engine.keysAt({ rawPath: rawPath || '/', rawQuery, mount: mounted.sharedMount });
  if (stored !== undefined && stored.keys.length > 0) return stored;
  throw new EntrepotError(
    'not-found',
    `nothing is stored for ${text} itself: it is asked of the upstream each time, or made of what is stored. Expected the path of a file or a document`,
    { code: 'NOTHING_STORED' },
  );
}

interface Place {
  readonly mounted: MountedRepository;
  /** Below the mount. */
  readonly rawPath: string;
  readonly rawQuery: string;
}

function placeOf(text: string, request: IncomingMessage, sites: readonly [MountedSite, ...MountedSite[]]): Place {
  const [, origin, rest = ''] = ABSOLUTE.exec(text) ?? [];
  const [, path = '/', rawQuery = ''] = PATH.exec(origin === undefined ? text : rest) ?? [];
  const bases = origin === undefined ? mountsOf(sites[0]) : basesOf(request, sites);
  const wanted = origin === undefined ? path : placeName(origin) + path;
  const found = mountFinder(bases)(wanted);
  if (found !== undefined) return { ...found, rawPath: wanted.slice(found.mount.length), rawQuery };
  const known = bases.map(({ mount }) => mount || '/').join(', ');
  throw new EntrepotError(
    'bad-request',
    origin === undefined
      ? `no repository is mounted at ${path}; expected a path below one of ${known}`
      : `${text} is no URL of a repository of this server; expected one below ${known}`,
  );
}

/** A mounted repository, and where that is: a path, or a host and a path. */
interface Base {
  readonly mount: string;
  readonly mounted: MountedRepository;
}

function mountsOf({ repositories }: MountedSite): readonly Base[] {
  return repositories.map((mounted) => ({ mount: mounted.mount, mounted }));
}

/** Where clients find the repositories. The scheme does not count: whoever is in front may have ended TLS. */
function basesOf(request: IncomingMessage, sites: readonly MountedSite[]): readonly Base[] {
  const { host = 'localhost' } = request.headers;
  return sites.flatMap(({ repositories, port }, index) =>
    repositories.map((mounted) => {
      const authority = index === 0 ? undefined : `${new URL(`http://${host}`).hostname}:${port}`;
      return { mount: placeName(mounted.baseUrl(request, authority)), mounted };
    }),
  );
}

/** The host and the path of a URL. All names of this machine are one. */
function placeName(url: string): string {
  if (!URL.canParse(url))
    throw new EntrepotError('bad-request', `expected a URL, found ${JSON.stringify(url.slice(0, 200))}`);
  const { hostname, port, pathname } = new URL(url);
  const host = isLoopback(hostname) ? 'localhost' : hostname;
  return `${host}${port === '' ? '' : `:${port}`}${pathname === '/' ? '' : pathname}`;
}
