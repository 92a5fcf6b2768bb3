import { fieldsOf, type Fields } from '@entrepot/core/formats';
import type { ConfigurationProblem } from './configuration-error.js';
import { parseListenAddress, printListenAddress } from './listen-address.js';
import { isMount } from './values.js';

interface Mounted {
  readonly name: string;
  readonly mount: string;
  readonly listener: string;
}

/**
 * Finds keys that are valid by themselves and contradict each other. It reads the configuration before it is parsed, so
 * that these problems are reported together with those of single keys. Malformed values are left to the schema.
 */
export function semanticProblems(raw: unknown): ConfigurationProblem[] {
  const root = fieldsOf(raw);
  const repositories = Object.entries(fieldsOf(root['repositories'])).map(
    ([name, repository]) => [name, fieldsOf(repository)] as const,
  );
  return [
    ...databaseProblems(fieldsOf(root['metadata'])),
    ...cacheProblems(fieldsOf(root['cache'])),
    ...repositories.flatMap(([name, repository]) => upstreamProblems(`repositories.${name}`, repository)),
    ...repositories.flatMap(([name, repository]) => cleanupProblems(`repositories.${name}`, repository)),
    ...repositories.flatMap(([name, repository]) => listenerProblems(`repositories.${name}`, repository)),
    ...mountProblems(root, repositories),
    ...projectProblems(fieldsOf(root['projects']), root['repositories']),
  ];
}

/** The keys of a database that its URL says, too. */
const IN_URL = ['host', 'port', 'database', 'user', 'password'] as const;

function databaseProblems(metadata: Fields): ConfigurationProblem[] {
  const { backend, url, host } = metadata;
  if (backend !== 'postgresql' && backend !== 'postgres') return [];
  if (url === undefined && host === undefined) {
    const message = 'expected either url, or host with database, user and password; found neither';
    return [{ path: 'metadata', message }];
  }
  if (url === undefined) return [];
  return IN_URL.filter((key) => metadata[key] !== undefined).map((key) => ({
    path: `metadata.${key}`,
    message: 'expected it once, found it here and a url, which says it, too; remove one of them',
  }));
}

function cacheProblems({ backend, url, user, password, ca }: Fields): ConfigurationProblem[] {
  if (backend !== 'redis' || typeof url !== 'string' || !URL.canParse(url)) return [];
  const problems: ConfigurationProblem[] = [];
  const inUrl = new URL(url);
  for (const [key, value, other] of [
    ['user', user, inUrl.username],
    ['password', password, inUrl.password],
  ] as const) {
    if (value === undefined || other === '') continue;
    problems.push({
      path: `cache.${key}`,
      message: 'expected it once, found it here and in cache.url; remove one of them',
    });
  }
  if (ca !== undefined && inUrl.protocol === 'redis:')
    problems.push({ path: 'cache.ca', message: 'expected it only beside a url that begins with rediss://' });
  return problems;
}

function upstreamProblems(path: string, repository: Fields): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  const { upstream, upstreams } = repository;
  if (upstream !== undefined && upstreams !== undefined) {
    problems.push({ path: `${path}.upstreams`, message: 'expected either upstream or upstreams, found both' });
  }
  for (const [key, value] of Object.entries({ upstream, upstreams })) {
    if (repository['kind'] !== 'hosted' || value === undefined) continue;
    problems.push({
      path: `${path}.${key}`,
      message: 'a hosted repository has no upstreams; remove it, or set kind to proxy',
    });
  }
  if (hasCredentials(upstream) && repository['auth'] !== undefined) problems.push(twice(`${path}.auth`));
  for (const [index, value] of (Array.isArray(upstreams) ? upstreams : []).entries()) {
    const { url, auth } = fieldsOf(value);
    if (hasCredentials(url) && auth !== undefined) problems.push(twice(`${path}.upstreams.${index}.auth`));
  }
  return problems;
}

function cleanupProblems(path: string, { kind, cleanup }: Fields): ConfigurationProblem[] {
  if (cleanup === undefined || kind === 'hosted') return [];
  const message = 'only hosted repositories are cleaned up by rules; remove it, or set kind to hosted';
  return [{ path: `${path}.cleanup`, message }];
}

function listenerProblems(path: string, { tls, listen }: Fields): ConfigurationProblem[] {
  if (tls === undefined || listen !== undefined) return [];
  return [
    {
      path: `${path}.tls`,
      message: "expected listen beside it, found none; without it the listener is the server's, with server.tls",
    },
  ];
}

function projectProblems(projects: Fields, written: unknown): ConfigurationProblem[] {
  const known = written === undefined ? undefined : Object.keys(fieldsOf(written));
  const taken = new Map<unknown, string>();
  return Object.entries(projects).flatMap(([project, one]) => {
    const { repositories } = fieldsOf(one);
    return (Array.isArray(repositories) ? repositories : []).flatMap((name: unknown, index) => {
      const path = `projects.${project}.repositories.${index}`;
      const other = taken.get(name);
      taken.set(name, project);
      if (other !== undefined)
        return [{ path, message: `expected it in one project, found it in ${other}, too; remove one of them` }];
      if (known === undefined || typeof name !== 'string' || known.includes(name)) return [];
      return [{ path, message: `expected the name of a repository: ${known.join(', ')}; found another one` }];
    });
  });
}

function twice(path: string): ConfigurationProblem {
  return { path, message: 'expected credentials once, found them here and in the URL of the upstream; remove one' };
}

function mountProblems(root: Fields, repositories: readonly (readonly [string, Fields])[]): ConfigurationProblem[] {
  const server = fieldsOf(root['server']);
  const main = listener(server['listen']) ?? '127.0.0.1:8080';
  const metrics = fieldsOf(root['metrics']);
  const metricsPath = metrics['path'] ?? '/metrics';
  const metricsAt = metrics['enabled'] === false ? undefined : (listener(metrics['listen']) ?? main);
  const problems: ConfigurationProblem[] = [];
  const taken: Mounted[] = [];
  for (const [name, repository] of repositories) {
    if (repository['enabled'] === false) continue;
    const { mount = `/${name}`, listen } = repository;
    if (typeof mount !== 'string' || !isMount(mount)) continue;
    const mounted = { name, mount, listener: listener(listen) ?? main };
    const path = `repositories.${name}.mount`;
    const rival = taken.find((other) => other.mount === mount && other.listener === mounted.listener);
    if (rival !== undefined) {
      const message = `${mount} on ${mounted.listener} is already the mount of the repository ${rival.name}; set another`;
      problems.push({ path, message });
    } else if (mounted.listener === metricsAt && mount !== '/' && `${metricsPath as string}/`.startsWith(`${mount}/`)) {
      problems.push({
        path,
        message: `${mount} is taken: metrics are served at ${metricsPath as string}; change this, or metrics.path`,
      });
    }
    taken.push(mounted);
  }
  return problems;
}

function listener(listen: unknown): string | undefined {
  const address = typeof listen === 'string' ? parseListenAddress(listen) : undefined;
  return address && printListenAddress(address);
}

function hasCredentials(url: unknown): boolean {
  if (typeof url !== 'string' || !URL.canParse(url)) return false;
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}
