import {
  withoutTrailingSlashes,
  EntrepotError,
  optionsOfOtherKind,
  type AnyDeclaredPlugin,
  type FreshnessRule,
  type RepositoryFacts,
} from '@entrepot/core';
import { cacheClassesOf, kindsOf, nearest, sideOf } from '@entrepot/core/engine';
import type { ConfigurationProblem } from '../config/configuration-error.js';
import { resolveFreshness } from '../config/freshness.js';
import { printListenAddress, type ListenAddress, isLoopback } from '../config/listen-address.js';
import { KNOWN_FORMATS } from '../config/known-packages.js';
import type { LoadedConfig } from '../config/load.js';
import { parseRepositoryOptions } from '../config/plugin-options.js';
import {
  authorizationHeader,
  repositoryConfig,
  type RepositoryConfig,
  type TlsConfig,
  type UpstreamAuth,
} from '../config/schema.js';
import { didYouMean } from '../config/faults.js';
import { Discovery, type FoundUpstreams } from './found-upstreams.js';
import type { LoadedPlugin } from '../plugins/load.js';
import { planCleanup, type CleanupPlan } from '../space/plan-cleanup.js';

/** An upstream of a plan. */
export interface PlannedUpstream {
  /** Without credentials. */
  readonly url: string;
  readonly scope?: string | undefined;
  readonly fallback?: 'not-found' | 'any-error' | undefined;
  /** A secret. */
  readonly authorization?: string | undefined;
  /** Its source, for people. */
  readonly source: string;
}

/** One repository as it will be served: the configuration, completed by its plugin and checked against it. */
export interface RepositoryPlan {
  readonly name: string;
  readonly kind: 'proxy' | 'hosted';
  readonly loaded: LoadedPlugin;
  /** `/`, or a path that begins with a slash and does not end in one. */
  readonly mount: string;
  /**
   * The mounts that the ecosystem fixes at which it is found: below its name, or, where one of them is its own `mount`,
   * with its whole path.
   */
  readonly sharedMounts: readonly string[];
  /** Its own listener. Absent: the server's. */
  readonly listen: ListenAddress | undefined;
  /** HTTPS on its listener. Absent: plain HTTP. */
  readonly tls: TlsConfig | undefined;
  /** Whether uploads are accepted from this machine alone, since callers are not authenticated. */
  readonly acceptsUploads: boolean;
  readonly upstreams: readonly PlannedUpstream[];
  readonly freshness: Readonly<Record<string, FreshnessRule>>;
  /** Rules by which it is cleaned up. Absent: none. */
  readonly cleanup?: CleanupPlan | undefined;
  /** As the plugin's schema returned them. */
  readonly options: unknown;
  readonly config: RepositoryConfig;
}

/** The repositories of a configuration, completed by their plugins, and every problem. */
export interface RepositoryPlans {
  readonly plans: readonly RepositoryPlan[];
  readonly problems: readonly ConfigurationProblem[];
  /** Upstreams in the settings of this machine's clients, without those that point at this server. */
  readonly found: FoundUpstreams;
}

/** The facts of a repository that its plugin is told. */
export function factsOf({ name, kind, upstreams }: RepositoryPlan): RepositoryFacts {
  return { name, kind, upstreams: upstreams.map(({ url, scope }) => ({ url, scope })) };
}

type ServerConfig = LoadedConfig['config']['server'];

const CONFIGURED = 'the configuration';

/**
 * Completes and checks every repository. One that is not enabled is checked as far as that needs nothing from outside,
 * and left out of the plans.
 * @param options `someFailed`: there are plugins that could not be loaded, whose types are not known
 */
export async function planRepositories(
  { config, addBundledRepositories }: LoadedConfig,
  plugins: readonly LoadedPlugin[],
  { someFailed = false }: { readonly someFailed?: boolean } = {},
): Promise<RepositoryPlans> {
  const configured = Object.entries(config.repositories ?? {});
  const { server } = config;
  const discovery = new Discovery(config);
  const results = await Promise.all(
    configured.map(([name, one]) => planRepository(name, one, plugins, server, discovery, someFailed)),
  );
  if (addBundledRepositories) {
    const added = plugins.filter(({ bundled, plugin }) => bundled && config.repositories?.[plugin.id] === undefined);
    results.push(...(await Promise.all(added.map((loaded) => planBundled(loaded, server, discovery)))));
  }
  const plans = withSharedMounts(results.flatMap(({ plan }) => (plan === undefined ? [] : [plan])));
  const problems = [...results.flatMap(({ problems: own }) => own), ...mountProblems(plans)];
  return { plans, problems, found: discovery.found };
}

