import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Logger } from '@entrepot/core';
import {
  headerText,
  type EngineReply,
  type EngineRequest,
  type RepositoryEngine,
  type Sender,
} from '@entrepot/core/engine';
import type { Context } from 'koa';
import { FileReader } from '../drivers/blob/file-reader.js';
import type { BaseUrl } from './base-url.js';
import { exchangeOf, type Exchange } from './exchange.js';
import type { RequestTarget } from './request-target.js';
import type { SenderOf } from './sender.js';
import { sendFile } from './send-file.js';

/** A repository and where it is mounted; or what answers at a mount that several of them share. */
export interface MountedRepository {
  readonly name: string;
  /** Begins with `/` and does not end in one; empty for a repository that has a listener to itself. */
  readonly mount: string;
  /** The mount that the ecosystem fixes, at or below which this one is. */
  readonly sharedMount?: string | undefined;
  readonly engine: Pick<RepositoryEngine, 'handle' | 'ready'>;
  readonly baseUrl: BaseUrl;
  readonly senderOf: SenderOf;
}

/**
 * Has `repository` answer the request and sends what it answers. The only code that knows both Koa and the engine.
 * @param target the request target; its path is below the mount
 * @throws EntrepotError `bad-request` when the request has no usable `Host`
 */
export function serveRepository(
  ctx: Context,
  repository: MountedRepository,
  target: RequestTarget,
  logger: Logger,
): Promise<void> {
  const { req, res } = ctx;
  const exchange = exchangeOf(res);
  exchange.repository = repository.name;
  const request = new KoaEngineRequest(req, res, repository, target, exchange.client);
  const ready = repository.engine.ready?.(request);
  if (ready === undefined)
    return repository.engine.handle(request).then((reply) => answer(ctx, reply, exchange, logger));
  answer(ctx, ready, exchange, logger);
  return DONE;
}

const DONE = Promise.resolve();

function answer(ctx: Context, reply: EngineReply, exchange: Exchange, logger: Logger): void {
  const { req, res } = ctx;
  exchange.outcome = reply.outcome;
  // At a shared mount it may have been another one.
  exchange.repository = reply.outcome.repository;
  // Koa would measure and type the body again.
  ctx.respond = false;
  try {
    send(req, res, reply, exchange, logger);
  } catch (error) {
    discard(reply.body);
    throw error;
  }
}

class KoaEngineRequest implements EngineRequest {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly body: Readable;
  readonly baseUrl: string;
  readonly mount: string | undefined;
  readonly client: string | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #senderOf: SenderOf;
  #signal: AbortSignal | undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    repository: MountedRepository,
    target: RequestTarget,
    client: string | undefined,
  ) {
    const { path, query, authority } = target;
    const below = path.slice(repository.mount.length);
    this.method = request.method ?? 'GET';
    this.rawPath = below === '' ? '/' : below;
    this.rawQuery = query;
    this.body = request;
    this.baseUrl = repository.baseUrl(request, authority);
    this.mount = repository.sharedMount;
    this.client = client;
    this.#request = request;
    this.#response = response;
    this.#senderOf = repository.senderOf;
  }

  /** Looked for when it is asked: only changes need it. */
  get sender(): Sender {
    return this.#senderOf(this.#request);
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
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
  request: IncomingMessage,
  response: ServerResponse,
  { status, statusMessage, headers, body }: EngineReply,
  exchange: Exchange,
  logger: Logger,
): void {
  if (response.closed) {
    discard(body);
    return;
  }
  response.statusCode = status;
  if (statusMessage !== undefined) response.statusMessage = statusMessage;
  for (const name in headers) response.setHeader(name, headerText(name, headers[name] as string));
  if (body === undefined || request.method === 'HEAD') {
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
