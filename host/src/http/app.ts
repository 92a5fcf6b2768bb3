import type { RequestListener, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type KoaRouter from '@koa/router';
import { EntrepotError, type Logger } from '@entrepot/core';
import { countRequest, type CallerLimits } from '@entrepot/core/engine';
import Koa from 'koa';
import { LOOP_HEADER, OWN_NAME, passedThrough } from '../drivers/upstream/loop.js';
import { answerError, answerProblem } from './answer-error.js';
import type { Exchanges } from './exchange.js';
import { mountFinder } from './find-mount.js';
import { forwarding } from './forwarding.js';
import { serveRepository, type MountedRepository, type RequestTarget } from './serve-repository.js';

// Its ES module imports `node:http` (see node-http.ts).
const { default: Router } = createRequire(import.meta.url)('@koa/router') as typeof import('@koa/router');

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE']);
const ALLOW = [...METHODS].join(', ');
const SLASH = 47;
/** The beginning of paths that are the server's own. */
const OWN_PATHS = '/-/';
/** The beginning of those that belong to no repository, also where one is mounted at `/`. */
const API_PATHS = '/-/api/';
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)([^]*)$/i;
/** A header of loops that is longer has been through more servers than any request should. */
const LONGEST_LOOP = 1024;

export interface AppOptions {
  readonly repositories: readonly MountedRepository[];
  /** Adds the routes of the server itself: health, metrics, the start page. */
  readonly routes?: ((router: KoaRouter) => void) | undefined;
  /** The longest path with its query, in characters. */
  readonly maxPathLength: number;
  /** For the server's own pages. Absent: without limit. */
  readonly limits?: CallerLimits | undefined;
  /** Paths of pages that are not counted. */
  readonly unlimited?: readonly string[] | undefined;
  readonly exchanges: Exchanges;
  readonly logger: Logger;
}

/**
 * Handles the requests of one listener. One below a mount goes to the repository with the longest mount that its path begins
 * with, all others to the server's own pages. Mounts are compared with raw paths: a router's decoded ones turn `a/%2e%2e/b`
 * into `a/../b` (docs/architecture.md, section 6).
 */
export function createApp(options: AppOptions): RequestListener {
  const { repositories, routes, maxPathLength, limits, unlimited = [], exchanges, logger } = options;
  const router = new Router({ exclusive: false });
  routes?.(router);
  const pages = serverPages(router, logger);
  const mountedAt = mountFinder(repositories);
  const forwardedTo = forwarding(repositories);
  const reserved = new Set(router.stack.map(({ path }) => String(path)));
  // A repository that is mounted at `/` has its root to itself.
  if (repositories.some(({ mount }) => mount === '')) reserved.delete('/');
  // Other names of probes give way to repositories: npm has a package of that name.
  for (const path of reserved) if (/^\/health(\/|$)/.test(path) && mountedAt(path) !== undefined) reserved.delete(path);
  // Of a route with parameters everything below what comes before them.
  const reservedBelow = [...reserved].flatMap((path) => /^(.*?\/)[:*]/.exec(path)?.[1] ?? []);

  return (request, response) => {
    const exchange = exchanges.begin(request, response);
    const passed = request.headers[LOOP_HEADER];
    try {
      if (typeof passed !== 'string') dispatch();
      else if (passed.length <= LONGEST_LOOP && !passed.includes(OWN_NAME)) passedThrough.run(passed, dispatch);
      else throw loopDetected();
    } catch (error) {
      refuse(error, request.url ?? '', response, logger);
    }

    function dispatch(): void {
      const { method = '', url = '/' } = request;
      if (url.length > maxPathLength) {
        const message = `Path: expected at most ${maxPathLength} characters, found ${url.length}`;
        throw new EntrepotError('uri-too-long', message);
      }
      const asked = parseRequestTarget(url);
      const { repository, target } = forwardedTo(asked) ?? { repository: repositoryAt(asked.path), target: asked };
      if (repository === undefined) {
        if (limits !== undefined && !unlimited.includes(asked.path)) countRequest(limits, exchange);
        return void pages(request, response);
      }
      if (!METHODS.has(method)) throw methodNotAllowed(ALLOW);
      serveRepository(request, response, { repository, target, exchange, logger });
    }
  };

  function repositoryAt(path: string): MountedRepository | undefined {
    if (reserved.has(path) || path.startsWith(API_PATHS)) return undefined;
    for (const prefix of reservedBelow) if (path.startsWith(prefix)) return undefined;
    return mountedAt(path);
  }
}

/** Answers an error, below the server's own paths as all of its operations do. */
function refuse(error: unknown, path: string, response: ServerResponse, logger: Logger): void {
  if (path.startsWith(OWN_PATHS)) answerProblem(error, response, logger);
  else answerError(error, response, logger);
}

function methodNotAllowed(allowed: string): EntrepotError {
  const headers = { Allow: allowed };
  return new EntrepotError('method-not-allowed', `Method: expected one of ${allowed}`, { headers });
}

/** The server's own pages, by Koa. */
function serverPages(router: KoaRouter, logger: Logger): RequestListener {
  const app = new Koa();
  // Errors that get past the answer are of connections that broke while they were written to.
  app.on('error', (error: Error) => logger.debug({ err: error }, 'connection failed'));
  app.use(async (ctx, next) => {
    try {
      await next();
      if (ctx.respond === false) return;
      if (ctx.status === 404) throw new EntrepotError('not-found', 'Nothing is mounted at this path; / lists what is');
      if (ctx.status === 405 || ctx.status === 501) throw methodNotAllowed(ctx.response.get('Allow'));
    } catch (error) {
      ctx.respond = false;
      refuse(error, ctx.path, ctx.res, logger);
    }
  });
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app.callback();
}

/**
 * Splits a request target as the client sent it.
 * @throws EntrepotError `bad-request` for a form that no resource has (`*`, `host:port`)
 */
function parseRequestTarget(url: string): RequestTarget {
  let target = url;
  let authority: string | undefined;
  if (url.charCodeAt(0) !== SLASH) {
    const match = ABSOLUTE_FORM.exec(url);
    if (match === null) throw new EntrepotError('bad-request', 'Request target: expected a path or an http URL');
    const [, host, rest = ''] = match;
    authority = host;
    target = rest.startsWith('/') ? rest : `/${rest}`;
  }
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: '', authority };
  return { path: target.slice(0, mark), query: target.slice(mark + 1), authority };
}

/** The answer to what this process sent itself, also by others: it would wait for its own answer until a timeout ends it. */
function loopDetected(): EntrepotError {
  const message = 'An upstream of this server leads back to it; expected the URL of another server as upstream';
  return new EntrepotError('upstream-unavailable', message, { code: 'LOOP_DETECTED', status: 508 });
}
