import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@entrepot/core';
import {
  headerText,
  type EngineReply,
  type EngineRequest,
  type RepositoryEngine,
  type Sender,
} from '@entrepot/core/engine';
import { FileReader } from '../drivers/blob/file-reader.js';
import { answerError } from './answer-error.js';
import type { BaseUrl } from './base-url.js';
import type { Exchange } from './exchange.js';
import type { ForwardedPlace } from './forwarded-place.js';
import type { SenderOf } from './sender.js';
import { sendFile } from './send-file.js';

/**
 * The time after which a caller hears that they have had their share, in milliseconds. Whoever asks again at once, on however few connections,
 * would else keep the server busy with refusals.
 */
const REFUSED_AFTER = 250;

/** A repository and where it is mounted; or what answers at a mount that several of them share. */
export interface MountedRepository {
  readonly name: string;
  /** Begins with `/` and does not end in one; empty for a repository that has a listener to itself. */
  readonly mount: string;
  /** The mount that the ecosystem fixes, at or below which this one is. */
  readonly sharedMount?: string | undefined;
  readonly engine: Pick<RepositoryEngine, 'handle' | 'ready' | 'keysAt'>;
  readonly baseUrl: BaseUrl;
  readonly senderOf: SenderOf;
  /** Upstreams that clients may ask for themselves, as of an HTTP proxy. Absent: none. */
  readonly forwards?: readonly ForwardedPlace[] | undefined;
}

/** A request target, split but not decoded. */
export interface RequestTarget {
  /** Begins with `/`. */
  readonly path: string;
  /** Without `?`; empty when there is none. */
  readonly query: string;
  /** `host` or `host:port` of an absolute-form target, which outranks the `Host` header (RFC 9112 §3.2.2). */
  readonly authority?: string | undefined;
}

/** A request for a repository. */
export interface ServedRequest {
  readonly repository: MountedRepository;
  /** Its path is below the mount. */
  readonly target: RequestTarget;
  readonly exchange: Exchange;
  readonly logger: Logger;
}

/**
 * Has a repository answer the request and sends what it answers. The only code that knows both `node:http` and the engine.
 * @throws EntrepotError `bad-request` when the request has no usable `Host`
 */
export function serveRepository(request: IncomingMessage, response: ServerResponse, served: ServedRequest): void {
  const { engine, name } = served.repository;
  served.exchange.repository = name;
  const asked = new HttpRequest(request, response, served);
  const ready = engine.ready?.(asked);
  if (ready !== undefined) return send(request, response, ready, served);
  engine
    .handle(asked)
    .then((reply) => {
      if (reply.outcome.code !== 'RATE_LIMITED') return send(request, response, reply, served);
      return delay(REFUSED_AFTER).then(() => send(request, response, reply, served));
    })
    .catch((error: unknown) => answerError(error, response, served.logger));
}

class HttpRequest implements EngineRequest {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly body: IncomingMessage;
  readonly baseUrl: string;
  readonly mount: string | undefined;
  readonly client: string | undefined;
  readonly #response: ServerResponse;
  readonly #senderOf: SenderOf;
  #signal: AbortSignal | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, { repository, target, exchange }: ServedRequest) {
    this.method = exchange.method;
    this.rawPath = target.path.slice(repository.mount.length) || '/';
    this.rawQuery = target.query;
    this.body = request;
    this.baseUrl = repository.baseUrl(request, target.authority);
    this.mount = repository.sharedMount;
    this.client = exchange.client;
    this.#response = response;
    this.#senderOf = repository.senderOf;
  }

  /** Looked for when it is asked: only aliases need it. */
  get connection(): string | undefined {
    const { remoteAddress, remotePort } = this.body.socket;
    // The connections of a proxy are for all of its clients, by turns.
    const isOwn = remotePort !== undefined && remoteAddress === this.client;
    return isOwn ? `${remoteAddress} ${remotePort}` : undefined;
  }

  /** Looked for when it is asked: only changes need it. */
  get sender(): Sender {
    return this.#senderOf(this.body);
  }

  header(name: string): string | undefined {
    const value = this.body.headers[name];
    return typeof value === 'object' ? value.join(', ') : value;
  }

  /** Made when it is first asked for: an answer from memory needs none. */
  get signal(): AbortSignal {
    this.#signal ??= signalOf(this.#response);
    return this.#signal;
  }
}

function signalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (response.closed) controller.abort();
  else {
    response.once('close', () => {
      if (!response.writableFinished) controller.abort();
    });
  }
  return controller.signal;
}

function send(
  { method }: IncomingMessage,
  response: ServerResponse,
  { status, statusMessage, headers, body, outcome }: EngineReply,
  { exchange, logger }: ServedRequest,
): void {
  exchange.outcome = outcome;
  // At a shared mount it may have been another one.
  exchange.repository = outcome.repository;
  if (response.closed) return discard(body);
  response.statusCode = status;
  if (statusMessage !== undefined) response.statusMessage = statusMessage;
  try {
    for (const name in headers) response.setHeader(name, headerText(name, headers[name] as string));
  } catch (error) {
    discard(body);
    throw error;
  }
  if (body === undefined || method === 'HEAD') {
    discard(body);
    response.end();
  } else if (Buffer.isBuffer(body)) {
    exchange.bytes = body.length;
    response.end(body);
  } else {
    pump(body, response, exchange, logger);
  }
}

/**
 * Sends a stream as fast as the client takes it. Whatever keeps it from being sent as promised (an error, an early end,
 * a length that is not the promised one) destroys the connection: a clean end would make half of it look whole.
 */
function pump(body: Readable, response: ServerResponse, exchange: Exchange, logger: Logger): void {
  const length = response.getHeader('content-length');
  const promised = length === undefined ? undefined : Number(length);
  function fail(reason: string, error?: Error): void {
    if (response.closed || response.destroyed) return;
    logger.warn(
      { err: error, id: exchange.id, repository: exchange.repository, sent: exchange.bytes, promised, reason },
      'body failed',
    );
    response.destroy();
    body.destroy();
  }
  if (body.destroyed) {
    fail('destroyed before it was sent', body.errored ?? undefined);
    return;
  }
  function finish(): void {
    if (promised !== undefined && exchange.bytes !== promised) fail('shorter than promised');
    else response.end();
  }
  if (body instanceof FileReader) {
    const count = (bytes: number): void => {
      exchange.bytes += bytes;
    };
    void sendFile(body, response, count)
      .then(finish, (error: unknown) => fail('error', error as Error))
      .finally(() => body.destroy());
    return;
  }
  body.on('error', (error) => fail('error', error));
  body.on('data', (chunk: Buffer) => {
    exchange.bytes += chunk.length;
    if (promised !== undefined && exchange.bytes > promised) fail('longer than promised');
    else if (!response.write(chunk)) body.pause();
  });
  body.on('end', finish);
  body.on('close', () => {
    if (!body.readableEnded) fail('closed early');
  });
  response.on('drain', () => body.resume());
  response.on('close', () => body.destroy());
}

function discard(body: Buffer | Readable | undefined): void {
  if (body === undefined || Buffer.isBuffer(body)) return;
  // Nobody is left who could be told.
  body.on('error', () => {});
  body.destroy();
}
