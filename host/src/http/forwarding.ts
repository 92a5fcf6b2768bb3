import type { MountedRepository, RequestTarget } from './serve-repository.js';

/** A target that a client named by the URL of an upstream. */
export interface Forwarded {
  readonly repository: MountedRepository;
  readonly target: RequestTarget;
}

/**
 * Makes a function that finds the repository of an upstream that clients ask for themselves, as they ask an HTTP proxy (RFC 9112
 * §3.2.2). Nothing else is forwarded anywhere.
 */
export function forwarding(
  repositories: readonly MountedRepository[],
): (target: RequestTarget) => Forwarded | undefined {
  const places = repositories
    .flatMap((repository) => (repository.forwards ?? []).map((place) => ({ repository, ...place })))
    .sort((one, other) => other.upstream.length - one.upstream.length);
  return ({ path, query, authority }) => {
    // Only clients of a proxy name the host in the target.
    if (authority === undefined || !URL.canParse(`http://${authority}`)) return undefined;
    const asked = new URL(`http://${authority}`).host + path;
    const found = places.find(({ upstream }) => asked.startsWith(`${upstream}/`));
    if (found === undefined) return undefined;
    const { repository, upstream, path: below } = found;
    return { repository, target: { path: `${repository.mount}${below}${asked.slice(upstream.length)}`, query } };
  };
}
