import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { EntrepotError, printableUrl, type Transport, type TransportReply } from '@entrepot/core';

const MOST_REDIRECTS = 5;
/** The reply to a request for JSON is not larger. */
const LARGEST_ANSWER = 64 * 1024 * 1024;
/** A line of a list is short. */
const LONGEST_LINE = 4096;

/** Requests to a source of advisories. */
export class Downloads {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The body of a reply with status 200. @throws EntrepotError `upstream-unavailable` for any other */
  async open(url: URL, signal: AbortSignal): Promise<TransportReply['body']> {
    const { status, body, headers } = await this.#send(url, signal);
    if (status === 200) return body;
    body.destroy();
    throw unexpected(url, status, headers['retry-after']);
  }

  /** Saves what is at `url` as the file `path`. */
  async save(url: URL, path: string, signal: AbortSignal, largest: number): Promise<void> {
    await pipeline(bounded(await this.open(url, signal), url, largest), createWriteStream(path), { signal });
  }

  /** The status of a request and the JSON of its reply; `undefined` where that is no JSON. */
  async json(
    url: URL,
    signal: AbortSignal,
    question?: unknown,
  ): Promise<{ status: number; value: unknown; retryAfter?: string | undefined }> {
    const bytes = question === undefined ? undefined : Buffer.from(JSON.stringify(question));
    const { status, headers, body } = await this.#send(url, signal, bytes);
    const parts: Buffer[] = [];
    for await (const part of bounded(body, url, LARGEST_ANSWER)) parts.push(part);
    const retryAfter = headers['retry-after'];
    try {
      return { status, value: JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown, retryAfter };
    } catch {
      return { status, value: undefined, retryAfter };
    }
  }

  /**
   * Sends a request and follows redirects. The caller reads the body to its end, or destroys it.
   * @throws EntrepotError `upstream-unavailable`
   */
  async #send(url: URL, signal: AbortSignal, body?: Uint8Array): Promise<TransportReply> {
    const { username, password } = url;
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const authorization = pair === ':' ? undefined : `Basic ${Buffer.from(pair).toString('base64')}`;
    let next = url;
    let alsoZone: TransportReply['zone'];
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects += 1) {
      const reply = await this.#transport.send({
        method: body === undefined ? 'GET' : 'POST',
        url: Object.assign(new URL(next), { username: '', password: '' }),
        headers: {
          'user-agent': 'entrepot',
          accept: '*/*',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          // Credentials of a URL stay with its origin.
          ...(authorization !== undefined && next.origin === url.origin && { authorization }),
        },
        body,
        // The operator names the first, whoever answers there the others.
        allowPrivate: next === url,
        alsoZone,
        signal,
      });
      const location = reply.headers['location'];
      if (reply.status < 300 || reply.status >= 400 || location === undefined || body !== undefined) return reply;
      reply.body.destroy();
      alsoZone ??= reply.zone;
      const target = URL.canParse(location, next.href) ? new URL(location, next.href) : undefined;
      const isWeaker = target?.protocol !== 'https:' && (target?.protocol !== 'http:' || next.protocol === 'https:');
      if (target === undefined || isWeaker) throw unexpected(next, reply.status);
      next = target;
    }
    throw new EntrepotError('upstream-unavailable', `${printableUrl(url)}: too many redirects`);
  }
}

/** Whether a source is fetched, and no file of this machine. */
export function isUrl(source: string): boolean {
  return /^https?:\/\//.test(source);
}

/** `path` below `base`, each of its parts a segment. */
export function urlBelow(base: URL, ...path: readonly string[]): URL {
  const url = new URL(base);
  url.pathname = [url.pathname.replace(/\/$/, ''), ...path.map(encodeURIComponent)].join('/');
  return url;
}

/** The lines of an ASCII text; what is too long for one is cut. Ending early destroys the stream. */
export async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
    yield* lines;
  }
  if (rest !== '') yield rest;
}

async function* bounded(body: AsyncIterable<Buffer>, url: URL, largest: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > largest) {
      const message = `${printableUrl(url)}: expected at most ${largest} bytes, found more`;
      throw new EntrepotError('upstream-unavailable', message);
    }
    yield part;
  }
}

/** The error for a reply that is not what was asked for. */
function unexpected(url: URL, status: number, retryAfter?: string): EntrepotError {
  return new EntrepotError('upstream-unavailable', `${printableUrl(url)}: expected status 200, found ${status}`, {
    code: `UPSTREAM_STATUS_${status}`,
    retryAfter: retryAfter !== undefined && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined,
  });
}
