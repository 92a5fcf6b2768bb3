import type { EntrepotError, ErrorKind, RenderedError, Resource } from '@entrepot/core';

/** The codes of the distribution specification ("Error codes"), and those that registries add to them. */
const CODES: ReadonlySet<string> = new Set([
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'PAGINATION_NUMBER_INVALID',
  'SIZE_INVALID',
  'TAG_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]);

const BY_KIND: Partial<Readonly<Record<ErrorKind, string>>> = {
  unauthorized: 'UNAUTHORIZED',
  forbidden: 'DENIED',
  'policy-denied': 'DENIED',
  'method-not-allowed': 'UNSUPPORTED',
  conflict: 'DENIED',
  'range-not-satisfiable': 'BLOB_UPLOAD_INVALID',
  'bad-request': 'BLOB_UPLOAD_INVALID',
  'uri-too-long': 'SIZE_INVALID',
  'upstream-unavailable': 'UNAVAILABLE',
  'scan-unavailable': 'UNAVAILABLE',
  integrity: 'UNAVAILABLE',
};

/** The codes of core that the specification has a word for. */
const BY_CODE: Readonly<Record<string, string>> = {
  DIGEST_MISMATCH: 'DIGEST_INVALID',
  SESSION_UNKNOWN: 'BLOB_UPLOAD_UNKNOWN',
  UPSTREAM_429: 'TOOMANYREQUESTS',
};

/** Codes for "not found", by the subject of a class. */
const UNKNOWN: Readonly<Record<string, string>> = {
  blob: 'BLOB_UNKNOWN',
  manifest: 'MANIFEST_UNKNOWN',
  tag: 'MANIFEST_UNKNOWN',
};

/** Prints an error in the shape of the distribution specification; docker, containerd, skopeo and helm print its message. */
export function renderError(error: EntrepotError, resource: Resource | undefined): RenderedError {
  const code = codeOf(error, resource);
  const body = JSON.stringify({ errors: [{ code, message: error.message }] });
  return { status: statusOf(error), mediaType: 'application/json', body: `${body}\n` };
}

function codeOf(error: EntrepotError, resource: Resource | undefined): string {
  if (CODES.has(error.code)) return error.code;
  const known = BY_CODE[error.code];
  if (known !== undefined) return known;
  // The classes of changes are named after what they change: `manifest-push`.
  const [subject = ''] = resource?.class.split('-') ?? [];
  // What an upstream forbids or hides from us is not there for our clients: they have no credentials to mend it with.
  if (error.kind === 'not-found' || error.code === 'UPSTREAM_FORBIDDEN') return UNKNOWN[subject] ?? 'NAME_UNKNOWN';
  if (error.kind === 'too-large' || error.kind === 'bad-request') {
    return subject === 'manifest' ? 'MANIFEST_INVALID' : 'SIZE_INVALID';
  }
  return BY_KIND[error.kind] ?? 'UNKNOWN';
}

/**
 * A 401 of ours sends clients for a token of ours, so an upstream's must not be passed on; 403 says that a name is
 * forbidden, which only we say. Rate limits keep their own status: clients wait for that one.
 */
function statusOf({ code }: EntrepotError): number | undefined {
  if (code === 'UPSTREAM_FORBIDDEN') return 404;
  return code === 'UPSTREAM_429' ? 429 : undefined;
}
