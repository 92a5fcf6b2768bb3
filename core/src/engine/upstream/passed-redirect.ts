import { EntrepotError } from '../../api/errors.js';
import type { UpstreamLocation } from '../request/resource.js';

/** A redirect of an upstream that clients are told of. */
export class PassedRedirect extends EntrepotError {
  /** Below the repository, encoded, with its query. */
  readonly target: string;

  constructor(status: number, target: string) {
    super('bad-request', `The upstream says that this is at ${target.split('?', 1)[0]}`, {
      code: 'REDIRECTED',
      status,
    });
    this.target = target;
  }

  /** The redirect, where `error` is one. (`instanceof` tells all of our errors from others, not one from another.) */
  static in(error: unknown): PassedRedirect | undefined {
    return error instanceof EntrepotError && 'target' in error ? (error as PassedRedirect) : undefined;
  }
}

/**
 * The target of a redirect from `from` to `to` below the upstream at `base`, if it is passed on to clients.
 * @returns encoded, with its query
 */
export function passedTarget(
  redirects: UpstreamLocation['redirects'],
  base: string | undefined,
  from: URL,
  to: URL,
): string | undefined {
  if (redirects === undefined || redirects === 'follow' || base === undefined) return undefined;
  const root = new URL(base.endsWith('/') ? base : `${base}/`);
  if (to.origin !== root.origin || !to.pathname.startsWith(root.pathname) || to.href === from.href) return undefined;
  if (redirects === 'directories' && to.pathname !== `${from.pathname}/`) return undefined;
  return to.pathname.slice(root.pathname.length) + to.search;
}
