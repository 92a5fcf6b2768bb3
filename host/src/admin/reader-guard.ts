import { EntrepotError, type Access } from '@entrepot/core';
import type { Middleware } from 'koa';
import type { AdminAccess } from './admin-access.js';

const READ = { right: 'read' } as const;

/**
 * Guards replies of the server itself to users of its repositories. Where no repository is open to everybody, it admits
 * only administrators and callers whom one of the repositories knows.
 */
export function readerGuard(accesses: readonly Access[], admins: AdminAccess): Middleware {
  const isOpen = accesses.length === 0 || accesses.some((access) => access.isOpen(READ));
  return async (ctx, next) => {
    if (!isOpen && !(await isKnown(ctx.get('Authorization'))) && !(await admins.isAllowed(ctx.req))) {
      const [access] = accesses as readonly [Access];
      throw new EntrepotError('unauthorized', 'Expected the credentials of somebody who may read a repository', {
        headers: { 'WWW-Authenticate': access.challenge(READ) },
      });
    }
    await next();
  };

  async function isKnown(authorization: string): Promise<boolean> {
    if (authorization === '') return false;
    for (const access of accesses) {
      try {
        if ((await access.authenticate(authorization)).name !== undefined) return true;
      } catch (error) {
        if (!(error instanceof EntrepotError) || (error as EntrepotError).status !== 401) throw error;
      }
    }
    return false;
  }
}
