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

const X_CACHE: Readonly<Record<OutcomeName, string>> = {
  hit: 'HIT',
  revalidated: 'REVALIDATED',
  miss: 'MISS',
  stale: 'STALE',
  bypass: 'BYPASS',
  denied: 'DENIED',
  failed: 'ERROR',
  local: 'LOCAL',
  upload: 'UPLOAD',
};

/** The `X-Cache` of an outcome. */
export function xCache(name: OutcomeName): string {
  return X_CACHE[name];
}

/** The `Cache-Status` of RFC 9211: `hit` or the reason for going forward, never both. */
export function cacheStatus({ name, collapsed, stored, ttl, detail }: CacheFacts): string {
  const parts = [`Entrepot; ${FORWARD[name]}`];
  if (collapsed === true) parts.push('collapsed');
  if (stored === true) parts.push('stored');
  if (ttl !== undefined) parts.push(`ttl=${ttl}`);
  if (detail !== undefined) parts.push(`detail="${detail.replaceAll(/[^\u0020-\u007e]|["\\]/g, '?')}"`);
  return parts.join('; ');
}

const FORWARD: Readonly<Record<OutcomeName, string>> = {
  hit: 'hit',
  revalidated: 'fwd=stale; fwd-status=304',
  miss: 'fwd=uri-miss',
  stale: 'hit',
  bypass: 'fwd=bypass',
  denied: 'fwd=request',
  failed: 'fwd=uri-miss',
  local: 'hit',
  upload: 'fwd=method',
};

/** The outcome of a request from its cache facts. */
export function outcomeOf(repository: string, resource: string, { name, detail }: CacheFacts): Outcome {
  return { name, repository, resource, detail };
}
