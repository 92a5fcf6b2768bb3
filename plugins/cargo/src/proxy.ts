import {
  EntrepotError,
  parseHex,
  requireMethod,
  type LocateContext,
  type Location,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
  type Route,
} from '@entrepot/core';
import { textOf } from '@entrepot/core/formats';
import { coordinatesOf, crateOfPath, indexPath, isCrateName, isVersion } from './crate-name.js';
import { refusal } from './errors.js';
import { crateUrl, loginPage, parseConfig, sendsToken, type CratePlace } from './registry-config.js';
import { crateKey } from './version-list.js';

/** The scope of the upstream that has the API of a registry. */
export const API_SCOPE = 'api';
/** The longest query of a search, in characters. */
const LONGEST_QUERY = 500;
const SEARCH_PARAMETERS = ['q', 'page', 'per_page', 'sort'] as const;
const READ_ONLY = 'this repository is a proxy: publish, yank and own at the registry behind it';
const CONFIG: Resource = { class: 'config', key: 'config.json', path: 'config.json' };

/** A proxy of a registry with a sparse index. */
export class CargoProxy {
  readonly #hasApi: boolean;

  constructor({ upstreams }: RepositoryFacts) {
    this.#hasApi = upstreams.some(({ scope }) => scope === API_SCOPE);
  }

  route(head: RequestHead): Route | undefined {
    const { segments, trailingSlash } = head;
    if (trailingSlash || segments.some((segment) => segment.includes('/'))) return undefined;
    const [first, second, third, ...rest] = segments;
    if (first === 'me' && second === undefined) return loginPage(head);
    if (first === 'api' && second === 'v1' && third === 'crates') return this.#routeApi(head, rest);
    const isConfig = first === 'config.json' && second === undefined;
    const crate = isConfig ? undefined : crateOfPath(segments);
    if (!isConfig && crate === undefined) return undefined;
    requireMethod(head, ['GET'], READ_ONLY);
    if (crate !== undefined) return this.index(crate);
    return { ...CONFIG, variant: sendsToken(head) ? 'guarded' : 'open' };
  }

  /** The index of a crate. @param crate in any case */
  index(crate: string): Resource {
    const path = indexPath(crate);
    return { class: 'index', key: `index/${path}`, path, coordinates: coordinatesOf(crate.toLowerCase()) };
  }

  /** The answer of the API about a crate. `undefined`: there is no API. */
  metadata(crate: string): Resource | undefined {
    if (!this.#hasApi) return undefined;
    return { class: 'metadata', key: `metadata/${crate}`, path: `api/v1/crates/${crate}`, scope: API_SCOPE };
  }

  /** Finds the bytes of a version by the template that its registry has now. */
  async locate({ description, read }: LocateContext): Promise<Location | undefined> {
    const { name, version } = description?.own ?? {};
    const sha256 = description?.integrity[0]?.hex;
    if (typeof name !== 'string' || typeof version !== 'string' || sha256 === undefined) return undefined;
    const { dl } = await parseConfig(await read(CONFIG));
    return { url: crateUrl(dl, { name, version, sha256 }) };
  }

  #routeApi(head: RequestHead, rest: readonly string[]): Route | undefined {
    const download = downloadOf(rest);
    const [name = '', action, ...more] = rest;
    const isSearch = rest.length === 0;
    const isOwners = action === 'owners' && more.length === 0 && isCrateName(name);
    requireMethod(head, ['GET'], READ_ONLY);
    if (download !== undefined) {
      return download.sha256 === undefined ? latestOf(download) : crateOf({ ...download, sha256: download.sha256 });
    }
    if (!isSearch && !isOwners) return undefined;
    if (!this.#hasApi)
      return refusal(
        404,
        'this repository has no upstream of the scope "api": it does not pass on searches and owners',
      );
    if (isSearch) return search(head);
    const path = `api/v1/crates/${name}/owners`;
    return { class: 'owners', key: 'owners', path, scope: API_SCOPE, coordinates: coordinatesOf(name) };
  }
}

/** A version that is downloaded. */
export interface Download {
  readonly name: string;
  readonly version: string;
  /** Absent: the URL does not state it. */
  readonly sha256?: string | undefined;
}

/** Reads `<crate>/<version>/download`, also with a checksum before its last segment. */
export function downloadOf([name = '', version = '', ...rest]: readonly string[]): Download | undefined {
  if (rest.at(-1) !== 'download' || rest.length > 2 || !isCrateName(name) || !isVersion(version)) return undefined;
  if (rest.length === 1) return { name, version };
  const sum = parseHex('sha256', rest[0] as string);
  return sum && { name, version, sha256: sum.hex };
}

/** Names the bytes of a version. */
export function crateOf({ name, version, sha256 }: CratePlace): Resource {
  const key = crateKey(name, version, sha256);
  const path = `${indexPath(name)}/${encodeURIComponent(version)}/download`;
  const integrity = [{ algorithm: 'sha256' as const, hex: sha256 }];
  return { class: 'crate', key, path, coordinates: coordinatesOf(name, version), integrity };
}

/** Names a version whose sum the index knows. */
function latestOf({ name, version }: Download): Resource {
  const key = `download/${name.toLowerCase()}/${version}`;
  return { class: 'download', key, coordinates: coordinatesOf(name, version) };
}

function search({ query }: RequestHead): Resource {
  const parameters = new URLSearchParams();
  for (const parameter of SEARCH_PARAMETERS) {
    const value = textOf(query.get(parameter));
    if (value !== undefined) parameters.set(parameter, value);
  }
  const path = `api/v1/crates?${parameters.toString()}`;
  if (path.length > LONGEST_QUERY)
    throw new EntrepotError('bad-request', `expected a search of at most ${LONGEST_QUERY} characters`);
  const attributes = { text: query.get('q') ?? '' };
  return { class: 'search', key: 'search', path, scope: API_SCOPE, attributes };
}
