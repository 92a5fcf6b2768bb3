import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import type { SecureContext } from 'node:tls';
import type { TransportRequest } from '@entrepot/core';
import { request as requestHttp } from '../../node-http.js';
import { failureCode } from './upstream-error.js';

export interface LenientOptions {
  readonly lookup: LookupFunction;
  readonly secureContext?: SecureContext | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxHeaderSize: number;
  /** Milliseconds: to connect and for the head, and between two pieces of the body. */
  readonly timeouts: { readonly headers: number; readonly body: number };
}

/** The head of a reply, and the way to its body. */
export interface Reply {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
}

/** Whether `error` says that a reply was no HTTP in the strict sense. */
export function isLooseHttp(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = failureCode(error) ?? '';
  // The length that stands beside chunks is not that of the body, or stands there twice.
  return error.name === 'HTTPParserError' || code.startsWith('HPE_') || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';
}

/** Whether a reply says twice how long it is: by its chunks, and by a length that does not count then (RFC 9112 §6.3). */
export function saysLengthTwice(headers: Reply['headers']): boolean {
  return headers['transfer-encoding'] !== undefined && headers['content-length'] !== undefined;
}

/**
 * Asks a server of loose HTTP as its own clients do: lines that end in LF alone, a length beside chunks, folded or odd fields. On a
 * connection of its own, which ends with the reply: whatever follows that is nobody's reply.
 */
export function exchangeLeniently(request: TransportRequest, options: LenientOptions): Promise<Reply> {
  const { url, method, signal } = request;
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = send(url, {
      method,
      headers: { ...options.headers, connection: 'close' },
      agent: false,
      insecureHTTPParser: true,
      lookup: options.lookup,
      maxHeaderSize: options.maxHeaderSize,
      signal,
      // Credentials of a URL are for nobody.
      auth: undefined,
      ...(options.secureContext === undefined ? {} : { secureContext: options.secureContext }),
    });
    sent.setTimeout(options.timeouts.headers, () => sent.destroy(timeout('UND_ERR_HEADERS_TIMEOUT')));
    sent.on('error', reject);
    sent.on('response', (body) => {
      sent.setTimeout(options.timeouts.body, () => body.destroy(timeout('UND_ERR_BODY_TIMEOUT')));
      resolve({ statusCode: body.statusCode ?? 0, headers: headersOf(body), body });
    });
    sent.end();
  });
}

/** All fields; a length beside chunks is taken out (RFC 9112 §6.3). */
function headersOf({ headersDistinct: headers }: IncomingMessage): Reply['headers'] {
  return saysLengthTwice(headers) ? { ...headers, 'content-length': undefined } : headers;
}

function timeout(code: string): Error {
  return Object.assign(new Error('no answer in time'), { code });
}
