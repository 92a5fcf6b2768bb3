import { requireMethod, type Clock, type Entry, type RequestHead, type Resource, type Route } from '@entrepot/core';
import { coordinatesOf, crateOfPath, isCrateName, isVersion } from './crate-name.js';
import { refusal } from './errors.js';
import type { IndexLine } from './metadata.js';
import type { CargoOptions } from './options.js';
import { downloadOf } from './proxy.js';
import { loginPage, sendsToken } from './registry-config.js';

/** Results of a search: those of a page, and those that a page has at most. */
const PAGE = 10;
const LARGEST_PAGE = 100;
const LONGEST_SEARCH = 200;

/** The name that all spellings of a crate share: no two crates differ in case, or in `-` and `_`, alone. */
export function sharedName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** The keys of entries. */
export const KEY = {
  /** Begins the keys of all versions. */
  versions: 'crate/',
  versionsOf: (name: string) => `crate/${sharedName(name)}/`,
  /** A version. Build metadata makes none of its own. */
  version: (name: string, version: string) => `crate/${sharedName(name)}/${version.split('+', 1)[0] as string}`,
  /** Holds the spelling of a crate. */
  name: (name: string) => `name/${sharedName(name)}`,
};

/** Attributes of the entry of a version. */
export interface VersionAttributes {
  readonly line: IndexLine;
  readonly description: string;
}

/** Reads the attributes of the entry of a version. */
export function versionOf({ attributes }: Pick<Entry, 'attributes'>): VersionAttributes {
  return attributes as unknown as VersionAttributes;
}

/** Data of a hosted resource; each has those that its class needs. */
export interface HostedAttributes {
  /** As the request spells it. */
  readonly name: string;
  readonly version: string;
  readonly yanked: boolean;
  readonly isGuarded: boolean;
  readonly query: string;
  readonly page: number;
  readonly perPage: number;
}

/** Reads the data of a hosted resource. */
export function attributesOf({ attributes }: Resource): HostedAttributes {
  return attributes as unknown as HostedAttributes;
}

/** A registry of one's own. */
export class CargoHosted {
  readonly options: CargoOptions;
  readonly clock: Clock;

  constructor(options: CargoOptions, clock: Clock) {
    this.options = options;
    this.clock = clock;
  }

  route(head: RequestHead): Route | undefined {
    const { segments, trailingSlash } = head;
    if (trailingSlash || segments.some((segment) => segment.includes('/'))) return undefined;
    const [first, second, third, ...rest] = segments;
    if (first === 'me' && second === undefined) return loginPage(head);
    if (first === 'api' && second === 'v1' && third === 'crates') return routeApi(head, rest);
    if (first === 'config.json' && second === undefined) {
      requireMethod(head, ['GET']);
      return document('config', { isGuarded: sendsToken(head) });
    }
    const name = crateOfPath(segments);
    if (name === undefined) return undefined;
    requireMethod(head, ['GET']);
    return { ...document('index', { name }), coordinates: coordinatesOf(name) };
  }
}

function routeApi(head: RequestHead, rest: readonly string[]): Route | undefined {
  const [name = '', second, third, ...more] = rest;
  if (rest.length === 0) {
    requireMethod(head, ['GET']);
    return document('search', searchOf(head.query));
  }
  if (name === 'new' && second === undefined) {
    requireMethod(head, ['PUT']);
    // Whose version it is stands in the body alone.
    return { class: 'publish', key: 'publish' };
  }
  const download = downloadOf(rest);
  if (download !== undefined) {
    requireMethod(head, ['GET']);
    const { version } = download;
    return { class: 'crate', key: KEY.version(name, version), coordinates: coordinatesOf(name, version) };
  }
  if (!isCrateName(name)) return undefined;
  if (second === 'owners' && third === undefined) {
    const method = requireMethod(head, ['GET', 'PUT', 'DELETE']);
    if (method !== 'GET') return refusal(403, 'owners are the users whom `access` of the repository lets write');
    return { ...document('owners', { name }), coordinates: coordinatesOf(name) };
  }
  const isYank = third === 'yank';
  if (second === undefined || !isVersion(second) || (!isYank && third !== 'unyank') || more.length > 0)
    return undefined;
  requireMethod(head, [isYank ? 'DELETE' : 'PUT']);
  const attributes = { name, version: second, yanked: isYank };
  return { class: 'yank', key: KEY.version(name, second), attributes, coordinates: coordinatesOf(name, second) };
}

function document(kind: string, attributes: Partial<HostedAttributes>): Resource {
  return { class: kind, key: `${kind} ${JSON.stringify(attributes)}`, attributes: { ...attributes } };
}

function searchOf(query: URLSearchParams): Pick<HostedAttributes, 'query' | 'page' | 'perPage'> {
  const number = (name: string, usual: number): number => {
    const text = query.get(name) ?? '';
    return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : usual;
  };
  return {
    query: (query.get('q') ?? '').slice(0, LONGEST_SEARCH).toLowerCase(),
    page: number('page', 1),
    perPage: Math.min(number('per_page', PAGE), LARGEST_PAGE),
  };
}
