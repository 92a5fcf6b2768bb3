import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Operation } from './operations/operation.js';
import { operation, text } from './operations/operation.js';
import type { Operations } from './operations/operations.js';

/** The operation that describes all others. */
export const OPENAPI = operation({
  id: 'getOpenApi',
  tag: 'server',
  summary: 'Describes the operations of this server in OpenAPI 3.1.',
  method: 'get',
  path: '/-/api/openapi.json',
  access: 'everybody',
  query: 'ignored',
  replies: { 200: { description: 'The document.', json: z.looseObject({ openapi: z.literal('3.1.0') }) } },
});

export interface OpenApiRouteOptions {
  /** The version of the server. */
  readonly version: string;
  /** The URL of the server. Default: that of the request. */
  readonly base: string | undefined;
}

interface Document {
  readonly info: object;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
}

/** Adds the description of the operations that this server has. */
export function openApiRoute(operations: Operations, { version, base }: OpenApiRouteOptions): void {
  let document: string | undefined;
  operations.add(OPENAPI, ({ ctx }) => {
    document ??= JSON.stringify(describeThose(operations.all, version, base));
    ctx.set('Cache-Control', 'no-cache');
    return text(200, 'application/json; charset=utf-8', document);
  });
}

/** The document of all operations, which is generated, as far as a server has them. */
function describeThose(operations: readonly Operation[], version: string, base: string | undefined): object {
  const file = readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8');
  const { info, paths, ...rest } = JSON.parse(file) as Document;
  const known = new Map(
    Object.values(paths).flatMap((path) => Object.values(path).map((one) => [one.operationId, one] as const)),
  );
  const own: Record<string, Record<string, object | undefined>> = {};
  for (const { id, path, method } of operations) (own[path] ??= {})[method] = known.get(id);
  return { ...rest, info: { ...info, version }, paths: own, ...(base !== undefined && { servers: [{ url: base }] }) };
}
