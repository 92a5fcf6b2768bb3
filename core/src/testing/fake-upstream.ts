import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { Gate } from './gate.js';
import { joinHeaders } from './node-transport.js';

/** A fault of a reply. `times` limits it to the first requests; absent: always. Sizes are bytes of the body. */
export type Fault = { readonly times?: number } & (
  | {
      /**
       * - `truncate`: sends the full `Content-Length`, and ends the connection after `after` bytes;
       * - `end-chunked-early`: sends a chunked body without its last chunk;
       * - `reset`: as `truncate`, but resets the connection (RST);
       * - `stall`: sends nothing after `after` bytes, and leaves the connection open.
       */
      readonly kind: 'truncate' | 'end-chunked-early' | 'reset' | 'stall';
      readonly after: number;
    }
  /** Announces `length` bytes, sends the true body, and ends the connection. */
  | { readonly kind: 'wrong-length'; readonly length: number }
  /** Resets the connection instead of answering. */
  | { readonly kind: 'reset-before-head' }
  /** Sends other bytes of the same length. */
  | { readonly kind: 'wrong-bytes' }
  /** Sends 200 with an HTML page, as a captive portal does. */
  | { readonly kind: 'captive-portal' }
  /** Sends `Content-Encoding: gzip`, which the client does not accept. */
  | { readonly kind: 'gzip' }
  /** Sends a chunked body without end, at the reader's pace. */
  | { readonly kind: 'endless' }
  /** Redirects to itself with 302. */
  | { readonly kind: 'redirect-loop' }
  /** Sends another status; `retryAfter` is the header's value. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
);

/** An upstream's reply for a path. */
export interface Fixture {
  /** Text is sent as UTF-8. Default: empty. */
  readonly body?: string | Uint8Array;
  /** Default: 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** `Content-Type`. Default: none is sent. */
  readonly mediaType?: string;
  /** The `ETag` with its quotes. Conditional requests are answered by it. */
  readonly etag?: string;
  /** An HTTP date. Conditional requests are answered by it. */
  readonly lastModified?: string;
  /** Honours `Range` (one range) and `If-Range`. */
  readonly ranges?: boolean;
  /** Sends no `Content-Length`. */
  readonly chunked?: boolean;
  readonly fault?: Fault;
}

/** A request that an upstream has read to its end. */
export interface RecordedRequest {
  readonly method: string;
  /** As it was sent: not decoded, with its query. */
  readonly path: string;
  /** Names in lower case; several fields of one name are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Resolves when this exchange is over: `sent` when the reply left whole, `cut` when the connection ended before. */
  readonly done: Promise<'sent' | 'cut'>;
}

/** Full control over a reply: `response` is Node's. A handler that fails is a 500 with its message. */
export type UpstreamHandler = (request: RecordedRequest, response: ServerResponse) => void | Promise<void>;

interface Hold {
  readonly gate: Gate;
  readonly afterBytes: number | undefined;
}

/**
 * A real HTTP server on 127.0.0.1 that a test scripts and observes. It has no timers, so nothing in a test depends on
 * speed: what must wait is held by a gate. A path is given as it is requested, not decoded; with a query it is met only by
 * exactly that query, without one by any.
 */
export class FakeUpstream {
  /** Every request that was read to its end, in order. */
  readonly requests: RecordedRequest[] = [];
  readonly #server: Server;
  readonly #routes = new Map<string, UpstreamHandler>();
  readonly #holds = new Map<string, Hold>();
  readonly #sockets = new Set<Socket>();
  #offline = false;
  #refused = 0;

  /** Starts one on a free port. The caller closes it. */
  static async start(): Promise<FakeUpstream> {
    const upstream = new FakeUpstream();
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  private constructor() {
    this.#server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.on('connection', (socket) => this.#admit(socket));
  }

  /** `http://127.0.0.1:PORT` */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The number of connections that were turned away while it was offline. */
  get refused(): number {
    return this.#refused;
  }

  /** Puts `fixture` under `path`, for GET and HEAD, in place of what was there. */
  serve(path: string, fixture: Fixture): void {
    let faults = 0;
    const handler: UpstreamHandler = async (request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
        return;
      }
      const fault =
        fixture.fault !== undefined && faults < (fixture.fault.times ?? Infinity) ? fixture.fault : undefined;
      if (fault !== undefined) faults += 1;
      const hold = this.#find(this.#holds, request.path);
      await sendFixture(request, response, fixture, fault, hold?.afterBytes === undefined ? undefined : hold);
    };
    this.#routes.set(path, handler);
  }

  /** Answers every request for `path`, of any method, by `handler`. */
  handle(path: string, handler: UpstreamHandler): void {
    this.#routes.set(path, handler);
  }

  /** Takes away what is under `path`: it is a 404 again. */
  remove(path: string): void {
    this.#routes.delete(path);
  }

  /** Counts the requests for `path`. */
  count(path: string): number {
    const exact = path.includes('?');
    return this.requests.filter((request) => (exact ? request.path : withoutQuery(request.path)) === path).length;
  }

  /**
   * Makes the replies for `path` wait until the gate that it returns is opened: before the head, or after so many bytes of the body
   * (0: after the head). The latter only for `serve`d paths, and replies with a body.
   */
  hold(path: string, { afterBytes }: { readonly afterBytes?: number } = {}): Gate {
    const gate = new Gate();
    this.#holds.set(path, { gate, afterBytes });
    return gate;
  }

  /** Ends every connection and turns new ones away, as a host that is down does. The port stays ours. */
  goOffline(): void {
    this.#offline = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Answers again. */
  goOnline(): void {
    this.#offline = false;
  }

  /** Ends everything, also replies that are held. Idempotent. */
  async close(): Promise<void> {
    for (const { gate } of this.#holds.values()) gate.open();
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #admit(socket: Socket): void {
    socket.on('error', () => {});
    if (this.#offline) {
      this.#refused += 1;
      socket.resetAndDestroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    // The time of a reply is the test's to say.
    response.sendDate = false;
    response.on('error', () => {});
    const done = new Promise<'sent' | 'cut'>((resolve) => {
      response.once('close', () => resolve(response.writableFinished ? 'sent' : 'cut'));
    });
    const body = await readBody(incoming);
    if (body === undefined) return;
    const path = incoming.url ?? '/';
    const request: RecordedRequest = {
      method: incoming.method ?? 'GET',
      path,
      headers: joinHeaders(incoming.rawHeaders),
      body,
      done,
    };
    this.requests.push(request);
    const hold = this.#find(this.#holds, path);
    if (hold !== undefined && hold.afterBytes === undefined) await hold.gate.pass();
    if (response.destroyed) return;
    const handler = this.#find(this.#routes, path);
    if (handler === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('no such fixture');
      return;
    }
    try {
      await handler(request, response);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error));
    }
  }

  #find<T>(table: ReadonlyMap<string, T>, path: string): T | undefined {
    return table.get(path) ?? table.get(withoutQuery(path));
  }
}

async function sendFixture(
  request: RecordedRequest,
  response: ServerResponse,
  fixture: Fixture,
  fault: Fault | undefined,
  hold: Hold | undefined,
): Promise<void> {
  switch (fault?.kind) {
    case 'reset-before-head':
      response.socket?.resetAndDestroy();
      return;
    case 'captive-portal':
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(request.method === 'HEAD' ? undefined : '<!doctype html><title>Welcome</title><form>Log in</form>');
      return;
    case 'redirect-loop':
      response.writeHead(302, { location: request.path, 'content-length': '0' }).end();
      return;
    case 'status': {
      const again = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter };
      response.writeHead(fault.status, { 'content-type': 'text/plain', ...again }).end(`status ${fault.status}`);
      return;
    }
    default:
  }
  const { status, headers, body } = represent(request, fixture, fault);
  const bodiless = request.method === 'HEAD' || status === 304 || status === 204;
  const chunked = fixture.chunked === true || fault?.kind === 'end-chunked-early' || fault?.kind === 'endless';
  if (!chunked && status !== 304 && status !== 204) {
    headers['content-length'] = String(fault?.kind === 'wrong-length' ? fault.length : body.length);
  }
  response.writeHead(status, headers);
  response.flushHeaders();
  if (bodiless) {
    response.end();
    return;
  }
  const first = Math.min(hold?.afterBytes ?? 0, body.length);
  if (hold !== undefined) {
    await write(response, body.subarray(0, first));
    await hold.gate.pass();
  }
  await sendBody(response, body.subarray(first), fault, first);
}

