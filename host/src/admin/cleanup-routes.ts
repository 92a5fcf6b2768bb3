import { EntrepotError } from '@entrepot/core';
import { fieldsOf } from '@entrepot/core/formats';
import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { readValue } from '../http/read-body.js';
import type { Cleanup } from '../space/cleanup.js';
import { parameterOf } from './admin-input.js';

/** The longest that an answer waits for the end of a cleanup, in milliseconds. */
const PATIENCE = 20_000;

/**
 * Adds cleanup to the API of administration. `POST /cleanup` begins one. The answer comes when it has ended, or after a while, when
 * `running` says that it goes on; `GET /cleanup/<id>` then tells how far it is.
 */
export function cleanupRoutes(router: Router, cleanup: Cleanup, guard: Middleware): void {
  router.post('/-/api/v1/cleanup', guard, async (ctx) => {
    const { id } = cleanup.begin(wantedOf(await readValue(ctx.req)));
    ctx.body = await cleanup.find(id, PATIENCE);
  });
  router.get('/-/api/v1/cleanup/:id', guard, async (ctx) => {
    ctx.body = await cleanup.find(parameterOf(ctx, 'id'), PATIENCE);
  });
}

/** Reads what is to be cleaned up. @throws EntrepotError `bad-request` */
function wantedOf(value: unknown): { readonly repository?: string | undefined; readonly dryRun: boolean } {
  const { repository, dryRun, ...others } = fieldsOf(value);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new EntrepotError('bad-request', `${unknown}: unknown key`);
  if (repository !== undefined && typeof repository !== 'string')
    throw new EntrepotError('bad-request', 'repository: expected the name of a repository');
  if (typeof dryRun !== 'boolean') throw new EntrepotError('bad-request', 'dryRun: expected true or false');
  return { repository, dryRun };
}
