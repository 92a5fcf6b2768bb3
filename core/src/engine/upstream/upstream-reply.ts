import { EntrepotError, printableUrl } from '../../api/errors.js';
import type { TransportReply } from '../../api/transport.js';

/** The longest wait that an upstream may ask for and clients are told of; seconds. */
const MAX_RETRY_AFTER = 3600;
/** The largest unwanted reply that is read to its end, so that its connection can be used again. */
const DRAIN_BYTES = 64 * 1024;

/** Reads what is left of a small reply, so that its connection can be used again; gives up a large one. */
export function drain(reply: TransportReply): void {
  reply.body.on('error', () => {});
  if (Number(reply.headers['content-length'] ?? Infinity) <= DRAIN_BYTES) reply.body.resume();
  else reply.body.destroy();
}

/** The whole body of a reply that is read here. */
export async function readBody(reply: TransportReply, url: URL | string, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of reply.body as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > limit) {
      throw new EntrepotError('upstream-unavailable', `${printableUrl(url)} sent more than ${limit} bytes`, {
        code: 'UPSTREAM_TOO_LARGE',
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Whether a reply sends a request of this method elsewhere. */
export function isRedirect(status: number, method: string): boolean {
  if (status === 307 || status === 308) return true;
  return method !== 'POST' && (status === 301 || status === 302 || status === 303);
}

/**
 * The target, with `Location` taken verbatim: encoding it again breaks signed links. Bytes beyond ASCII, which no URI may hold
 * (RFC 9110 §10.2.2), are escaped one by one, as browsers and curl do.
 */
export function redirectTarget(from: URL, given: string | undefined): URL {
  // A header comes as one character a byte.
  const location = given?.replace(/[\u0080-\u00ff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  const target = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  if (target === undefined || (target.protocol !== 'https:' && target.protocol !== 'http:')) {
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(from)} redirects to something that is not an http URL`,
      { code: 'UPSTREAM_REDIRECTS' },
    );
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(from)} redirects from https to plain http; refused`,
      { code: 'UPSTREAM_REDIRECTS' },
    );
  }
  return target;
}

/** Turns an error status into an error. */
export function refusal(url: URL, reply: TransportReply, now: number): EntrepotError {
  const { status } = reply;
  const said = `${printableUrl(url)} answered ${status}`;
  if (status === 404 || status === 410)
    return new EntrepotError('not-found', said, { status, code: 'UPSTREAM_NOT_FOUND' });
  if (status === 401) {
    // A challenge belongs to it (RFC 9110 §11.6.1). The upstream's own would lead clients past this server.
    const headers = { 'WWW-Authenticate': `Basic realm="${url.hostname}"` };
    const why = `${said}: the credentials that this server has for it are missing or wrong`;
    return new EntrepotError('forbidden', why, { status, code: 'UPSTREAM_FORBIDDEN', headers });
  }
  if (status === 403) return new EntrepotError('forbidden', said, { status, code: 'UPSTREAM_FORBIDDEN' });
  if (status === 429 || status >= 500) {
    const retryAfter = parseRetryAfter(reply.headers['retry-after'], now);
    const waits = status === 429 || retryAfter !== undefined;
    // RFC 5842 §7.2.
    const why = status === 508 ? ': a loop, for it leads back to a server that the request came from' : '';
    return new EntrepotError('upstream-unavailable', said + why, {
      status: waits ? 503 : 502,
      retryAfter,
      code: `UPSTREAM_${status}`,
    });
  }
  if (status >= 400) return new EntrepotError('bad-request', said, { status, code: 'UPSTREAM_REFUSED' });
  return new EntrepotError('upstream-unavailable', `${said}; expected 200`, { code: 'UPSTREAM_PROTOCOL' });
}

/** Statuses of servers that fail on HEAD because they do not know it; with GET they would be an outage. */
const HEAD_UNKNOWN = [500, 501];
const HEAD_REFUSALS = new Set([
  'UPSTREAM_NOT_FOUND',
  'UPSTREAM_FORBIDDEN',
  'UPSTREAM_REFUSED',
  ...HEAD_UNKNOWN.map((status) => `UPSTREAM_${status}`),
]);

/** Whether a status says more of HEAD than of the upstream's health. */
export function isHeadUnknown(method: string, status: number): boolean {
  return method === 'HEAD' && HEAD_UNKNOWN.includes(status);
}

/**
 * Whether an upstream said no to HEAD, which it may say to HEAD alone (RFC 9110 §9.3.2 is not what all servers do): only GET
 * tells. Not when it was out of reach, or wants to be left alone.
 */
export function isHeadRefused(error: unknown): boolean {
  return error instanceof EntrepotError && HEAD_REFUSALS.has(error.code);
}

/** Seconds to wait by a `Retry-After` of either form (RFC 9110 §10.2.3). */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : Math.ceil((Date.parse(header) - now) / 1000);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER) : undefined;
}
