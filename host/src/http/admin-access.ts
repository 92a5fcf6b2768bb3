import type { IncomingMessage } from 'node:http';
import { asEntrepotError, EntrepotError, type Logger } from '@entrepot/core';
import ipaddr from 'ipaddr.js';
import type { Context, Middleware } from 'koa';
import type { Administration, Administrator } from '../access/administration.js';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Who may administer: those whom the configuration names. Where it names nobody, who is on this machine, and is neither a proxy
 * that passes somebody else's request on nor a page in a browser that was led here.
 */
export class AdminAccess {
  readonly #administration: Administration;
  readonly #administrators = new WeakMap<IncomingMessage, Administrator>();

  constructor(administration: Administration) {
    this.#administration = administration;
  }

  /** Whether `request` is of somebody who may; whoever cannot be asked about is not. */
  async isAllowed(request: IncomingMessage): Promise<boolean> {
    return this.#authenticate(request).then(
      () => true,
      () => false,
    );
  }

  /** Who sent the request of `ctx`, which has passed the guard. */
  administratorOf({ req }: Context): Administrator {
    return this.#administrators.get(req) ?? {};
  }

  /** Lets nobody else past, and has what is changed written down. */
  guard(logger: Logger): Middleware {
    return async (ctx, next) => {
      ctx.set('Cache-Control', 'no-store');
      const administrator = await this.#authenticate(ctx.req);
      this.#administrators.set(ctx.req, administrator);
      await next();
      if (SAFE.has(ctx.method)) return;
      const { method, path, status } = ctx;
      logger.info({ administrator: administrator.name, method, path, status }, 'administration');
    };
  }

  async #authenticate(request: IncomingMessage): Promise<Administrator> {
    const { authorization } = request.headers;
    if (!this.#administration.isConfigured) {
      if (isLocal(request)) return {};
      throw new EntrepotError(
        'forbidden',
        'Administration: it answers this machine alone as long as admin.token, admin.users and admin.jwt are not set',
      );
    }
    const headers = { 'WWW-Authenticate': this.#administration.challenge };
    // A browser sends passwords along by itself, also for a page that was led here.
    if (authorization === undefined || (/^basic /i.test(authorization) && isForeignPage(request)))
      throw new EntrepotError('unauthorized', 'Administration: expected the credentials of an administrator', {
        headers,
      });
    try {
      return await this.#administration.authenticate(authorization);
    } catch (error) {
      const { kind, message, code } = asEntrepotError(error, 'plugin', 'Checking who asks failed');
      throw kind === 'unauthorized' ? new EntrepotError(kind, message, { code, headers }) : error;
    }
  }
}

function isLocal(request: IncomingMessage): boolean {
  const { headers, socket } = request;
  if (!isLoopback(socket.remoteAddress)) return false;
  if (headers.forwarded !== undefined || Object.keys(headers).some((name) => name.startsWith('x-forwarded-')))
    return false;
  // A name that somebody else resolves to this machine (DNS rebinding).
  return isLoopback(hostnameOf(`http://${headers.host ?? ''}`)) && !isForeignPage(request);
}

/** Whether a browser asks for a page of another site (Fetch Standard, "Origin header"). */
function isForeignPage({ headers: { origin, host = '' } }: IncomingMessage): boolean {
  return origin !== undefined && !origin.endsWith(`//${host}`);
}

function hostnameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : undefined;
}

function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback');
}
