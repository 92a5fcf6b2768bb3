import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { EntrepotError, type ScannerAnswer } from '@entrepot/core';
import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { HostScanner } from '../scanning/scan-worker.js';
import { readBody } from './read-body.js';

/** The largest question, compressed or not, in bytes: a thousand queries. It is parsed between two other requests. */
const MAX_QUESTION = 1024 * 1024;

const unzip = promisify(gunzip);

/**
 * The API of an advisory database (api.osv.dev), answered from the database of a scanner that offers that.
 * @param guard admits callers
 */
export function advisoryRoutes(router: Router, scanners: readonly HostScanner[], guard: Middleware): void {
  if (!scanners.some(({ scanner }) => scanner.answer !== undefined)) return;
  const answer = async (ctx: Context): Promise<void> => {
    if (!send(ctx, await answerOf(ctx, ctx.path, scanners)))
      throw new EntrepotError('not-found', 'No scanner answers this');
  };
  router.post('/v1/query', guard, answer);
  router.post('/v1/querybatch', guard, answer);
  router.get('/v1/vulns/:id', guard, answer);
}

function send(ctx: Context, answer: ScannerAnswer | undefined): boolean {
  if (answer === undefined) return false;
  ctx.status = answer.status;
  ctx.set('Content-Type', answer.mediaType);
  ctx.set('Cache-Control', 'no-store');
  ctx.body = typeof answer.body === 'string' ? answer.body : Buffer.from(answer.body);
  return true;
}

async function answerOf(
  ctx: Context,
  path: string,
  scanners: readonly HostScanner[],
): Promise<ScannerAnswer | undefined> {
  const { method } = ctx;
  const able = scanners.filter(({ scanner }) => scanner.answer !== undefined);
  if (able.length === 0 || (method !== 'GET' && method !== 'POST')) return undefined;
  const body = method === 'POST' ? await questionOf(ctx) : undefined;
  for (const { scanner } of able) {
    const answer = await scanner.answer?.({ method, path, body });
    if (answer !== undefined) return answer;
  }
  return undefined;
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
