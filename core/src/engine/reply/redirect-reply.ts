import type { EngineReply, EngineRequest } from '../request/request.js';
import { PassedRedirect } from '../upstream/passed-redirect.js';
import { localReply } from './local-reply.js';

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
