import type { IncomingMessage } from 'node:http';
import { asEntrepotError, EntrepotError, type Logger } from '@entrepot/core';
import type { Context, Middleware } from 'koa';
import type { Administration, Administrator } from './administration.js';
import type { SenderOf } from '../http/sender.js';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Admits administrators: those of the configuration. Where it names none, users of this machine and bearers of the
 * generated token.
 */
export class AdminAccess {
  readonly #administration: Administration;
  readonly #senderOf: SenderOf;
  readonly #administrators = new WeakMap<IncomingMessage, Administrator>();

  constructor(administration: Administration, senderOf: SenderOf) {
    this.#administration = administration;
    this.#senderOf = senderOf;
  }

  /** Whether `request` is an administrator's. `false` when that cannot be found out. */
  async isAllowed(request: IncomingMessage): Promise<boolean> {
    return this.#authenticate(request).then(
      () => true,
      () => false,
    );
  }

  /** The administrator who sent the request of `ctx`, which has passed the guard. */
  administratorOf({ req }: Context): Administrator {
    return this.#administrators.get(req) ?? {};
  }

  /** Refuses all others, and logs changes. */
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
    const { challenge, trustsLocal } = this.#administration;
    const sender = this.#senderOf(request);
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
      return await this.#administration.authenticate(authorization);
    } catch (error) {
      const { kind, message, code } = asEntrepotError(error, 'plugin', 'Checking who asks failed');
      throw kind === 'unauthorized' ? new EntrepotError(kind, message, { code, headers }) : error;
    }
  }
}
