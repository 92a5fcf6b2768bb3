import type { IncomingMessage } from 'node:http';
import { withoutTrailingSlashes, EntrepotError } from '@entrepot/core';
import { knownOrigins } from './known-origins.js';
import type { TrustedProxies } from './trusted-proxies.js';

/** A host name or a bracketed IPv6 address, with or without a port: nothing that could change a URL around it. */
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** The URL under which a client reaches a repository, without a trailing slash. */
export type BaseUrl = (request: IncomingMessage, authority: string | undefined) => string;

/**
 * @param publicUrl the URL of the repository where the configuration says it; the request is then not looked at
 * @param mount where the repository is mounted; empty for `/`
 */
export function baseUrlOf(
  publicUrl: string | undefined,
  mount: string,
  proxies: TrustedProxies,
  admit = knownOrigins(),
): BaseUrl {
  if (publicUrl !== undefined) {
    const fixed = withoutTrailingSlashes(publicUrl);
    return () => fixed;
  }
  // Clients of a repository nearly always name it alike, so the last answer is the next one.
  let lastOrigin = '';
  let lastUrl = '';
  return (request, authority) => {
    const origin = originOf(request, authority, proxies);
    if (origin !== lastOrigin) {
      admit(origin);
      lastUrl = origin + mount;
      lastOrigin = origin;
    }
    return lastUrl;
  };
}

/**
 * Scheme and host as the client sees them: from the request, or from a proxy that is trusted.
 * @throws EntrepotError `bad-request` for a `Host` that is none.
 */
export function originOf(request: IncomingMessage, authority: string | undefined, proxies: TrustedProxies): string {
  const { headers, socket } = request;
  let scheme = 'encrypted' in socket ? 'https' : 'http';
  let host = authority ?? headers.host ?? `${bracketed(socket.localAddress)}:${socket.localPort}`;
  const forwardedProto = headers['x-forwarded-proto'];
  const forwardedHost = headers['x-forwarded-host'];
  if ((forwardedProto !== undefined || forwardedHost !== undefined) && proxies(socket.remoteAddress)) {
    const proto = firstOf(forwardedProto)?.toLowerCase();
    if (proto === 'http' || proto === 'https') scheme = proto;
    host = firstOf(forwardedHost) ?? host;
  }
  if (!HOST.test(host))
    throw new EntrepotError('bad-request', 'Host: expected a host name or address, and a port or none');
  return `${scheme}://${host}`;
}

function firstOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  const first = text?.split(',', 1)[0]?.trim();
  return first === '' ? undefined : first;
}

function bracketed(address = 'localhost'): string {
  return address.includes(':') ? `[${address}]` : address;
}
