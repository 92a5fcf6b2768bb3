import { EntrepotError } from '../api/errors.js';
import type { RequestHead } from '../api/protocol.js';
import type { Protocol } from '../engine/request/protocol.js';
import type { BoundResource } from '../engine/request/resource.js';
import { parseRequestPath, type PathRules } from '../engine/request/request-path.js';
import type { TestRequest } from './test-repository.js';

/** The result of routing: the resource, `not-found` for nothing, or the kind of the error. */
export type Routed = BoundResource | string;

/** Routes each of `requests` (a path, for GET). The result by `METHOD path` is a table for `toEqual` or a snapshot. */
export function routeTable(
  protocol: Protocol,
  requests: readonly (TestRequest | string)[],
  rules?: PathRules,
): Readonly<Record<string, Routed>> {
  const table: Record<string, Routed> = {};
  for (const request of requests.map(asRequest)) {
    const label = printRequest(request);
    // One path may be asked for with several headers.
    const key = label in table ? `${label} ${JSON.stringify(request.headers ?? {})}` : label;
    const found = routeRequest(protocol, request, rules);
    table[key] = typeof found === 'string' ? found : (shownAs(found) as BoundResource);
  }
  return table;
}

/** Routes one request. Errors that `route` must not throw are thrown. */
export function routeRequest(protocol: Protocol, request: TestRequest, rules?: PathRules): Routed {
  try {
    return protocol.route(headOf(request, rules)) ?? 'not-found';
  } catch (error) {
    if (error instanceof EntrepotError) return (error as EntrepotError).kind;
    throw error;
  }
}

/**
 * The head that the pipeline gives to `route`.
 * @throws EntrepotError `bad-request` for a path that never gets to it.
 */
export function headOf({ method = 'GET', path, headers = {} }: TestRequest, rules?: PathRules): RequestHead {
  const split = path.indexOf('?');
  const rawQuery = split < 0 ? '' : path.slice(split + 1);
  return {
    method,
    ...parseRequestPath(split < 0 ? path : path.slice(0, split), rules),
    query: new URLSearchParams(rawQuery),
    rawQuery,
    header: (name) => headers[name],
  };
}

/** Gives what the plugin named, for tables and messages. */
export function shownAs(resource: BoundResource): object {
  return 'named' in resource ? resource.named : resource;
}

/** A path alone is a GET of it. */
export function asRequest(request: TestRequest | string): TestRequest {
  return typeof request === 'string' ? { path: request } : request;
}

/** `GET /path` */
export function printRequest({ method = 'GET', path }: TestRequest): string {
  return `${method} ${path}`;
}
