import { EntrepotError, printableUrl } from '@entrepot/core';

interface Failure {
  readonly code: string;
  readonly text: string;
}

const ENDED: Failure = { code: 'UPSTREAM_ABORTED', text: 'the request was given up' };

/** By the code of the error of Node, of undici, or of the HTTP parser. */
const FAILURES: readonly (readonly [errors: RegExp, code: string, text: string])[] = [
  [/^UND_ERR_CONNECT_TIMEOUT$/, 'UPSTREAM_TIMEOUT', 'no connection in time'],
  [/^UND_ERR_HEADERS_TIMEOUT$/, 'UPSTREAM_TIMEOUT', 'no reply in time'],
  [/^UND_ERR_BODY_TIMEOUT$/, 'UPSTREAM_TIMEOUT', 'the body stood still for too long'],
  [/^ETIMEDOUT$/, 'UPSTREAM_TIMEOUT', 'the connection timed out'],
  [/^ECONNREFUSED$/, 'UPSTREAM_REFUSED', 'the connection was refused'],
  [/^(ECONNRESET|ECONNABORTED|EPIPE|UND_ERR_SOCKET)$/, 'UPSTREAM_RESET', 'the connection ended early'],
  [/^(E(HOST|NET)(UNREACH|DOWN)|EADDRNOTAVAIL)$/, 'UPSTREAM_UNREACHABLE', 'there is no route to the host'],
  [/^(ENOTFOUND|ENODATA|EAI_AGAIN)$/, 'UPSTREAM_DNS', 'the name of the host does not resolve'],
  [/^UND_ERR_HEADERS_OVERFLOW$/, 'UPSTREAM_PROTOCOL', 'the head of the reply is too large'],
  [/^UND_ERR_RES_CONTENT_LENGTH_MISMATCH$/, 'UPSTREAM_PROTOCOL', 'the body does not have its stated length'],
  [/^HPE_/, 'UPSTREAM_PROTOCOL', 'the reply is not valid HTTP'],
  [/^UND_ERR_(DESTROYED|CLOSED)$/, ENDED.code, ENDED.text],
];

const TLS = /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_|EPROTO$)/;

export interface FailedRequest {
  readonly method: string;
  readonly url: URL;
  readonly signal: AbortSignal;
}

/**
 * The one place where failures of upstreams are told apart. Timeouts have status 504, everything else 502; an error that is
 * ours already, or that the signal was aborted with, stays as it is.
 */
export function upstreamError(error: unknown, request: FailedRequest): EntrepotError {
  const reason: unknown = request.signal.aborted ? request.signal.reason : undefined;
  if (reason instanceof EntrepotError) return reason as EntrepotError;
  if (error instanceof EntrepotError) return error as EntrepotError;
  const { code, text } = request.signal.aborted ? ENDED : classify(error);
  return new EntrepotError('upstream-unavailable', `${request.method} ${printableUrl(request.url)}: ${text}`, {
    code,
    cause: error,
    ...(code === 'UPSTREAM_TIMEOUT' && { status: 504 }),
  });
}

/** The code that the error, or the first of the errors behind it, goes by. */
export function failureCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Several addresses of one host were tried.
  return error instanceof AggregateError ? failureCode(error.errors[0]) : failureCode(error.cause);
}

function classify(error: unknown): Failure {
  const code = failureCode(error) ?? '';
  if (isParserError(error)) return { code: 'UPSTREAM_PROTOCOL', text: 'the reply is not valid HTTP' };
  const known = FAILURES.find(([errors]) => errors.test(code));
  if (known !== undefined) return { code: known[1], text: known[2] };
  if (TLS.test(code)) return { code: 'UPSTREAM_TLS', text: `TLS failed (${code})` };
  const message = error instanceof Error ? error.message : '';
  const refusal = /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/.exec(message);
  if (refusal !== null) {
    return { code: 'UPSTREAM_PROXY', text: `the proxy answered ${refusal[1] ?? refusal[2]}` };
  }
  return { code: 'UPSTREAM_UNAVAILABLE', text: code === '' ? 'the exchange failed' : `the exchange failed (${code})` };
}

/** undici gives some of the parser's errors no code, and all of them the bytes that it could not read: those are not for a log. */
function isParserError(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'HTTPParserError') return false;
  Object.assign(error, { data: undefined });
  return true;
}
