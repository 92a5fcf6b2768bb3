import type { ServerResponse } from 'node:http';
import { EntrepotError, type Logger } from '@entrepot/core';
import { STATUS_CODES } from '../node-http.js';

/** Headers that every response has from the beginning of its exchange. */
const KEPT_HEADERS: ReadonlySet<string> = new Set(['x-request-id', 'x-content-type-options', 'connection']);

/**
 * Answers what is thrown outside the pipeline (which answers its own errors) as plain text. What is not meant for
 * clients goes to the log, under the request's id.
 */
export function answerError(error: unknown, response: ServerResponse, logger: Logger): void {
  answer(error, response, logger, {
    type: 'text/plain; charset=utf-8',
    print: ({ detail }) => `${detail}\n`,
  });
}

/** Answers what is thrown by a route of the server itself, as RFC 9457 has it. */
export function answerProblem(error: unknown, response: ServerResponse, logger: Logger): void {
  answer(error, response, logger, {
    type: 'application/problem+json',
    print: (problem) => JSON.stringify(problem),
  });
}

/** An error, as clients are told of it. */
interface Problem {
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly requestId: string;
}

interface Form {
  readonly type: string;
  print(problem: Problem): string;
}

function answer(error: unknown, response: ServerResponse, logger: Logger, { type, print }: Form): void {
  const requestId = response.getHeader('X-Request-Id') as string;
  const known = error instanceof EntrepotError ? (error as EntrepotError) : undefined;
  const { status = 500, headers = {}, retryAfter, code = 'INTERNAL_ERROR' } = known ?? {};
  if (status >= 500) logger.error({ err: error, id: requestId }, 'request failed');
  if (response.headersSent) {
    // Half of an answer is out: only a broken connection says that the rest will not come.
    response.destroy();
    return;
  }
  // Headers of the answer that was being made do not belong to this one.
  for (const name of response.getHeaderNames()) if (!KEPT_HEADERS.has(name)) response.removeHeader(name);
  const detail = known?.expose === true ? known.message : `Internal error; the log has it under request ${requestId}`;
  const body = Buffer.from(print({ title: STATUS_CODES[status] ?? 'Error', status, code, detail, requestId }));
  response.statusMessage = '';
  response.writeHead(status, {
    ...headers,
    ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
    'Content-Type': type,
    'Content-Length': body.length,
  });
  response.end(body);
}
