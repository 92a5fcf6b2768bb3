import type { IncomingMessage } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { type ByteRange, EntrepotError } from '@entrepot/core';
import { ObjectReader, type ObjectReply, readObjectHead } from '@entrepot/core/blobs';
import { Agent, request } from '../../../node-http.js';
import type { S3Connection } from './connection.js';
import { s3Error, S3ReplyError, withRetries } from './failure.js';
import type { S3Settings } from './settings.js';
import type { BucketAddress, S3Signer } from './signer.js';

/** How often a read is tried. */
const ATTEMPTS = 3;
/** The most of a reply that is no object, in bytes. */
const MAX_ERROR_BYTES = 64 * 1024;

export interface GetOptions {
  readonly range?: ByteRange | undefined;
  /** The tag that the object must have. */
  readonly etag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads objects by requests that it signs itself: for small ones the SDK takes several times as long for a request as Node does.
 */
export class ObjectGetter {
  readonly #address: BucketAddress;
  readonly #signer: S3Signer;
  readonly #settings: S3Settings;
  readonly #connection: S3Connection;
  readonly #agent: InstanceType<typeof Agent>;

  constructor(address: BucketAddress, signer: S3Signer, connection: S3Connection) {
    const { settings } = connection;
    this.#address = address;
    this.#signer = signer;
    this.#connection = connection;
    this.#settings = settings;
    // As many connections as there are readers: a slow client holds one, and must not make others wait.
    const options = { keepAlive: true, maxFreeSockets: settings.connections };
    this.#agent = address.protocol === 'https:' ? new SecureAgent(options) : new Agent(options);
  }

  /** The bytes of an object, or those of `range`. `undefined`: there is none, or it has not the size that is expected. */
  async open(
    key: string,
    {
      range,
      size,
      signal,
    }: {
      readonly range?: ByteRange | undefined;
      readonly size?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<ObjectReader | undefined> {
    signal?.throwIfAborted();
    const where = this.#connection.nameOf(key);
    let first: ObjectReply | undefined;
    try {
      first = await this.get(key, { range, signal });
    } catch (error) {
      signal?.throwIfAborted();
      // The range does not lie inside it: it is shorter than it was.
      if (size !== undefined && error instanceof S3ReplyError && error.status === 416) return undefined;
      throw s3Error(error, 'read', where);
    }
    if (first === undefined) return undefined;
    const { etag, end, total } = first;
    if (size !== undefined && total !== size) {
      first.body.destroy();
      return undefined;
    }
    if (range !== undefined && end !== range.end) {
      first.body.destroy();
      throw new EntrepotError(
        'storage',
        `${where}: expected a range within ${total} bytes, found ${range.start}-${range.end}`,
      );
    }
    return new ObjectReader(first, {
      where,
      idleTimeout: this.#settings.idleTimeout,
      signal,
      again: (start, ending) => this.get(key, { range: { start, end }, etag, signal: ending }),
    });
  }

  /** Sends a GET. @returns the reply, whose body the caller reads or destroys; `undefined`: there is no such object */
  async get(key: string, options: GetOptions = {}): Promise<ObjectReply | undefined> {
    return await withRetries(() => this.#attempt(key, options), { attempts: ATTEMPTS, signal: options.signal });
  }

  dispose(): void {
    this.#agent.destroy();
  }

  async #attempt(key: string, { range, etag, signal }: GetOptions): Promise<ObjectReply | undefined> {
    const headers = await this.#signer.sign(key, {
      ...(range !== undefined && { range: `bytes=${range.start}-${range.end}` }),
      ...(etag !== undefined && { 'if-match': etag }),
    });
    const send = (): Promise<IncomingMessage> => this.#send(key, headers, signal);
    const body = await this.#connection.guard.send(send, (reply) => reply.statusCode, signal);
    const { statusCode: status = 0 } = body;
    if (status !== 200 && status !== 206) {
      const error = await replyError(body);
      if (error.code === 'NoSuchKey') return undefined;
      throw error;
    }
    const { headers: found } = body;
    const { etag: tag, 'content-length': length, 'content-range': part } = found;
    const reply = readObjectHead({ etag: tag, length, range: part, status }, range);
    if (reply !== undefined) return { ...reply, body };
    body.destroy();
    const seen = `status ${status}, Content-Type ${found['content-type']}, Content-Length ${found['content-length']}, Content-Range ${found['content-range']}, ETag ${found.etag}`;
    throw new S3ReplyError(`expected the bytes of an object from S3, found a reply with ${seen}`, { status: 0 });
  }

  #send(key: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    const { protocol, hostname, port, path } = this.#address;
    const { connectTimeout, headersTimeout } = this.#settings;
    const isSecure = protocol === 'https:';
    return new Promise((resolve, reject) => {
      const sent = (isSecure ? secureRequest : request)({
        host: hostname,
        port,
        path: `${path}${key}`,
        agent: this.#agent,
        headers,
        ...(signal !== undefined && { signal }),
      });
      let timer: NodeJS.Timeout | undefined;
      function limit(time: number, problem: string): void {
        clearTimeout(timer);
        timer = setTimeout(() => sent.destroy(timeoutError(`${problem} within ${time} ms`)), time);
      }
      sent.once('socket', (socket) => {
        const connected = (): void => limit(headersTimeout, 'the server did not begin its answer');
        if (!socket.connecting) return connected();
        limit(connectTimeout, 'no connection');
        socket.once(isSecure ? 'secureConnect' : 'connect', connected);
      });
      sent.once('response', (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      sent.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      sent.end();
    });
  }
}

/** Reads a reply that says what went wrong. */
async function replyError(body: IncomingMessage): Promise<S3ReplyError> {
  const { statusCode: status = 0, headers } = body;
  let text = '';
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      text += chunk.toString('latin1');
      if (text.length > MAX_ERROR_BYTES) break;
    }
  } catch {
    // The status says enough.
  }
  const code = /<Code>([A-Za-z0-9.]+)<\/Code>/.exec(text)?.[1];
  const message = /<Message>([^<]*)<\/Message>/.exec(text)?.[1] ?? '';
  return new S3ReplyError(`status ${status}${code === undefined ? '' : ` ${code}: ${message}`}`, {
    status,
    code,
    headers,
  });
}

function timeoutError(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}
