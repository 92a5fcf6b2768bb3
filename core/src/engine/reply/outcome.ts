import type { Outcome, OutcomeName } from '../../api/outcome.js';

/** The outcome of one request in the cache, for `X-Cache`, `Cache-Status`, metrics and the log. */
export interface CacheFacts {
  readonly name: OutcomeName;
  /** Whether the request joined a flight that another one had started. */
  readonly collapsed?: boolean | undefined;
  /** Whether the reply comes, or will come, to be kept. */
  readonly stored?: boolean | undefined;
  /** Seconds for which the copy stays fresh; negative when it is stale. */
  readonly ttl?: number | undefined;
  /** For people and for the log. */
  readonly detail?: string | undefined;
}

/** The names of outcomes in `X-Cache` and in `Cache-Status`. */
const PRINTED: Readonly<Record<OutcomeName, readonly [xCache: string, forward: string]>> = {
  hit: ['HIT', 'hit'],
  revalidated: ['REVALIDATED', 'fwd=stale; fwd-status=304'],
  miss: ['MISS', 'fwd=uri-miss'],
  stale: ['STALE', 'hit'],
  bypass: ['BYPASS', 'fwd=bypass'],
  denied: ['DENIED', 'fwd=request'],
  failed: ['ERROR', 'fwd=uri-miss'],
  local: ['LOCAL', 'hit'],
  upload: ['UPLOAD', 'fwd=method'],
};

/** The `X-Cache` of an outcome. */
export function xCache(name: OutcomeName): string {
  return PRINTED[name][0];
}

/** The `Cache-Status` of RFC 9211: `hit` or the reason for going forward, never both. */
export function cacheStatus({ name, collapsed, stored, ttl, detail }: CacheFacts): string {
  const parts = [`Entrepot; ${PRINTED[name][1]}`];
  if (collapsed === true) parts.push('collapsed');
  if (stored === true) parts.push('stored');
  if (ttl !== undefined) parts.push(`ttl=${ttl}`);
  if (detail !== undefined) parts.push(`detail="${detail.replaceAll(/[^\u0020-\u007e]|["\\]/g, '?')}"`);
  return parts.join('; ');
}

/** The package that a reply is of, and whether it is an artifact of it. */
export type OutcomeSubject = Pick<Outcome, 'coordinates' | 'isArtifact'>;

/** The outcome of a request from its cache facts. */
export function outcomeOf(
  repository: string,
  resource: string,
  { name, detail }: CacheFacts,
  subject?: OutcomeSubject,
): Outcome {
  return {
    name,
    repository,
    resource,
    detail,
    coordinates: subject?.coordinates,
    isArtifact: subject?.isArtifact,
  };
}
