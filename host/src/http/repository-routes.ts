import { EntrepotError, type Logger } from '@entrepot/core';
import type { Middleware } from 'koa';
import { serveRepository, type MountedRepository } from './koa-adapter.js';
import { parseRequestTarget, type RequestTarget } from './request-target.js';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE']);
const ALLOW = [...METHODS].join(', ');
const SLASH = 47;

export interface RepositoryRoutesOptions {
  readonly repositories: readonly MountedRepository[];
  /** Paths that are not for a repository, even when one is mounted above them. */
  readonly reserved: (path: string) => boolean;
  /** The longest path with its query that is looked at, in characters. */
  readonly maxPathLength: number;
  readonly logger: Logger;
}

/**
 * Hands a request to the repository with the longest mount that its path begins with. Compares raw paths: a router's
 * decoded ones turn `a/%2e%2e/b` into `a/../b` (docs/architecture.md, section 6).
 */
export function repositoryRoutes({
  repositories,
  reserved,
  maxPathLength,
  logger,
}: RepositoryRoutesOptions): Middleware {
  const longestFirst = repositories.toSorted((one, other) => other.mount.length - one.mount.length);
  return (ctx, next) => {
    const url = ctx.req.url ?? '/';
    if (url.length > maxPathLength) {
      throw new EntrepotError(
        'uri-too-long',
        `Path: expected at most ${maxPathLength} characters, found ${url.length}`,
      );
    }
    const target = parseRequestTarget(url);
    if (target === undefined) throw new EntrepotError('bad-request', 'Request target: expected a path or an http URL');
    if (reserved(target.path)) return next();
    const repository = longestFirst.find(({ mount }) => isBelow(mount, target));
    if (repository === undefined) return next();
    if (!METHODS.has(ctx.req.method ?? '')) {
      throw new EntrepotError('method-not-allowed', `Method: expected one of ${ALLOW}`, { headers: { Allow: ALLOW } });
    }
    return serveRepository(ctx, repository, target, logger);
  };
}

function isBelow(mount: string, { path }: RequestTarget): boolean {
  return path.startsWith(mount) && (path.length === mount.length || path.charCodeAt(mount.length) === SLASH);
}
