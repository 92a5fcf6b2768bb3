import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Transform } from 'node:stream';
import { EntrepotError, printableUrl, type Transport, type TransportReply } from '@entrepot/core';

const MOST_REDIRECTS = 5;
/** The reply to a request for JSON is not larger. */
const LARGEST_ANSWER = 64 * 1024 * 1024;

/** Requests to a source of advisories. */
export class Downloads {
  readonly #transport: Transport;
  readonly #userAgent = 'entrepot';

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Sends a request and follows redirects. The caller reads the body to its end, or destroys it.
   * @throws EntrepotError `upstream-unavailable`
   */
  async send(url: URL, signal: AbortSignal, body?: Uint8Array): Promise<TransportReply> {
    let next = url;
    let alsoZone: TransportReply['zone'];
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects += 1) {
      const isFirst = next === url;
      const reply = await this.#transport.send({
        method: body === undefined ? 'GET' : 'POST',
        url: withoutUser(next),
        headers: {
          'user-agent': this.#userAgent,
          accept: '*/*',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          // Credentials of a URL stay with its origin.
          ...(next.origin === url.origin ? authorization(url) : {}),
        },
        body,
        // The operator names the first, whoever answers there the others.
        allowPrivate: isFirst,
        alsoZone,
        signal,
      });
      const location = reply.headers['location'];
      if (reply.status < 300 || reply.status >= 400 || location === undefined || body !== undefined) return reply;
      reply.body.destroy();
      alsoZone ??= reply.zone;
      const target = URL.canParse(location, next.href) ? new URL(location, next.href) : undefined;
      if (target === undefined || !['http:', 'https:'].includes(target.protocol)) throw unexpected(next, reply.status);
      if (next.protocol === 'https:' && target.protocol !== 'https:') throw unexpected(next, reply.status);
      next = target;
    }
    throw new EntrepotError('upstream-unavailable', `${printableUrl(url)}: too many redirects`);
  }

  /** The body of a reply with status 200. @throws EntrepotError `upstream-unavailable` for any other */
  async open(url: URL, signal: AbortSignal): Promise<TransportReply['body']> {
    const reply = await this.send(url, signal);
    if (reply.status === 200) return reply.body;
    reply.body.destroy();
    throw unexpected(url, reply.status, reply.headers['retry-after']);
  }

  /** Saves what is at `url` as the file `path`. @returns its size in bytes */
  async save(url: URL, path: string, signal: AbortSignal, largest: number): Promise<number> {
    let size = 0;
    const limit = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        size += chunk.length;
        done(size > largest ? tooLarge(url, largest) : null, chunk);
      },
    });
    await pipeline(await this.open(url, signal), limit, createWriteStream(path), { signal });
    return size;
  }

  /** The status of a request and the JSON of its reply; `undefined` where that is no JSON. */
  async json(
    url: URL,
    signal: AbortSignal,
    body?: unknown,
  ): Promise<{ status: number; value: unknown; retryAfter?: string | undefined }> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const reply = await this.send(url, signal, bytes);
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of reply.body as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > LARGEST_ANSWER) throw tooLarge(url, LARGEST_ANSWER);
      parts.push(part);
    }
    const retryAfter = reply.headers['retry-after'];
    try {
      return { status: reply.status, value: JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown, retryAfter };
    } catch {
      return { status: reply.status, value: undefined, retryAfter };
    }
  }
}

/** The error for a reply that is not what was asked for. */
export function unexpected(url: URL, status: number, retryAfter?: string): EntrepotError {
  return new EntrepotError('upstream-unavailable', `${printableUrl(url)}: expected status 200, found ${status}`, {
    code: `UPSTREAM_STATUS_${status}`,
    retryAfter: retryAfter !== undefined && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined,
  });
}

function tooLarge(url: URL, largest: number): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `${printableUrl(url)}: expected at most ${largest} bytes, found more`,
  );
}

function withoutUser(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}

function authorization(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** A line of a list is short. */
const LONGEST_LINE = 4096;

/** The lines of an ASCII text; what is too long for one is cut. Ending early destroys the stream. */
export async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
    for (const line of lines) yield line;
  }
  if (rest !== '') yield rest;
}
