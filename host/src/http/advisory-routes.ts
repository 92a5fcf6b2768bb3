import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { EntrepotError } from '@entrepot/core';
import type { Context } from 'koa';
import { z } from 'zod';
import type { HostScanner } from '../scanning/scan-worker.js';
import { answererOf } from '../scanning/answerer.js';
import { operation, text } from './operations/operation.js';
import type { Operations } from './operations/operations.js';
import { plainText } from './operations/schemas.js';
import { readBody } from './read-body.js';

/** The largest question, compressed or not, in bytes: a thousand queries. It is parsed between two other requests. */
const MAX_QUESTION = 1024 * 1024;

const unzip = promisify(gunzip);

const common = { tag: 'scans', access: 'reader', asSent: true, errors: ['not-found'] } as const;
const answered = { 200: { description: 'As the API of OSV has it.', json: z.looseObject({}) } };
const asked = { schema: z.looseObject({}), maxBytes: MAX_QUESTION };

/** The operations of an advisory database, under the paths of its own API. */
export const ADVISORIES = {
  query: operation({
    ...common,
    id: 'queryAdvisories',
    summary: 'Lists the advisories on one package, as the API of OSV does.',
    method: 'post',
    path: '/v1/query',
    body: asked,
    replies: answered,
  }),
  batch: operation({
    ...common,
    id: 'queryAdvisoriesOfMany',
    summary: 'Lists the ids of advisories on many packages, as the API of OSV does.',
    method: 'post',
    path: '/v1/querybatch',
    body: asked,
    replies: answered,
  }),
  get: operation({
    ...common,
    id: 'getAdvisory',
    summary: 'Reads one advisory, as the API of OSV does.',
    method: 'get',
    path: '/v1/vulns/{id}',
    parameters: z.strictObject({ id: plainText(200) }),
    replies: answered,
  }),
};

/** The API of an advisory database (api.osv.dev), answered from the database of a scanner that offers that. */
export function advisoryRoutes(operations: Operations, scanners: readonly HostScanner[]): void {
  const answer = answererOf(scanners);
  if (answer === undefined) return;
  const route = async ({ ctx }: { readonly ctx: Context }) => {
    const { method, path } = ctx;
    const body = method === 'POST' ? await questionOf(ctx) : undefined;
    const given = method === 'POST' || method === 'GET' ? await answer({ method, path, body }) : undefined;
    if (given === undefined) throw new EntrepotError('not-found', 'No scanner answers this');
    ctx.set('Cache-Control', 'no-store');
    // It answers errors in the words of that API, too.
    return text(
      given.status as 200,
      given.mediaType,
      typeof given.body === 'string' ? given.body : Buffer.from(given.body),
    );
  };
  operations.add(ADVISORIES.query, route);
  operations.add(ADVISORIES.batch, route);
  operations.add(ADVISORIES.get, route);
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
