import { createRequire } from 'node:module';
import type KoaRouter from '@koa/router';
import { EntrepotError, type Logger } from '@entrepot/core';
import Koa from 'koa';
import { errorBoundary } from './error-boundary.js';
import type { ExchangeWatch } from './exchange.js';
import type { MountedRepository } from './koa-adapter.js';
import { refuseLoops } from './loop.js';
import { repositoryRoutes } from './repository-routes.js';
import { requestContext } from './request-context.js';
import type { TrustedProxies } from './trusted-proxies.js';

// Its ES module imports `node:http` (see node-http.ts).
const { default: Router } = createRequire(import.meta.url)('@koa/router') as typeof import('@koa/router');

export interface AppOptions {
  readonly repositories: readonly MountedRepository[];
  /** Adds the routes of the server itself: health, metrics, the start page. */
  readonly routes?: ((router: KoaRouter) => void) | undefined;
  /** The longest path with its query, in characters. */
  readonly maxPathLength: number;
  readonly watch: ExchangeWatch;
  readonly proxies: TrustedProxies;
  readonly logger: Logger;
}

/** Puts the parts of one listener in order. */
export function createApp({ repositories, routes, maxPathLength, watch, proxies, logger }: AppOptions): Koa {
  const router = new Router({ exclusive: false });
  routes?.(router);
  const reserved = reservedPaths(router, repositories);
  const app = new Koa();
  // What gets past the boundary is a connection that broke while it was written to.
  app.on('error', (error: Error) => logger.debug({ err: error }, 'connection failed'));
  app.use(requestContext(watch, proxies));
  app.use(errorBoundary(logger));
  app.use(refuseLoops);
  app.use(repositoryRoutes({ repositories, reserved, maxPathLength, logger }));
  app.use(notFound);
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app;
}

/** Whether a path is the server's own; but a repository that is mounted at `/` has its root to itself. */
function reservedPaths(router: KoaRouter, repositories: readonly MountedRepository[]): (path: string) => boolean {
  const paths = new Set(router.stack.map(({ path }) => String(path)));
  if (repositories.some(({ mount }) => mount === '')) paths.delete('/');
  // Of a route with parameters everything below what comes before them.
  const prefixes = [...paths].flatMap((path) => /^(.*?\/)[:*]/.exec(path)?.[1] ?? []);
  return (path) => paths.has(path) || prefixes.some((prefix) => path.startsWith(prefix));
}

const notFound: Koa.Middleware = async (ctx, next) => {
  await next();
  if (ctx.status === 404) throw new EntrepotError('not-found', 'Nothing is mounted at this path; / lists what is');
};
