import { EntrepotError } from '@entrepot/core';
import { fieldsOf, parseSize } from '@entrepot/core/formats';
import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { readValue } from '../http/read-body.js';
import type { Verification, VerifyRequest } from '../space/verification.js';

const PATH = '/-/api/v1/verify';
/** The rate of a run for which none is named, in bytes a second. */
const RATE = 50 * 1024 * 1024;
const BATCH = { least: 1, most: 10_000 };

export interface VerifyRoutesOptions {
  readonly verification: Verification;
  /** Admits administrators. */
  readonly guard: Middleware;
  /** The number of blobs that are looked up together, where a request names none. */
  readonly batchSize: number;
}

/** Adds the verification of blobs: POST begins a run, GET tells how far it is, DELETE ends it. */
export function verifyRoutes(router: Router, { verification, guard, batchSize }: VerifyRoutesOptions): void {
  router.get(PATH, guard, (ctx) => {
    ctx.body = verification.status;
  });
  router.post(PATH, guard, async (ctx) => {
    const request = verifyRequestOf(await readValue(ctx.req), batchSize);
    ctx.body = await verification.begin(request);
    ctx.status = 202;
  });
  router.delete(PATH, guard, async (ctx) => {
    const ended = await verification.cancel();
    if (ended === undefined)
      throw new EntrepotError('not-found', 'no verification is running that an administrator asked for');
    ctx.body = ended;
  });
}

/** @throws EntrepotError `bad-request` */
function verifyRequestOf(form: unknown, usualBatch: number): VerifyRequest {
  const { dryRun = false, heal = true, rate = RATE, batchSize = usualBatch, ...others } = fieldsOf(form ?? {});
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw wrong(unknown, 'nothing but dryRun, heal, rate and batchSize');
  if (typeof dryRun !== 'boolean') throw wrong('dryRun', 'true or false');
  if (typeof heal !== 'boolean') throw wrong('heal', 'true or false');
  const bytes = typeof rate === 'string' || typeof rate === 'number' ? parseSize(rate) : undefined;
  if (bytes === undefined || bytes <= 0) throw wrong('rate', 'a size such as 50MiB, a second, or unlimited');
  const isBatch = typeof batchSize === 'number' && Number.isSafeInteger(batchSize);
  if (!isBatch || batchSize < BATCH.least || batchSize > BATCH.most)
    throw wrong('batchSize', `a whole number from ${BATCH.least} to ${BATCH.most}`);
  return { dryRun, heal, rate: bytes, batchSize };
}

function wrong(key: string, expected: string): EntrepotError {
  return new EntrepotError('bad-request', `${key}: expected ${expected}`);
}
