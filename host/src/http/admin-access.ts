import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { EntrepotError } from '@entrepot/core';
import ipaddr from 'ipaddr.js';
import type { Middleware } from 'koa';

/** Says whether a request may administer the server. */
export type AdminAccess = (request: IncomingMessage) => boolean;

/**
 * With a token: whoever sends it (RFC 6750 §2.1). Without: who is on this machine, and is neither a proxy that passes somebody
 * else's request on nor a page in a browser that was led here.
 */
export function adminAccess(token: string | undefined): AdminAccess {
  if (token === undefined) return isLocal;
  const expected = fingerprint(token);
  return ({ headers }) => {
    const given = /^Bearer +([^ ]+) *$/i.exec(headers.authorization ?? '')?.[1];
    return given !== undefined && timingSafeEqual(fingerprint(given), expected);
  };
}

/** Lets nobody past whom `mayAdminister` does not. */
export function adminGuard(mayAdminister: AdminAccess, hasToken: boolean): Middleware {
  return (ctx, next) => {
    ctx.set('Cache-Control', 'no-store');
    if (mayAdminister(ctx.req)) return next();
    if (!hasToken) {
      throw new EntrepotError(
        'forbidden',
        'Administration: it answers this machine alone as long as admin.token is not set',
      );
    }
    throw new EntrepotError('unauthorized', 'Administration: expected the bearer token of admin.token', {
      headers: { 'WWW-Authenticate': 'Bearer realm="administration"' },
    });
  };
}

function isLocal({ headers, socket }: IncomingMessage): boolean {
  if (!isLoopback(socket.remoteAddress)) return false;
  if (headers.forwarded !== undefined || Object.keys(headers).some((name) => name.startsWith('x-forwarded-')))
    return false;
  // A name that somebody else resolves to this machine (DNS rebinding).
  if (!isLoopback(hostnameOf(`http://${headers.host ?? ''}`))) return false;
  return headers.origin === undefined || headers.origin.endsWith(`//${headers.host ?? ''}`);
}

function hostnameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : undefined;
}

function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback');
}

/** Of one length, so that comparing says nothing of the token's own. */
function fingerprint(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
