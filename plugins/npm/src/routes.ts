import {
  EntrepotError,
  requireMethod,
  type PackageCoordinates,
  type RepositoryFacts,
  type RequestHead,
  type Upstream,
  type LocalReply,
  type Resource,
  type Route,
} from '@entrepot/core';
import type { NpmOptions } from './options.js';
import {
  ABBREVIATED_TYPE,
  attestationsKey,
  encodeSegment,
  escapedName,
  isPackageName,
  scopeOf,
  tarballKey,
  tarballPath,
  unscoped,
} from './package-name.js';
import type { PackumentVariant } from './representation.js';

/** The longest search text that is taken, in characters. */
const SEARCH_TEXT_LIMIT = 2_000;
/** The most results of the registry's own search. */
const SEARCH_LIMIT = 250;
const SEARCH_PARAMETERS = ['text', 'from', 'quality', 'popularity', 'maintenance', 'size'] as const;
const BULK_AUDIT = '-/npm/v1/security/advisories/bulk';
const VERSION_OR_TAG_LIMIT = 256;
const FILE = /^[A-Za-z0-9!~*'()@._+-]{1,800}\.tgz$/;
const VERSION = /^[A-Za-z0-9._+~-]{1,256}$/;

const READ_ONLY = 'this repository is a read-only proxy: publish, tag and unpublish at the registry behind it';
const NO_ACCOUNTS = 'this repository is a proxy without accounts: log in at the registry behind it';
const NOT_SERVED = 'this registry does not serve this route';

/** A proxy of a registry. */
export class NpmProxy {
  readonly upstreams: readonly Upstream[];
  readonly #options: NpmOptions;
  /** The scopes that have an upstream of their own, by their name with `@`. */
  readonly #scopes = new Map<string, string>();

  constructor({ upstreams }: RepositoryFacts, options: NpmOptions) {
    this.upstreams = upstreams;
    this.#options = options;
    for (const { scope } of upstreams) {
      if (scope !== undefined) this.#scopes.set(scope.startsWith('@') ? scope : `@${scope}`, scope);
    }
  }

  route(head: RequestHead): Route | undefined {
    return head.segments[0] === '-' ? this.#routeRegistry(head) : this.#routePackage(head);
  }

  packument(name: string, variant: PackumentVariant, negotiated = false): Resource {
    const named = this.#resource('packument', `packument/${name}`, escapedName(name), name);
    return { ...named, variant, attributes: negotiated ? { negotiated } : undefined };
  }

  /** The registry's document of one version: a hundredth of its packument. */
  version(name: string, version: string): Resource {
    const path = `${escapedName(name)}/${encodeSegment(version)}`;
    return this.#resource('version', `version/${name}/${version}`, path, name, version);
  }

  #tarball(name: string, file: string): Resource {
    const prefix = `${unscoped(name)}-`;
    const version = file.startsWith(prefix) ? file.slice(prefix.length, -'.tgz'.length) : undefined;
    return this.#resource('tarball', tarballKey(name, file), tarballPath(name, file), name, version);
  }

  /** A scope with an upstream of its own is never asked for elsewhere. */
  #resource(kind: string, key: string, path: string, name: string, version?: string): Resource {
    const scope = this.#scopes.get(scopeOf(name) ?? '');
    return { class: kind, key, path, coordinates: coordinates(name, version), scope };
  }

  #routePackage(head: RequestHead): Resource | undefined {
    const { name, rest } = splitName(head.segments);
    if (name === undefined) return undefined;
    requireReading(head);
    const [second, ...others] = rest;
    if (second === undefined) {
      const abbreviated = head.header('accept')?.toLowerCase().includes(ABBREVIATED_TYPE) === true;
      return this.packument(name, abbreviated ? 'abbreviated' : 'full', true);
    }
    if (second === '-') {
      const file = head.trailingSlash ? undefined : fileOf(name, others);
      return file === undefined ? undefined : this.#tarball(name, file);
    }
    if (second === '-rev' || others.length > 0 || second.length > VERSION_OR_TAG_LIMIT) return undefined;
    return this.packument(name, `version:${second}`);
  }

  #attestations(subject: string): Resource | undefined {
    const split = subject.lastIndexOf('@');
    const name = subject.slice(0, Math.max(split, 0));
    const version = subject.slice(split + 1);
    if (!isPackageName(name) || !VERSION.test(version)) return undefined;
    const path = `-/npm/v1/attestations/${escapedName(name)}@${encodeSegment(version)}`;
    return this.#resource('attestations', attestationsKey(name, version), path, name, version);
  }

  #audit(head: RequestHead, key: 'audit' | 'legacy-audit'): Route {
    if (this.#options.audit === 'off') return answer(404, 'audits are switched off for this repository');
    requireMethod(head, ['POST']);
    return { class: 'audit', key, path: BULK_AUDIT };
  }

  /** Paths that begin with `/-/`: the registry's own. */
  #routeRegistry(head: RequestHead): Route | undefined {
    const [, area, ...rest] = head.segments;
    const path = [area, ...rest].join('/');
    if (path === 'npm/v1/security/advisories/bulk') return this.#audit(head, 'audit');
    if (LEGACY_AUDIT_ROUTE.test(path)) return this.#audit(head, 'legacy-audit');
    if (path === 'whoami') {
      return { ...answer(401, NO_ACCOUNTS), headers: { ...JSON_TYPE, 'WWW-Authenticate': 'Bearer realm="npm"' } };
    }
    if (ACCOUNT_ROUTE.test(path)) return answer(404, NO_ACCOUNTS);
    const subject = /^npm\/v1\/attestations\/(.+)$/.exec(path)?.[1];
    const { name, rest: below } = area === 'package' ? splitName(rest) : { rest: [] };
    const tagged = below[0] === 'dist-tags' ? name : undefined;
    if (!READ_ROUTES.has(path) && subject === undefined && tagged === undefined) return answer(404, NOT_SERVED);
    requireReading(head);
    if (path === 'ping') return local(200, '{}');
    if (path === 'v1/search') return search(head);
    if (path === 'npm/v1/keys') return { class: 'keys', key: 'keys', path: '-/npm/v1/keys' };
    if (subject !== undefined) return this.#attestations(subject);
    return tagged !== undefined && below.length === 1 ? this.packument(tagged, 'dist-tags') : undefined;
  }
}

