import type { ServerResponse } from 'node:http';
import { EntrepotError, type Logger } from '@entrepot/core';

/** Headers that every response has from the beginning of its exchange. */
const KEPT_HEADERS: ReadonlySet<string> = new Set(['x-request-id', 'x-content-type-options', 'connection']);

/**
 * Answers what is thrown outside the pipeline (which answers its own errors) as plain text. What is not meant for
 * clients goes to the log, under the request's id.
 */
export function answerError(error: unknown, response: ServerResponse, logger: Logger): void {
  const id = response.getHeader('X-Request-Id') as string;
  const known = error instanceof EntrepotError ? (error as EntrepotError) : undefined;
  const { status = 500, headers = {}, retryAfter } = known ?? {};
  if (status >= 500) logger.error({ err: error, id }, 'request failed');
  if (response.headersSent) {
    // Half of an answer is out: only a broken connection says that the rest will not come.
    response.destroy();
    return;
  }
  // Headers of the answer that was being made do not belong to this one.
  for (const name of response.getHeaderNames()) if (!KEPT_HEADERS.has(name)) response.removeHeader(name);
  const message = known?.expose === true ? known.message : `Internal error; the log has it under request ${id}`;
  const body = Buffer.from(`${message}\n`);
  response.statusMessage = '';
  response.writeHead(status, {
    ...headers,
    ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': body.length,
  });
  response.end(body);
}
