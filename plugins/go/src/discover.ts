import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { basicAuthorization, EntrepotError, printableUrl, urlAuthorization } from '@entrepot/core';
import { withoutTrailingSlashes, type DiscoveredUpstream, type DiscoveryContext } from '@entrepot/core';
import { parseDatabase } from './database-setting.js';
import { goEnvironment } from './go-environment.js';
import { parseNetrc } from './netrc.js';
import { databaseScope } from './sources.js';

/**
 * Finds the proxies that `go` on this machine would ask (`go env GOPROXY`), up to `direct` or `off`, and where its checksum
 * database is: behind each of them, then by itself. Empty where there is no `go`, or one without proxies.
 * @throws EntrepotError `configuration` for settings that `go` could not use either
 */
export async function discoverUpstreams(
  { useClientCredentials, isOwn = () => false }: DiscoveryContext,
  surroundings: NodeJS.ProcessEnv = process.env,
): Promise<readonly DiscoveredUpstream[]> {
  const environment = await goEnvironment(surroundings);
  if (environment === undefined) return [];
  const listed = parseProxies(environment.GOPROXY);
  let proxies = listed.filter(({ url }) => !isOwn(url.href));
  if (proxies.length === 0 && listed.length > 0) {
    // All of them lead here: `go` is asked what it would do without anybody's settings.
    const untouched = await goEnvironment({ ...surroundings, GOENV: 'off', GOPROXY: '' });
    proxies = parseProxies(untouched?.GOPROXY ?? '').filter(({ url }) => !isOwn(url.href));
  }
  const authorizations = useClientCredentials ? await netrcAuthorizations(surroundings) : undefined;
  const found: DiscoveredUpstream[] = proxies.map(({ url, fallback }) => ({
    url: withoutTrailingSlashes(printableUrl(url)),
    fallback,
    source: 'go env GOPROXY',
    // As `go`: only over https (golang.org/issue/42135).
    authorization:
      authorizations && url.protocol === 'https:' ? (urlAuthorization(url) ?? authorizations.get(url.host)) : undefined,
  }));
  if (found.length === 0) return [];
  const database = readDatabase(environment.GOSUMDB);
  if (database === undefined) return found;
  const { verifier, url } = database;
  const scope = databaseScope(verifier.name);
  return [
    ...found,
    ...found.map((proxy) => ({ ...proxy, url: `${proxy.url}/sumdb/${verifier.name}`, scope })),
    { url, scope, source: 'go env GOSUMDB' },
  ];
}

/** A proxy of a `GOPROXY` list. */
export interface ListedProxy {
  readonly url: URL;
  /** The failure that leads on to the next one: `,` behind it is "not found", `|` is any. */
  readonly fallback: 'not-found' | 'any-error';
}

/** Reads the proxies of a `GOPROXY` list; those behind `direct` and `off` are never asked (`go help goproxy`). */
export function parseProxies(list: string): ListedProxy[] {
  const proxies: ListedProxy[] = [];
  for (const [, element = '', separator] of list.matchAll(/([^,|]*)([,|]|$)/g)) {
    const text = element.trim();
    if (text === 'direct' || text === 'off') break;
    if (text === '' || text.startsWith('file:')) continue;
    // A host alone is one of an https URL (cmd/go/internal/modfetch, proxyList).
    const full = /[.:/]/.test(text) && !/:\/|^\//.test(text) ? `https://${text}` : text;
    const url = URL.parse(full);
    if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
      throw new EntrepotError('configuration', 'go env GOPROXY: expected http: or https: URLs, "direct" or "off"');
    }
    proxies.push({ url, fallback: separator === '|' ? 'any-error' : 'not-found' });
  }
  return proxies;
}

function readDatabase(text: string): ReturnType<typeof parseDatabase> {
  try {
    return parseDatabase(text);
  } catch (error) {
    throw new EntrepotError('configuration', `go env GOSUMDB: ${(error as Error).message}`);
  }
}

/** The headers that `go` takes from the netrc file, by host. */
async function netrcAuthorizations(surroundings: NodeJS.ProcessEnv): Promise<ReadonlyMap<string, string>> {
  const path = surroundings['NETRC'] || join(surroundings['HOME'] || homedir(), '.netrc');
  const logins = parseNetrc(await readFile(path, 'utf8').catch(() => ''));
  return new Map(Array.from(logins, ([host, login]) => [host, basicAuthorization(login.username, login.password)]));
}
