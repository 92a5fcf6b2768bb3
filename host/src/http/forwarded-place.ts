import { withoutTrailingSlashes } from '@entrepot/core';

/** Where a repository has what is at an upstream. */
export interface ForwardedPlace {
  /** Host and path of the upstream, without a slash at the end. */
  readonly upstream: string;
  /** The path below the repository: empty, or one that begins with `/`. */
  readonly path: string;
}

/** Gives the place of an upstream, whatever its scheme: clients of an HTTP proxy name it by http. */
export function forwardedPlace(url: string, scope: string | undefined): ForwardedPlace {
  const { host, pathname } = new URL(url);
  const path = scope === undefined ? '' : `/${encodeURIComponent(scope)}`;
  return { upstream: host + withoutTrailingSlashes(pathname), path };
}
