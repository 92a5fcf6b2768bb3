import { EntrepotError, type Logger } from '@entrepot/core';
import type { Middleware } from 'koa';
import { exchangeOf } from './exchange.js';

/** Headers that every response has from the request context. */
const KEPT_HEADERS: ReadonlySet<string> = new Set(['x-request-id', 'x-content-type-options', 'connection']);

/** The public part of an error. */
interface Answer {
  readonly status: number;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly failure: boolean;
}

/**
 * Answers what is thrown outside the pipeline (which answers its own errors) as plain text. What is not meant for
 * clients goes to the log, under the request's id.
 */
export function errorBoundary(logger: Logger): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const { id } = exchangeOf(ctx.res);
      const { status, message, headers, failure } = answerOf(error, id);
      if (failure) logger.error({ err: error, id }, 'request failed');
      if (ctx.res.headersSent) {
        // Half of an answer is out: only a broken connection says that the rest will not come.
        ctx.res.destroy();
        return;
      }
      // Headers of the answer that was being made do not belong to this one.
      for (const name of ctx.res.getHeaderNames()) if (!KEPT_HEADERS.has(name)) ctx.res.removeHeader(name);
      ctx.respond = true;
      ctx.status = status;
      ctx.set(headers);
      ctx.body = `${message}\n`;
    }
  };
}

function answerOf(error: unknown, id: string): Answer {
  if (error instanceof EntrepotError) {
    const { status, expose, message, headers, retryAfter } = error as EntrepotError;
    return {
      status,
      message: expose ? message : internalError(id),
      headers: retryAfter === undefined ? headers : { ...headers, 'Retry-After': String(retryAfter) },
      failure: status >= 500,
    };
  }
  return { status: 500, message: internalError(id), headers: {}, failure: true };
}

function internalError(id: string): string {
  return `Internal error; the log has it under request ${id}`;
}