/** @param sent bytes of the body that have left already. */
async function sendBody(response: ServerResponse, body: Buffer, fault: Fault | undefined, sent: number): Promise<void> {
  switch (fault?.kind) {
    case 'truncate':
    case 'end-chunked-early':
    case 'reset':
    case 'stall':
      await write(response, body.subarray(0, Math.max(0, fault.after - sent)));
      if (fault.kind === 'stall') return;
      if (fault.kind === 'reset') response.socket?.resetAndDestroy();
      else response.socket?.destroySoon();
      return;
    case 'wrong-length':
      await write(response, body);
      response.socket?.destroySoon();
      return;
    case 'endless': {
      const piece = body.length === 0 ? Buffer.alloc(64 * 1024) : body;
      // Writing to a socket that has gone fails without a turn of the event loop, which is what tells the response of it.
      while (response.socket?.destroyed === false) await write(response, piece);
      return;
    }
    default:
      response.end(body);
  }
}

/** Status, headers and body of an honest reply, and of one whose bytes are wrong. */
function represent(
  request: RecordedRequest,
  fixture: Fixture,
  fault: Fault | undefined,
): { readonly status: number; readonly headers: Record<string, string | string[]>; readonly body: Buffer } {
  const status = fixture.status ?? 200;
  let whole = Buffer.from(fixture.body ?? '');
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(fixture.headers ?? {})) {
    headers[name.toLowerCase()] = typeof value === 'string' ? value : [...value];
  }
  if (fixture.mediaType !== undefined) headers['content-type'] = fixture.mediaType;
  if (fixture.etag !== undefined) headers['etag'] = fixture.etag;
  if (fixture.lastModified !== undefined) headers['last-modified'] = fixture.lastModified;
  if (fixture.ranges === true) headers['accept-ranges'] = 'bytes';
  if (fault?.kind === 'wrong-bytes') whole = whole.map((byte) => byte ^ 0xff) as Buffer<ArrayBuffer>;
  if (fault?.kind === 'gzip') {
    headers['content-encoding'] = 'gzip';
    return { status, headers, body: gzipSync(whole) };
  }
  if (status !== 200) return { status, headers, body: whole };
  if (isNotModified(request.headers, fixture)) return { status: 304, headers, body: Buffer.alloc(0) };
  const range = fixture.ranges === true ? wantedRange(request.headers, fixture, whole.length) : undefined;
  if (range === undefined) return { status, headers, body: whole };
  if (range === 'unsatisfiable') {
    return { status: 416, headers: { ...headers, 'content-range': `bytes */${whole.length}` }, body: Buffer.alloc(0) };
  }
  const { start, end } = range;
  headers['content-range'] = `bytes ${start}-${end}/${whole.length}`;
  return { status: 206, headers, body: whole.subarray(start, end + 1) };
}

