import { EntrepotError } from '@entrepot/core';
import { fieldsOf } from '@entrepot/core/formats';
import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { readValue } from '../http/read-body.js';
import type { Collection, CollectRequest } from '../space/collection.js';

const PATH = '/-/api/v1/gc';
const BATCH = { least: 10, most: 10_000 };
const FLAGS = ['dryRun', 'reconcile', 'force'] as const;

/** Adds the deletion of what nobody needs: POST begins a run, GET tells how far it is, DELETE ends it. */
export function gcRoutes(router: Router, collection: Collection, guard: Middleware, usualBatch: number): void {
  router.get(PATH, guard, (ctx) => {
    ctx.body = { run: collection.status };
  });
  router.post(PATH, guard, async (ctx) => {
    ctx.body = { run: collection.begin(requestOf(await readValue(ctx.req), usualBatch)) };
    ctx.status = 202;
  });
  router.delete(PATH, guard, async (ctx) => {
    const run = await collection.cancel();
    if (run === undefined)
      throw new EntrepotError('not-found', 'no collection is running that an administrator asked for');
    ctx.body = { run };
  });
}

/** @throws EntrepotError `bad-request` */
function requestOf(form: unknown, usualBatch: number): CollectRequest {
  const { batchSize = usualBatch, ...others } = fieldsOf(form ?? {});
  for (const [name, value] of Object.entries(others)) {
    if (!FLAGS.includes(name as (typeof FLAGS)[number]))
      throw wrong(name, `nothing but ${FLAGS.join(', ')} and batchSize`);
    if (typeof value !== 'boolean') throw wrong(name, 'true or false');
  }
  const isBatch = typeof batchSize === 'number' && Number.isSafeInteger(batchSize);
  if (!isBatch || batchSize < BATCH.least || batchSize > BATCH.most)
    throw wrong('batchSize', `a whole number from ${BATCH.least} to ${BATCH.most}`);
  return { ...(others as Pick<CollectRequest, (typeof FLAGS)[number]>), batchSize };
}

function wrong(key: string, expected: string): EntrepotError {
  return new EntrepotError('bad-request', `${key}: expected ${expected}`);
}