interface Planned {
  readonly plan?: RepositoryPlan | undefined;
  readonly problems: readonly ConfigurationProblem[];
}

/** Names the package of a known type that is here, and is too old to have that type. */
function lacking(type: string, plugins: readonly LoadedPlugin[]): string | undefined {
  const name = Object.hasOwn(KNOWN_FORMATS, type) ? KNOWN_FORMATS[type] : undefined;
  const found = plugins.filter((one) => one.package === name);
  if (name === undefined || found[0] === undefined) return undefined;
  const types = found.map(({ plugin }) => plugin.id).join(', ');
  return `type ${JSON.stringify(type)} is of a newer ${name} than ${found[0].version ?? 'this one'}, which has ${types}; update it`;
}

async function planRepository(
  name: string,
  config: RepositoryConfig,
  plugins: readonly LoadedPlugin[],
  server: ServerConfig,
  discovery: Discovery,
  someFailed = false,
): Promise<Planned> {
  const main = server.listen;
  const path = `repositories.${name}`;
  const loaded = plugins.find(({ plugin }) => plugin.id === config.type);
  if (loaded === undefined) {
    const known = [...new Set([...Object.keys(KNOWN_FORMATS), ...plugins.map(({ plugin }) => plugin.id)])].sort();
    // It may be that of a plugin that could not be loaded, which is said already.
    if (someFailed && (known.includes(config.type) || nearest(config.type, known) === undefined))
      return { problems: [] };
    const message =
      lacking(config.type, plugins) ?? `unknown type ${JSON.stringify(config.type)}; ${didYouMean(config.type, known)}`;
    return { problems: [{ path: `${path}.type`, message }] };
  }
  const { plugin } = loaded;
  const options = await parseRepositoryOptions(name, plugin.options, config.options);
  const freshness = resolveFreshness(cacheClassesOf(plugin), config.cache);
  const upstreams =
    config.enabled && config.kind === 'proxy'
      ? await findUpstreams(path, plugin, config, discovery)
      : { upstreams: [] };
  const cleanup =
    config.cleanup !== undefined && config.kind === 'hosted'
      ? planCleanup(`${path}.cleanup`, config.cleanup, plugin)
      : { problems: [] };
  const others = sideOf(plugin, config.kind === 'proxy' ? 'hosted' : 'proxy')?.ownOptions;
  const own = [...optionsOfOtherKind(others, config.kind, config.options), ...(freshness.problems ?? [])];
  const faults = [
    ...(options.problems ?? []),
    ...own.map((problem) => ({ path: `${path}.${problem.path}`, message: problem.message })),
    ...(upstreams.problems ?? []),
    ...cleanup.problems,
  ];
  const kinds = kindsOf(plugin);
  const message = `${plugin.id} has no ${config.kind} repositories; expected ${kinds.join(' or ')}`;
  const problems = kinds.includes(config.kind) ? faults : [{ path: `${path}.kind`, message }, ...faults];
  const isWrong = faults.length > 0 || options.problems || freshness.problems || upstreams.problems;
  if (!config.enabled || isWrong) return { problems };
  const listen = isSame(config.listen, main) ? undefined : config.listen;
  const plan: RepositoryPlan = {
    name,
    kind: config.kind,
    loaded,
    mount: config.mount ?? (listen === undefined ? undefined : plugin.http?.mountAlone) ?? `/${name}`,
    sharedMounts: plugin.http?.sharedMounts ?? [],
    listen,
    tls: listen === undefined || config.tls === undefined ? server.tls : config.tls || undefined,
    acceptsUploads: isLoopback((config.listen ?? main).host),
    upstreams: upstreams.upstreams,
    freshness: freshness.freshness,
    cleanup: cleanup.plan,
    options: options.options,
    config,
  };
  return { plan, problems };
}

/** The repository of a bundled plugin in a configuration that names none: there is one when its upstream is known. */
async function planBundled(loaded: LoadedPlugin, server: ServerConfig, discovery: Discovery): Promise<Planned> {
  const { plugin } = loaded;
  if (plugin.proxy === undefined || plugin.clients?.discoverUpstreams === undefined) return { problems: [] };
  try {
    const found = await discovery.upstreamsOf(plugin, false);
    if (found.length === 0) return { problems: [] };
  } catch (error) {
    return { problems: [discoveryProblem(`repositories.${plugin.id}`, plugin, error)] };
  }
  return await planRepository(plugin.id, repositoryConfig({ type: plugin.id }), [loaded], server, discovery);
}

async function findUpstreams(
  path: string,
  plugin: AnyDeclaredPlugin,
  { upstreams, auth, useClientCredentials, mount = `/${path.slice(path.indexOf('.') + 1)}` }: RepositoryConfig,
  discovery: Discovery,
): Promise<
  | { readonly upstreams: readonly PlannedUpstream[]; readonly problems?: undefined }
  | { readonly problems: readonly ConfigurationProblem[] }
