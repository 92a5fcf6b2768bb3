import type { IncomingMessage } from 'node:http';
import { asEntrepotError, EntrepotError, type Logger } from '@entrepot/core';
import type { Context, Middleware } from 'koa';
import type { Administration, Administrator } from './administration.js';
import type { SenderOf } from '../http/sender.js';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Admission of administrators. */
export interface AdminAccess {
  /** Whether `request` is an administrator's. `false` when that cannot be found out. */
  isAllowed(request: IncomingMessage): Promise<boolean>;
  /** Refuses all others, and logs changes. */
  readonly guard: Middleware;
}

/** The administrator who sent the request of `ctx`, which has passed the guard. */
export function administratorOf({ state }: Context): Administrator {
  return (state as { readonly administrator?: Administrator }).administrator ?? {};
}

/**
 * Admits administrators: those of the configuration. Where it names none, users of this machine and bearers of the
 * generated token.
 */
export function adminAccess(
  { challenge, trustsLocal, authenticate }: Administration,
  senderOf: SenderOf,
  logger: Logger,
): AdminAccess {
  return {
    isAllowed: async (request) =>
      await identify(request).then(
        () => true,
        () => false,
      ),
    async guard(ctx, next) {
      ctx.set('Cache-Control', 'no-store');
      const administrator = await identify(ctx.req);
      ctx.state['administrator'] = administrator;
      await next();
      if (SAFE.has(ctx.method)) return;
      const { method, path, status } = ctx;
      logger.info({ administrator: administrator.name, method, path, status }, 'administration');
    },
  };

  async function identify(request: IncomingMessage): Promise<Administrator> {
    const { authorization } = request.headers;
    const sender = senderOf(request);
    if (authorization === undefined && trustsLocal && sender === 'this-machine') return {};
    const headers = { 'WWW-Authenticate': challenge };
    // A browser sends passwords along by itself, also for a page that was led here.
    if (authorization === undefined || (/^basic /i.test(authorization) && sender === 'foreign-page')) {
      const expected = trustsLocal
        ? 'the token that was made at the first start, which the log and the documentation tell where to find'
        : 'the credentials of an administrator';
      throw new EntrepotError('unauthorized', `Administration: expected ${expected}`, { headers });
    }
    try {
      return await authenticate(authorization);
    } catch (error) {
      const { kind, message, code } = asEntrepotError(error, 'plugin', 'Checking who asks failed');
      throw kind === 'unauthorized' ? new EntrepotError(kind, message, { code, headers }) : error;
    }
  }
}
