import { EntrepotError, type ErrorKind, type RenderedError, type Resource } from '@entrepot/core';

/** The codes of the distribution specification ("Error codes") that errors of this plugin have themselves. */
const OWN_CODE = /^(?:(?:DIGEST|MANIFEST|NAME|PAGINATION_NUMBER|SIZE|TAG)_INVALID|MANIFEST_BLOB_UNKNOWN|DENIED)$/;

const BY_KIND: Partial<Readonly<Record<ErrorKind, string>>> = {
  unauthorized: 'UNAUTHORIZED',
  forbidden: 'DENIED',
  'policy-denied': 'DENIED',
  'method-not-allowed': 'UNSUPPORTED',
  conflict: 'DENIED',
  'range-not-satisfiable': 'BLOB_UPLOAD_INVALID',
  'uri-too-long': 'SIZE_INVALID',
  'too-many-requests': 'TOOMANYREQUESTS',
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

/** The refusal of a request, with a code of the distribution specification. */
export function badRequest(code: string, message: string): EntrepotError {
  return new EntrepotError('bad-request', message, { code });
}

/** Prints an error in the shape of the distribution specification; docker, containerd, skopeo and helm print its message. */
export function renderError(error: EntrepotError, resource: Resource | undefined): RenderedError {
  const code = codeOf(error, resource);
  const body = JSON.stringify({ errors: [{ code, message: error.message }] });
  return { status: statusOf(error), mediaType: 'application/json', body: `${body}\n` };
}

function codeOf({ code, kind }: EntrepotError, resource: Resource | undefined): string {
  if (OWN_CODE.test(code)) return code;
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  // The classes of changes are named after what they change: `manifest-push`.
  const [subject = ''] = resource?.class.split('-') ?? [];
  // What an upstream forbids or hides from us is not there for our clients: they have no credentials to mend it with.
  if (kind === 'not-found' || code === 'UPSTREAM_FORBIDDEN') return UNKNOWN[subject] ?? 'NAME_UNKNOWN';
  if (kind === 'too-large' || kind === 'bad-request')
    return subject === 'manifest' ? 'MANIFEST_INVALID' : 'SIZE_INVALID';
  return BY_KIND[kind] ?? 'UNKNOWN';
}

/**
 * A 401 of ours sends clients for a token of ours, so an upstream's must not be passed on; 403 says that a name is
 * forbidden, which only we say. Rate limits keep their own status: clients wait for that one.
 */
function statusOf({ code }: EntrepotError): number | undefined {
  if (code === 'UPSTREAM_FORBIDDEN') return 404;
  return code === 'UPSTREAM_429' ? 429 : undefined;
}
