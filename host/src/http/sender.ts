import type { IncomingMessage } from 'node:http';
import type { Sender } from '@entrepot/core/engine';
import ipaddr from 'ipaddr.js';
import { isLoopback } from '../config/listen-address.js';
import { originOf } from './base-url.js';
import type { TrustedProxies } from './trusted-proxies.js';

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Headers by which proxies and content delivery networks say for whom they ask, or that they do. */
const FORWARDED =
  /^(?:forwarded|via|cdn-loop|max-forwards|x-real-ip|x-real-port|x-host|x-proxyuser-ip|x-remote-(?:addr|ip)|x-(?:forwarded|forward|original|envoy|azure|appengine|arr|amzn|amz-cf|cloud|coming|sendfile|scheme|proxy)(?:-.*|$)|(?:.*-)?(?:client|connecting|remote|source)-ip(?:v6)?|cf-ray)$/;

/** Settings that tell how clients reach this server. */
export interface SenderRules {
  /** URLs under which clients reach the server or a repository of it. */
  readonly publicUrls: readonly string[];
  readonly proxies: TrustedProxies;
  /** Whether the configuration names reverse proxies. Then no request over loopback counts as a local user's. */
  readonly hasProxies: boolean;
}

/** Where a request was sent from. */
export type SenderOf = (request: IncomingMessage) => Sender;

/**
 * Tells users of this machine from others, and from pages of other sites in their browsers.
 * A reverse proxy on this machine uses loopback too. It is recognised by a forwarding header, by `Via`, by the client's
 * `Host`, by HTTP/1.0 (nginx), or by the configuration.
 */
export function createSenderOf({ publicUrls, proxies, hasProxies }: SenderRules): SenderOf {
  const publicHosts = new Set(publicUrls.map((url) => new URL(url).host));
  const isRelayed = hasProxies || publicUrls.some((url) => !isLoopback(new URL(url).hostname));
  return (request) => {
    if (isForeignPage(request, publicHosts, proxies)) return 'foreign-page';
    return !isRelayed && isLocal(request) ? 'this-machine' : 'elsewhere';
  };
}

function isLocal({ headers, httpVersionMinor, socket }: IncomingMessage): boolean {
  if (httpVersionMinor === 0 || !isLoopback(socket.remoteAddress)) return false;
  for (const name in headers) if (FORWARDED.test(name)) return false;
  // A name that somebody else resolves to this machine (DNS rebinding) is none of its own.
  return isLoopback(hostnameOf(headers.host));
}

/**
 * Whether a browser sends the request for a page of another site (Fetch Standard, "Origin header"; Fetch Metadata, "Sec-Fetch-Site").
 * Of changes also for a page under a name that the configuration does not know: anybody can have a name lead here.
 */
function isForeignPage(request: IncomingMessage, publicHosts: ReadonlySet<string>, proxies: TrustedProxies): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers;
  const changes = !SAFE.has(request.method ?? '');
  if (site === 'cross-site' || site === 'same-site') return changes;
  if (origin === undefined) return false;
  if (!URL.canParse(origin)) return true;
  const page = new URL(origin);
  if (publicHosts.has(page.host)) return false;
  const own = new URL(originOf(request, undefined, proxies));
  // Without ports that follow from the scheme, which a proxy may have changed.
  if (page.host !== own.host && page.host !== new URL(`${page.protocol}//${own.host}`).host) return true;
  return changes && !isLoopback(own.hostname) && !ipaddr.isValid(own.hostname.replace(/^\[|\]$/g, ''));
}

function hostnameOf(host: string | undefined): string | undefined {
  const url = `http://${host ?? ''}`;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}