> {
  const refused = (message: string) => ({ problems: [{ path: `${path}.upstream`, message }] });
  if (upstreams !== undefined) {
    const own = upstreams.find(
      ({ url }) => discovery.isOwn(url) && `${new URL(url).pathname}/`.startsWith(`${mount}/`),
    );
    if (own !== undefined) return refused(`${own.url} is this repository itself; expected the URL of another server`);
    return {
      upstreams: upstreams.map(({ auth, ...rest }) => ({ ...rest, authorization: headerOf(auth), source: CONFIGURED })),
    };
  }
  const wanted = `set ${path}.upstream to the URL of one`;
  if (plugin.clients?.discoverUpstreams === undefined)
    return refused(`no upstream, and ${plugin.id} reads none from this machine; ${wanted}`);
  try {
    const found = await discovery.upstreamsOf(plugin, useClientCredentials);
    if (found.length === 0) {
      const settings = `the settings of ${plugin.id} clients on this machine name no other server`;
      return refused(`no upstream, and ${settings}; ${wanted}`);
    }
    return {
      upstreams: found.map(({ url, authorization = headerOf(auth), ...rest }) => ({
        ...rest,
        url: withoutTrailingSlashes(url),
        authorization,
      })),
    };
  } catch (error) {
    return { problems: [discoveryProblem(`${path}.upstream`, plugin, error)] };
  }
}

function discoveryProblem(path: string, plugin: AnyDeclaredPlugin, error: unknown): ConfigurationProblem {
  // What is not ours may quote the settings, tokens included.
  const reason = error instanceof EntrepotError ? (error as EntrepotError).message : 'an unexpected error';
  const message = `the settings of ${plugin.id} clients on this machine cannot be read: ${reason}`;
  return { path, message: `${message}; set upstream, or correct the settings` };
}

/** Leaves out the shared mounts that a repository on the same listener has to itself. */
function withSharedMounts(plans: readonly RepositoryPlan[]): RepositoryPlan[] {
  return plans.map((plan) => ({
    ...plan,
    sharedMounts: plan.sharedMounts.filter((shared) =>
      plan.sharedMounts.includes(plan.mount)
        ? shared === plan.mount
        : !plans.some((other) => takesWhole(other, shared) && listenerOf(other) === listenerOf(plan)),
    ),
  }));
}

function takesWhole({ mount, sharedMounts }: RepositoryPlan, shared: string): boolean {
  return mount === shared && sharedMounts.includes(shared);
}

/**
 * Finds conflicts of mounts that plugins fix, and of those derived from them. The configuration's own checks cannot see
 * these.
 */
function mountProblems(plans: readonly RepositoryPlan[]): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  const taken = new Map<string, string>();
  for (const plan of plans) {
    const { name, mount } = plan;
    const place = `${mount} on ${listenerOf(plan)}`;
    const rival = taken.get(place);
    const neighbours = plans.filter((other) => other !== plan && listenerOf(other) === listenerOf(plan));
    const sharing = neighbours.find(({ sharedMounts, mount: own }) =>
      sharedMounts.some((shared) => shared !== own && `${mount}/`.startsWith(`${shared}/`)),
    );
    if (rival !== undefined) {
      const message = `${place} is already the mount of the repository ${rival}; set another mount or listen`;
      problems.push({ path: `repositories.${name}.mount`, message });
    } else if (sharing !== undefined) {
      const message = `${mount} is below the shared mount of repositories of type ${sharing.loaded.plugin.id}; set another mount`;
      problems.push({ path: `repositories.${name}.mount`, message });
    }
    const other = neighbours.find(({ tls }) => JSON.stringify(tls) !== JSON.stringify(plan.tls));
    if (other !== undefined && plans.indexOf(other) < plans.indexOf(plan)) {
      const message = `expected one certificate for ${listenerOf(plan)}, found another one in repositories.${other.name}.tls`;
      problems.push({ path: `repositories.${name}.tls`, message });
    }
    taken.set(place, name);
  }
  return problems;
}

function listenerOf({ listen }: RepositoryPlan): string {
  return listen === undefined ? 'the listener of the server' : printListenAddress(listen);
}

/** Whether both name one address; port 0 is never the same port twice. */
function isSame(one: ListenAddress | undefined, other: ListenAddress): boolean {
  return one !== undefined && one.port !== 0 && printListenAddress(one) === printListenAddress(other);
}

function headerOf(auth: UpstreamAuth | undefined): string | undefined {
  return auth === undefined ? undefined : authorizationHeader(auth);
}
