import type { LocalReply } from '../../plugin/resource.js';
import { headerIn, mergeHeaders } from '../request/merge-headers.js';
import { PassedRedirect } from '../upstream/passed-redirect.js';
import { cacheStatus, outcomeOf, xCache } from './outcome.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import { sandboxFor } from './sandbox.js';

/** The reply for a resource that needs neither storage nor upstream. */
export function localReply(
  repository: string,
  request: EngineRequest,
  { status, headers, body = '' }: LocalReply,
): EngineReply {
  const bytes = Buffer.from(body);
  const type = headerIn(headers, 'content-type');
  return {
    status,
    headers: mergeHeaders(
      {
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
        ...(bytes.length > 0 && sandboxFor(type ?? '')),
      },
      headers,
      {
        'Content-Length': String(bytes.length),
        'X-Cache': xCache('local'),
        'Cache-Status': cacheStatus({ name: 'local' }),
      },
    ),
    body: request.method === 'HEAD' || bytes.length === 0 ? undefined : bytes,
    outcome: outcomeOf(repository, 'local', { name: 'local' }),
  };
}

/**
 * Makes the reply for an upstream's redirect that clients see. Its location is relative, so that mounts and proxies in front need not be
 * known. `undefined`: `error` is none.
 */
export function redirectReply(repository: string, request: EngineRequest, error: unknown): EngineReply | undefined {
  const redirect = PassedRedirect.in(error);
  if (redirect === undefined) return undefined;
  const up = '../'.repeat(request.rawPath.split('/').length - 2) || './';
  return localReply(repository, request, {
    status: redirect.status,
    headers: { Location: up + redirect.target },
  });
}