/** RFC 9110 §13.2.2: `If-Modified-Since` counts only without `If-None-Match`, which compares weakly. */
function isNotModified(headers: Readonly<Record<string, string>>, { etag, lastModified }: Fixture): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) {
    if (etag === undefined) return false;
    return tags.split(',').some((tag) => tag.trim() === '*' || opaque(tag) === opaque(etag));
  }
  const since = headers['if-modified-since'];
  return since !== undefined && lastModified !== undefined && Date.parse(lastModified) <= Date.parse(since);
}

/** RFC 9110 §14.2; `undefined`: the whole. A list of ranges is answered with the whole, as it may be. */
function wantedRange(
  headers: Readonly<Record<string, string>>,
  { etag, lastModified }: Fixture,
  size: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(headers['range'] ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const condition = headers['if-range'];
  // RFC 9110 §13.1.5: strong comparison, or the very date.
  if (condition !== undefined && (condition.startsWith('W/') || (condition !== etag && condition !== lastModified))) {
    return undefined;
  }
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[1] !== '' && match[2] !== '' && Number(match[2]) < start) return undefined;
  return start >= size || (match[1] === '' && Number(match[2]) === 0) ? 'unsatisfiable' : { start, end };
}

function opaque(tag: string): string {
  return tag.trim().replace(/^W\//, '');
}

/** Writes and waits until the bytes have left, or the connection is gone. */
async function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || response.destroyed) return;
  await new Promise<void>((resolve) => {
    response.once('close', resolve);
    response.write(bytes, () => {
      response.off('close', resolve);
      resolve();
    });
  });
}

/** The body of a request; `undefined` when its connection ended before. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  try {
    return await buffer(request);
  } catch {
    return undefined;
  }
}

function withoutQuery(path: string): string {
  return path.split('?', 1)[0] as string;
}
