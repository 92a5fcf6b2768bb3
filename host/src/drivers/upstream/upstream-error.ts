import { EntrepotError, printableUrl } from '@entrepot/core';

interface Failure {
  readonly code: string;
  readonly text: string;
  /** Default: 502. */
  readonly status?: number;
}

const RESET: Failure = { code: 'UPSTREAM_RESET', text: 'the connection ended early' };
const UNREACHABLE: Failure = { code: 'UPSTREAM_UNREACHABLE', text: 'there is no route to the host' };
const UNKNOWN_HOST: Failure = { code: 'UPSTREAM_DNS', text: 'the name of the host does not resolve' };
const PROTOCOL: Failure = { code: 'UPSTREAM_PROTOCOL', text: 'the reply is not valid HTTP' };
const ENDED: Failure = { code: 'UPSTREAM_ABORTED', text: 'the request was given up' };

/** By the code of the error of Node, of undici, or of the HTTP parser. */
const FAILURES: Readonly<Record<string, Failure>> = {
  UND_ERR_CONNECT_TIMEOUT: timeout('no connection in time'),
  UND_ERR_HEADERS_TIMEOUT: timeout('no reply in time'),
  UND_ERR_BODY_TIMEOUT: timeout('the body stood still for too long'),
  ETIMEDOUT: timeout('the connection timed out'),
  ECONNREFUSED: { code: 'UPSTREAM_REFUSED', text: 'the connection was refused' },
  ECONNRESET: RESET,
  ECONNABORTED: RESET,
  EPIPE: RESET,
  UND_ERR_SOCKET: RESET,
  EHOSTUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  ENOTFOUND: UNKNOWN_HOST,
  ENODATA: UNKNOWN_HOST,
  EAI_AGAIN: UNKNOWN_HOST,
  UND_ERR_HEADERS_OVERFLOW: { code: 'UPSTREAM_PROTOCOL', text: 'the head of the reply is too large' },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { code: 'UPSTREAM_PROTOCOL', text: 'the body does not have its stated length' },
  UND_ERR_DESTROYED: ENDED,
  UND_ERR_CLOSED: ENDED,
};

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
  const { code, text, status } = request.signal.aborted ? ENDED : classify(error);
  return new EntrepotError('upstream-unavailable', `${request.method} ${printableUrl(request.url)}: ${text}`, {
    code,
    cause: error,
    ...(status === undefined ? {} : { status }),
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
  const known = FAILURES[code];
  if (known !== undefined) return known;
  if (isParserError(error) || code.startsWith('HPE_')) return PROTOCOL;
  if (TLS.test(code)) return { code: 'UPSTREAM_TLS', text: `TLS failed (${code})` };
  const refusal = /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/.exec(messageOf(error));
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

function timeout(text: string): Failure {
  return { code: 'UPSTREAM_TIMEOUT', text, status: 504 };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}