const READ_ROUTES: ReadonlySet<string> = new Set(['ping', 'v1/search', 'npm/v1/keys']);
/** Login, tokens and profiles. */
const ACCOUNT_ROUTE = /^(?:user|v1\/login|npm\/v1\/(?:tokens|user))(?:\/|$)/;
/** Retired at the registry in 2026; answered from the bulk route. */
const LEGACY_AUDIT_ROUTE = /^npm\/v1\/security\/audits(?:\/quick)?$/;

const JSON_TYPE = { 'Content-Type': 'application/json' };

function search(head: RequestHead): Resource {
  const parameters = new URLSearchParams();
  for (const parameter of SEARCH_PARAMETERS) {
    const value = head.query.get(parameter);
    if (value !== null) parameters.set(parameter, parameter === 'size' ? String(searchSize(value)) : value);
  }
  const query = parameters.toString();
  const text = head.query.get('text') ?? '';
  if (text.length > SEARCH_TEXT_LIMIT)
    throw new EntrepotError('bad-request', `expected a search text of at most ${SEARCH_TEXT_LIMIT} characters`);
  const path = query === '' ? '-/v1/search' : `-/v1/search?${query}`;
  return { class: 'search', key: 'search', path, attributes: { text } };
}

/** Reads the names of packages out of a search text: the upstream would learn them. */
export function namesIn(text: string): PackageCoordinates[] {
  return text
    .split(/[\s,+]/)
    .map((word) => word.replace(/^(?:not:|-)/, '').replace(/^scope:@?(.*)$/s, '@$1/-'))
    .filter(isPackageName)
    .map((name) => coordinates(name));
}

/** @returns npm's own 20 where `text` is no number */
function searchSize(text: string): number {
  const size = Number.parseInt(text, 10);
  return Number.isNaN(size) ? 20 : Math.max(1, Math.min(size, SEARCH_LIMIT));
}

/** The package name at the start of `segments`, escaped (`@scope%2fname`, one segment) or not, and what follows it. */
function splitName(segments: readonly string[]): { readonly name?: string; readonly rest: readonly string[] } {
  const [first, second, ...others] = segments;
  if (first === undefined) return { rest: [] };
  const escaped = !first.startsWith('@') || first.includes('/');
  const name = escaped ? first : `${first}/${second ?? ''}`;
  if (!isPackageName(name)) return { rest: [] };
  return { name, rest: escaped ? segments.slice(1) : others };
}

/** The file of a tarball, also where the scope stands before it: `/@s/p/-/@s/p-1.0.0.tgz`. */
function fileOf(name: string, segments: readonly string[]): string | undefined {
  const path = segments.join('/');
  const scope = scopeOf(name);
  const file = scope !== undefined && path.startsWith(`${scope}/`) ? path.slice(scope.length + 1) : path;
  return FILE.test(file) ? file : undefined;
}

/** A proxy changes nothing at its upstream. */
function requireReading(head: RequestHead): void {
  requireMethod(head, ['GET'], READ_ONLY);
}

function coordinates(name: string, version?: string): PackageCoordinates {
  return version === undefined ? { ecosystem: 'npm', name } : { ecosystem: 'npm', name, version };
}

function local(status: number, body: string): LocalReply {
  return { status, headers: JSON_TYPE, body };
}

function answer(status: number, error: string): LocalReply {
  return local(status, JSON.stringify({ error }));
}
