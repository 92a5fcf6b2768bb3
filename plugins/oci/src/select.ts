import type { LocalReply, RequestHead, SharedAnswer, SharedRepository } from '@entrepot/core';
import { isNamespace, namespaceOf } from './namespaces.js';
import type { OciOptions } from './options.js';
import { sharedCatalog } from './shared-catalog.js';

/** Headers by which docker knows a registry, also in errors (oldest clients look for it in the 401 of `/v2/`). */
export const REPLY_HEADERS = { 'Docker-Distribution-API-Version': 'registry/2.0' };

/** The reply to `/v2/`: the registry is there. */
export const ROOT: LocalReply = { status: 200, headers: { 'Content-Type': 'application/json' }, body: '{}' };

/**
 * Finds the repository that a request means. `?ns=` of containerd says which registry it believes to talk to: it is looked up
 * among ours, and never dialled. A name that begins as one of our repositories is called is still a name of that registry,
 * unless the repository mirrors it, too: then the client was given that path (`override_path`).
 */
export function select(
  head: RequestHead,
  repositories: readonly SharedRepository[],
  named?: string,
): SharedAnswer | undefined {
  const { segments, query } = head;
  if (segments.length === 0) return { reply: ofMount(ROOT), guarded: true };
  if (named === undefined && segments.length === 1 && segments[0] === '_catalog')
    return sharedCatalog(head, repositories);
  const asked = query.getAll('ns');
  if (asked.length === 0) return undefined;
  const [host = ''] = asked;
  const namespace = asked.length === 1 && isNamespace(host) ? namespaceOf(host) : undefined;
  const mirrors = repositories.filter(
    (repository) => namespace !== undefined && namespacesOf(repository).includes(namespace),
  );
  if (mirrors.some(({ name }) => name === named)) return undefined;
  const [found] = mirrors;
  if (found !== undefined) return { repository: found.name };
  if (named !== undefined) return undefined;
  const body = JSON.stringify({
    errors: [{ code: 'NAME_UNKNOWN', message: 'No repository here is a mirror of the registry that ns names' }],
  });
  return { reply: ofMount({ ...ROOT, status: 404, body }) };
}

function ofMount(reply: LocalReply): LocalReply {
  return { ...reply, headers: { ...REPLY_HEADERS, ...reply.headers } };
}

function namespacesOf({ type, kind, options, upstreams }: SharedRepository): (string | undefined)[] {
  if (type !== 'oci' || kind !== 'proxy') return [];
  const { namespaces } = options as OciOptions;
  return (namespaces ?? upstreams.map(({ url }) => url)).map(namespaceOf);
}
