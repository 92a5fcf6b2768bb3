import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { EntrepotError, printableUrl, type DiscoveredUpstream } from '@entrepot/core';
import { parseDatabase } from './database-setting.js';
import { goEnvironment } from './go-environment.js';
import { databaseScope } from './sources.js';

/**
 * The proxies that `go` on this machine would ask (`go env GOPROXY`), up to `direct` or `off`, and where its checksum
 * database is: behind each of them, then by itself. Empty where there is no `go`, or one without proxies.
 * @throws EntrepotError `configuration` for settings that `go` could not use either
 */
export async function discoverUpstreams(
  { useClientCredentials }: { readonly useClientCredentials: boolean },
  surroundings: Readonly<Record<string, string | undefined>> = process.env,
): Promise<readonly DiscoveredUpstream[]> {
  const environment = await goEnvironment(surroundings);
  if (environment === undefined) return [];
  const proxies = parseProxies(environment.GOPROXY);
  const logins = useClientCredentials ? await readNetrc(surroundings) : new Map<string, string>();
  const found: DiscoveredUpstream[] = proxies.map(({ url, fallback }) => ({
    url: plain(url),
    fallback,
    source: 'go env GOPROXY',
    authorization: useClientCredentials ? authorizationFor(url, logins) : undefined,
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
  /** What leads on from it: `,` behind it is "not found", `|` is any failure. */
  readonly fallback: 'not-found' | 'any-error';
}

/** The proxies of a `GOPROXY` list; those behind `direct` and `off` are never asked (`go help goproxy`). */
export function parseProxies(list: string): ListedProxy[] {
  const proxies: ListedProxy[] = [];
  for (const [, element = '', separator] of list.matchAll(/([^,|]*)([,|]|$)/g)) {
    const text = element.trim();
    if (text === 'direct' || text === 'off') break;
    if (text === '' || text.startsWith('file:')) continue;
    // A host alone is one of an https URL (cmd/go/internal/modfetch, proxyList).
    const full = /[.:/]/.test(text) && !/:\/|^\//.test(text) ? `https://${text}` : text;
    const url = URL.canParse(full) ? new URL(full) : undefined;
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

function plain(url: URL): string {
  return printableUrl(url).replace(/\/+$/, '');
}

/** What `go` would send: only over https (golang.org/issue/42135), from the URL itself or from the netrc file. */
function authorizationFor(url: URL, logins: ReadonlyMap<string, string>): string | undefined {
  if (url.protocol !== 'https:') return undefined;
  const own =
    url.username === '' ? undefined : `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const login = own ?? logins.get(url.host);
  return login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;
}

/** `login:password` by machine. */
async function readNetrc(surroundings: Readonly<Record<string, string | undefined>>): Promise<Map<string, string>> {
  const path = surroundings['NETRC'] || join(surroundings['HOME'] || homedir(), '.netrc');
  const logins = new Map<string, string>();
  const words = (await readFile(path, 'utf8').catch(() => '')).split(/\s+/);
  let machine = '';
  let login = '';
  for (let at = 0; at + 1 < words.length; at += 1) {
    const value = words[at + 1] as string;
    if (words[at] === 'machine') machine = value;
    else if (words[at] === 'login') login = value;
    else if (words[at] === 'password' && machine !== '' && !logins.has(machine))
      logins.set(machine, `${login}:${value}`);
    else continue;
    at += 1;
  }
  return logins;
}
