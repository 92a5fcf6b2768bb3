import { withoutTrailingSlashes, type ClientSetup, type Logger } from '@entrepot/core';
import { createSharedMount, type CallerLimits } from '@entrepot/core/engine';
import type { TokenRepository } from './access/token-endpoint.js';
import type { Scope } from './container/scope.js';
import { printListenAddress } from './config/listen-address.js';
import { ACCESS, ENGINE } from './container/tokens.js';
import { baseUrlOf } from './http/base-url.js';
import { forwardedPlace } from './http/forwarded-place.js';
import type { MountedRepository } from './http/serve-repository.js';
import type { ShownRepository } from './http/home-page.js';
import type { SenderOf } from './http/sender.js';
import type { TrustedProxies } from './http/trusted-proxies.js';
import { factsOf, type RepositoryPlan } from './repositories/repository-plan.js';

/** A repository as a host serves it. Holds no secret. */
export interface HostRepository extends ShownRepository {
  /** `host:port` of its own listener. Absent: it is on the server's. */
  readonly listen: string | undefined;
}

/** A repository whose protocol exists. */
export interface Served {
  readonly plan: RepositoryPlan;
  readonly scope: Scope;
}

/** Settings that the repositories of one listener have in common. */
export interface Mounting {
  readonly serverUrl: string | undefined;
  readonly proxies: TrustedProxies;
  readonly senderOf: SenderOf;
  /** Limits of the server, for answers of several repositories together. */
  readonly limits: CallerLimits | undefined;
}

/** Mounts the repositories of one listener. Their scopes must be able to make engines. */
export function mountRepositories(
  served: readonly Served[],
  { serverUrl, proxies, senderOf, limits }: Mounting,
): MountedRepository[] {
  const own = served.filter(({ plan }) => !isExclusive(plan)).map((one) => mountAt(one, one.plan.mount));
  const shared = new Set(served.flatMap(({ plan }) => plan.sharedMounts));
  return [...own, ...[...shared].flatMap((mount) => mountShared(mount))];

  function mountAt({ plan, scope }: Served, path: string, sharedMount?: string): MountedRepository {
    const mount = path === '/' ? '' : path;
    const baseUrl = baseUrlOf(publicUrl(plan, path, serverUrl), mount, proxies);
    const { loaded, upstreams } = plan;
    const forwards =
      loaded.plugin.http?.forwards === true ? upstreams.map(({ url, scope }) => forwardedPlace(url, scope)) : [];
    return { name: plan.name, mount, sharedMount, engine: scope.get(ENGINE), baseUrl, senderOf, forwards };
  }

  function mountShared(mount: string): MountedRepository[] {
    const sharing = served.filter(({ plan }) => plan.sharedMounts.includes(mount));
    const [first] = sharing as [Served];
    const exclusive = isExclusive(first.plan);
    const engine = createSharedMount({
      mount,
      members: sharing.map(({ plan, scope }) => ({
        engine: scope.get(ENGINE),
        facts: { ...factsOf(plan), type: plan.loaded.plugin.id, options: plan.options },
      })),
      exclusive,
      limits,
    });
    if (exclusive) return [{ ...mountAt(first, mount, mount), engine }];
    const url = serverUrl === undefined ? undefined : new URL(serverUrl).origin + mount;
    const baseUrl = baseUrlOf(url, mount, proxies);
    const root = { name: mount, mount, sharedMount: mount, engine, baseUrl, senderOf };
    const below = sharing.map((one) => {
      const { name } = one.plan;
      return { ...mountAt(one, `${mount}/${name}`, mount), engine: engine.below(name) };
    });
    return [root, ...below];
  }
}

/** Those of a listener for which clients get tokens: who is found at a mount that the ecosystem fixes. */
export function tokenRepositories(served: readonly Served[]): TokenRepository[] {
  return served
    .filter(({ plan }) => plan.sharedMounts.length > 0)
    .map(({ plan, scope }) => ({ name: plan.name, access: scope.get(ACCESS), plainNames: isExclusive(plan) }));
}

/**
 * The URL of a repository for clients of the server at `origin`; one with a listener of its own is on another `port` of the
 * same host.
 */
export function urlAt(plan: RepositoryPlan, serverUrl: string | undefined, origin: () => string, port: number): string {
  const path = usualMount(plan);
  const mount = path === '/' ? '' : path;
  const own = publicUrl(plan, path, plan.listen === undefined ? serverUrl : undefined);
  if (own !== undefined) return withoutTrailingSlashes(own);
  if (plan.listen === undefined) return origin() + mount;
  return `${plan.tls === undefined ? 'http' : 'https'}://${new URL(origin()).hostname}:${port}${mount}`;
}

/** Whether it has a mount to itself that others of its type would share. */
function isExclusive({ mount, sharedMounts }: RepositoryPlan): boolean {
  return sharedMounts.includes(mount);
}

/** The mount for the clients of its ecosystem. */
function usualMount(plan: RepositoryPlan): string {
  const [shared] = plan.sharedMounts;
  return shared === undefined || isExclusive(plan) ? plan.mount : `${shared}/${plan.name}`;
}

/**
 * The configured public URL of a repository at `path`. The server's own URL applies to the server's listener. Mounts
 * that the ecosystem fixes are at the root of the host.
 */
function publicUrl(
  { config, mount, sharedMounts }: RepositoryPlan,
  path: string,
  serverUrl: string | undefined,
): string | undefined {
  const isOwn = path === mount;
  if (isOwn && config.publicUrl !== undefined) return config.publicUrl;
  const url = config.publicUrl ?? serverUrl;
  if (url === undefined) return undefined;
  if (!isOwn || sharedMounts.includes(path)) return new URL(url).origin + path;
  return url + (path === '/' ? '' : path);
}

/** The repository of a plan as a host lists it. */
export function describe({ name, kind, mount, listen, upstreams, loaded, config }: RepositoryPlan): HostRepository {
  return {
    name,
    ...(config.description !== undefined && { description: config.description }),
    type: loaded.plugin.id,
    kind,
    mount,
    listen: listen === undefined ? undefined : printListenAddress(listen),
    upstreams: upstreams.map(({ url, scope, source }) => ({ url, scope, source })),
  };
}

/** The setup of the clients of a repository. A plugin that cannot say it must not take the page with it. */
export function clientSetup({ plan, scope }: Served, baseUrl: string, logger: Logger): readonly ClientSetup[] {
  const { name, loaded } = plan;
  const guarded = !isOpen(scope);
  try {
    return loaded.plugin.clients?.setup?.({ baseUrl, repository: factsOf(plan), guarded }) ?? [];
  } catch (error) {
    logger.error({ err: error, plugin: loaded.package, hook: 'clients.setup', repository: name }, 'plugin failed');
    return [];
  }
}

/** Whether everybody may read a repository. */
export function isOpen(scope: Scope): boolean {
  return scope.get(ACCESS).isOpen({ right: 'read' });
}
