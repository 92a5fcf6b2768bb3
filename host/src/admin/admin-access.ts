import type { IncomingMessage } from 'node:http';
import { asEntrepotError, EntrepotError, type Logger } from '@entrepot/core';
import type { Context, Middleware, Next } from 'koa';
import type { AuditLog } from '../audit/audit-log.js';
import { changeOf } from './admin-change.js';
import { mayAdminister, requireAdministrator, type Administration, type Administrator } from './administration.js';
import type { SenderOf } from '../http/sender.js';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Questions that are about one repository alone where they name it. */
const ABOUT_ONE: ReadonlySet<string> = new Set(
  ['decisions', 'explain', 'roots', 'usage/ages', 'usage/packages'].map((path) => `/-/api/v1/${path}`),
);

export interface AdminAccessServices {
  readonly senderOf: SenderOf;
  /** The address of the client that sent a request. */
  readonly addressOf: (request: IncomingMessage) => string | undefined;
  readonly audit: Pick<AuditLog, 'changed' | 'denied'>;
  readonly logger: Logger;
}

/** Admission of administrators. */
export interface AdminAccess {
  /** Whether `request` is of somebody who may administer the server. `false` when that cannot be found out. */
  isAllowed(request: IncomingMessage): Promise<boolean>;
  /** Refuses all who may not administer the server as a whole; changes and refusals go to the audit log. */
  readonly guard: Middleware;
  /** The same for a route that asks `requireWithin` by itself: admits also those who may administer some repositories. */
  readonly guardWithin: Middleware;
}

/** @throws EntrepotError `forbidden` for who may not administer `repository` as a whole, or, without one, the server */
export function requireWithin(ctx: Context, repository: string | undefined): void {
  const administrator = administratorOf(ctx);
  if (mayAdminister(administrator, repository)) return;
  const place = repository === undefined ? 'the server as a whole' : `repository ${repository} as a whole`;
  throw new EntrepotError(
    'forbidden',
    `Administration: the scopes of ${administrator.name} do not let administer ${place}; see GET /-/api/v1/keys`,
    { code: 'KEY_SCOPE' },
  );
}

/** The one repository that a question is about. `undefined`: all of them. */
function repositoryOf({ method, path, query }: Context): string | undefined {
  if (method !== 'GET' || !ABOUT_ONE.has(path)) return undefined;
  const { repository } = query;
  return typeof repository === 'string' && repository !== '' ? repository : undefined;
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
  { senderOf, addressOf, audit, logger }: AdminAccessServices,
): AdminAccess {
  return {
    isAllowed: async (request) =>
      await identify(request).then(
        (administrator) => mayAdminister(administrator),
        () => false,
      ),
    guard: (ctx, next) => admit(ctx, next, () => requireWithin(ctx, repositoryOf(ctx))),
    guardWithin: (ctx, next) => admit(ctx, next, () => {}),
  };

  async function admit(ctx: Context, next: Next, check: () => void): Promise<void> {
    ctx.set('Cache-Control', 'no-store');
    const { method, path } = ctx;
    const address = addressOf(ctx.req);
    try {
      const administrator = await identify(ctx.req);
      ctx.state['administrator'] = administrator;
      requireAdministrator(administrator);
      check();
      await next();
    } catch (error) {
      if (error instanceof EntrepotError) noteRefusal(ctx, error, address);
      throw error;
    }
    if (SAFE.has(method)) return;
    const { name: actor } = administratorOf(ctx);
    logger.info({ administrator: actor, method, path, status: ctx.status }, 'administration');
    const change = ctx.status < 400 ? changeOf(ctx) : undefined;
    if (change !== undefined) audit.changed({ ...change, actor, address });
  }

  function noteRefusal(ctx: Context, { kind, code }: EntrepotError, address: string | undefined): void {
    if (kind !== 'unauthorized' && kind !== 'forbidden') return;
    const { method, path } = ctx;
    const { name: actor } = administratorOf(ctx);
    const event = kind === 'unauthorized' ? 'admin-unauthorized' : 'admin-forbidden';
    audit.denied({ event, actor, address, subject: path, detail: { method, code } }, `${method} ${code}`);
  }

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
