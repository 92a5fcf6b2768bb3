import type { Agent, IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import { Readable } from 'node:stream';

// An import of `node:http` reads every export of it, and its WebSocket loads Node's own fetch: 15 MiB in an idle server.
const { request } = process.getBuiltinModule('node:http');

/** A request to a store. */
export interface StoreRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Keeps the connections. */
  readonly agent: Agent;
  /** A stream is destroyed when the request has ended; one that fails ends the request. */
  readonly body?: Buffer | Readable | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Limits of a request, in milliseconds. */
export interface RequestLimits {
  /** Connecting, TLS included. */
  readonly connectTimeout: number;
  /** From the end of the request's body to the head of the answer. */
  readonly headersTimeout: number;
  /** A pause within the request's body. That of the answer is its reader's. */
  readonly idleTimeout: number;
}

/**
 * Sends a request, and waits for the head of the answer.
 * @returns the answer, whose body the caller reads or destroys
 * @throws the failure of the connection, with `ETIMEDOUT` where a limit was passed; that of the body
 */
export async function sendRequest(
  { url, method, headers, agent, body, signal }: StoreRequest,
  { connectTimeout, headersTimeout, idleTimeout }: RequestLimits,
): Promise<IncomingMessage> {
  const isSecure = url.protocol === 'https:';
  const sent = (isSecure ? secureRequest : request)(url, {
    method,
    headers,
    agent,
    ...(signal !== undefined && { signal }),
  });
  let timer: NodeJS.Timeout | undefined;
  function limit(time: number, problem: string): void {
    clearTimeout(timer);
    timer = setTimeout(() => sent.destroy(timeoutError(`${problem} within ${time} ms`)), time);
  }
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const awaitAnswer = (): void => limit(headersTimeout, 'the server did not begin its answer');
      const connected = (): void => {
        if (body === undefined || Buffer.isBuffer(body)) awaitAnswer();
        else sendStream(body);
      };
      function sendStream(stream: Readable): void {
        const progress = (): void => limit(idleTimeout, 'no byte of the body could be sent');
        progress();
        stream.on('data', progress);
        stream.once('end', awaitAnswer);
        stream.pipe(sent);
      }
      sent.once('socket', (socket) => {
        if (!socket.connecting) return connected();
        limit(connectTimeout, 'no connection');
        socket.once(isSecure ? 'secureConnect' : 'connect', connected);
      });
      sent.once('response', (answer) => {
        // One that answers before it has all leaves a connection that can do nothing more.
        if (!sent.writableEnded) answer.once('close', () => sent.destroy());
        resolve(answer);
      });
      sent.on('error', reject);
      if (body instanceof Readable) {
        // The server would wait for the rest of it.
        body.once('error', (error) => {
          reject(error);
          sent.destroy();
        });
      } else sent.end(body);
    });
  } finally {
    clearTimeout(timer);
    if (body instanceof Readable) body.destroy();
  }
}

function timeoutError(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

/** Reads a whole answer, up to `limit` bytes; what is beyond is cut off. */
export async function textOf(answer: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > limit) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, Math.min(length, limit));
}
