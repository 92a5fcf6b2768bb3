import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { EntrepotError } from '@entrepot/core';
import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { HostScanner } from '../scanning/scan-worker.js';
import { answererOf } from '../scanning/answerer.js';
import { readBody } from './read-body.js';

/** The largest question, compressed or not, in bytes: a thousand queries. It is parsed between two other requests. */
const MAX_QUESTION = 1024 * 1024;

const unzip = promisify(gunzip);

/**
 * The API of an advisory database (api.osv.dev), answered from the database of a scanner that offers that.
 * @param guard admits callers
 */
export function advisoryRoutes(router: Router, scanners: readonly HostScanner[], guard: Middleware): void {
  const answer = answererOf(scanners);
  if (answer === undefined) return;
  const route = async (ctx: Context): Promise<void> => {
    const { method, path } = ctx;
    const body = method === 'POST' ? await questionOf(ctx) : undefined;
    const given = method === 'POST' || method === 'GET' ? await answer({ method, path, body }) : undefined;
    if (given === undefined) throw new EntrepotError('not-found', 'No scanner answers this');
    ctx.status = given.status;
    ctx.set('Content-Type', given.mediaType);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = typeof given.body === 'string' ? given.body : Buffer.from(given.body);
  };
  router.post('/v1/query', guard, route);
  router.post('/v1/querybatch', guard, route);
  router.get('/v1/vulns/:id', guard, route);
}

async function questionOf(ctx: Context): Promise<Buffer> {
  const sent = await readBody(ctx.req, MAX_QUESTION);
  if (ctx.get('Content-Encoding') !== 'gzip') return sent;
  try {
    return await unzip(sent, { maxOutputLength: MAX_QUESTION });
  } catch (error) {
    throw new EntrepotError('bad-request', `Body: expected at most ${MAX_QUESTION} bytes of gzip`, { cause: error });
  }
}
