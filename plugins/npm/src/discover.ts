import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import {
  basicAuthorization,
  EntrepotError,
  messageOf,
  printableUrl,
  urlAuthorization,
  withoutTrailingSlashes,
  type DiscoveredUpstream,
  type DiscoveryContext,
} from '@entrepot/core';
import type Config from '@npmcli/config';

/** The sources of npm's configuration. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** npm reads the `.npmrc` of the project that this directory is in. */
  readonly cwd: string;
}

/**
 * The registries that npm on this machine would use when it is started in `surroundings.cwd`: the default one, which npm
 * always has, and those of scopes (`@acme:registry`). Read by the library that npm itself uses, so files, environment
 * and their order are npm's. npm need not be installed.
 * @throws EntrepotError `configuration` when npm could not use its configuration either
 */
export async function discoverUpstreams(
  { useClientCredentials, isOwn = () => false }: DiscoveryContext,
  surroundings: Surroundings = { env: process.env, cwd: workingDirectory() },
): Promise<readonly DiscoveredUpstream[]> {
  const config = await loadConfig(surroundings);
  const found: DiscoveredUpstream[] = [];
  for (const key of registryKeys(config)) {
    const setting = settingOf(config, key, isOwn);
    if (setting === undefined) continue;
    const source = `npm's configuration (${key}, ${originOf(config, setting.level)})`;
    const url = parseRegistry(setting.value, source);
    found.push({
      url: withoutTrailingSlashes(printableUrl(url)),
      scope: key === 'registry' ? undefined : key.slice(0, key.indexOf(':')),
      source,
      authorization: useClientCredentials ? authorizationFor(config, url) : undefined,
    });
  }
  return found;
}

async function loadConfig({ env, cwd }: Surroundings): Promise<Config> {
  // Loaded here and not above: a repository with a configured upstream does not pay for it.
  const [{ default: NpmConfig }, { default: npm }] = await Promise.all([
    import('@npmcli/config'),
    import('@npmcli/config/lib/definitions/index.js'),
  ]);
  try {
    const config = new NpmConfig({
      ...npm,
      npmPath: await npmDirectory(env),
      // Our own command line is not npm's.
      argv: [],
      // A copy: the library writes to it.
      env: { ...env, HOME: env['HOME'] || homeDirectory() },
      cwd,
      warn: false,
    });
    await config.load();
    return config;
  } catch (error) {
    const message = `npm's configuration cannot be read: ${messageOf(error)}`;
    throw new EntrepotError('configuration', message, { cause: error });
  }
}

/** The default registry first, then the scopes' by name. */
function registryKeys(config: Config): string[] {
  const scoped: string[] = [];
  // With what each level inherits from the weaker ones.
  for (const key in config.list[0]) if (/^@[^/:]+:registry$/.test(key)) scoped.push(key);
  return ['registry', ...scoped.sort()];
}

/** The strongest level that sets `key`, but for those that lead here. */
function settingOf(
  config: Config,
  key: string,
  isOwn: (url: string) => boolean,
): { readonly value: string; readonly level: string } | undefined {
  const levels = [...config.data.keys()].reverse();
  for (const [index, values] of config.list.entries()) {
    const value = Object.hasOwn(values, key) ? values[key] : undefined;
    if (typeof value === 'string' && value !== '' && !isOwn(value)) return { value, level: levels[index] ?? 'default' };
  }
  return undefined;
}

function originOf(config: Config, level: string): string {
  if (level === 'default') return "npm's default";
  return level === 'env' ? 'from the environment' : `from ${config.data.get(level)?.source ?? level}`;
}

function parseRegistry(value: string, source: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new EntrepotError('configuration', `${source}: expected an http: or https: URL`);
}

/**
 * The `Authorization` header that npm would send to `registry`. Credentials stand under the longest part of
 * `//host/path/` that has any. Source: npm-registry-fetch, lib/auth.js. Client certificates are not taken over.
 */
function authorizationFor(config: Config, registry: URL): string | undefined {
  let place = `//${registry.host}${registry.pathname}`;
  while (place.length > '//'.length) {
    const token = secret(config, `${place}:_authToken`);
    if (token !== undefined) return `Bearer ${token}`;
    const basic = secret(config, `${place}:_auth`);
    if (basic !== undefined) return `Basic ${basic}`;
    const user = secret(config, `${place}:username`);
    const password = secret(config, `${place}:_password`);
    if (user !== undefined && password !== undefined) {
      return basicAuthorization(user, Buffer.from(password, 'base64').toString());
    }
    // One element less, or the slash behind it.
    place = place.slice(0, place.endsWith('/') ? -1 : place.lastIndexOf('/') + 1);
  }
  return urlAuthorization(registry);
}

/** A set value; `${NAME}` stays in one whose variable is not set. */
function secret(config: Config, key: string): string | undefined {
  const value = config.get(key);
  return typeof value === 'string' && value !== '' && !value.includes('${') ? value : undefined;
}

/** The directory of the npm that this machine runs, for the defaults that its packager built in; one that does not exist when there is no npm. */
async function npmDirectory(env: Surroundings['env']): Promise<string> {
  const command = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const places = (env['PATH'] ?? '').split(delimiter).filter((place) => place !== '');
  for (const place of places) {
    const program = await realpath(join(place, command)).catch(() => undefined);
    if (program !== undefined) return dirname(dirname(program));
  }
  return join(dirname(process.execPath), 'no-npm');
}

/** `HOME` and the user database can both be missing, as in a container with an arbitrary user id. */
function homeDirectory(): string {
  return attempt(homedir) ?? join(dirname(process.execPath), 'no-home');
}

/** The directory that the process was started in can be gone. */
function workingDirectory(): string {
  return attempt(process.cwd) ?? dirname(process.execPath);
}

function attempt(find: () => string): string | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}
