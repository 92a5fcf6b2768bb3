import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { FetchPlan } from './publication.js';

/** Codes besides 404 of an upstream that does not know a kind of document. */
const SAYS_UNKNOWN = new Set(['UPSTREAM_REFUSED', 'UPSTREAM_501', 'UPSTREAM_MEDIA_TYPE', 'UPSTREAM_MALFORMED']);

/** Gives the error of a fetch that failed with `error`, or was ended by `signal`. */
export function classifyFailure(error: unknown, { resource, kept }: FetchPlan, signal: AbortSignal): EntrepotError {
  const reason = signal.aborted ? signal.reason : error;
  const failure = asEntrepotError(reason, 'upstream-unavailable', `Fetching ${resource.key} failed`);
  // Of an upstream that had it before, a page of HTML is an outage.
  const mayBeUnknown = resource.kind === 'document' && resource.unknownToSome === true && kept === undefined;
  if (!mayBeUnknown || !SAYS_UNKNOWN.has(failure.code)) return failure;
  return new EntrepotError('not-found', failure.message, { code: 'UPSTREAM_NOT_FOUND', cause: failure });
}
