import {
  EntrepotError,
  type ArtifactResource,
  type DocumentResource,
  type LocalResource,
  type PackageCoordinates,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
} from '@entrepot/core';
import type { NpmOptions } from './options.js';
import {
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

const FULL_TYPE = 'application/json';
/** The media type of the abbreviated form. pnpm normalises a packument again when it is not exactly this. */
const ABBREVIATED_TYPE = 'application/vnd.npm.install-v1+json';
/** The longest search text that is taken, in characters. */
const SEARCH_TEXT_LIMIT = 2_000;
/** What the registry's own search gives at the most. */
const SEARCH_LIMIT = 250;
const SEARCH_PARAMETERS = ['text', 'from', 'quality', 'popularity', 'maintenance'] as const;
/** How long the answer to one audit body may be given again, in milliseconds. */
const AUDIT_SHARED_FOR = 300_000;
const BULK_AUDIT = '-/npm/v1/security/advisories/bulk';
const VERSION_OR_TAG_LIMIT = 256;
const FILE = /^[A-Za-z0-9!~*'()@._+-]{1,800}\.tgz$/;
const VERSION = /^[A-Za-z0-9._+~-]{1,256}$/;

const READ_ONLY = 'this repository is a read-only proxy: publish, tag and unpublish at the registry behind it';
const NO_ACCOUNTS = 'this repository is a proxy without accounts: log in at the registry behind it';
const NOT_SERVED = 'this registry does not serve this route';

/** What a request for one repository names. */
export function createRouter(
  repository: RepositoryFacts,
  options: NpmOptions,
): (head: RequestHead) => Resource | undefined {
  const scopes = new Map<string, string>();
  for (const { scope } of repository.upstreams) {
    if (scope !== undefined) scopes.set(scope.startsWith('@') ? scope : `@${scope}`, scope);
  }
  /** A scope with an upstream of its own is never asked for elsewhere. */
  const upstreamScope = (name: string): string | undefined => scopes.get(scopeOf(name) ?? '');

  function packument(name: string, variant: PackumentVariant, mediaType = FULL_TYPE): DocumentResource {
    return {
      kind: 'document',
      key: `packument/${name}`,
      class: 'packument',
      coordinates: coordinates(name),
      upstreamPath: escapedName(name),
      upstreamScope: upstreamScope(name),
      accept: 'application/json',
      mediaType,
      variant,
      rewritten: true,
    };
  }

  function tarball(name: string, file: string): ArtifactResource {
    const prefix = `${unscoped(name)}-`;
    const version = file.startsWith(prefix) ? file.slice(prefix.length, -'.tgz'.length) : undefined;
    return {
      kind: 'artifact',
      key: tarballKey(name, file),
      class: 'tarball',
      coordinates: coordinates(name, version),
      filename: file,
      upstreamPath: tarballPath(name, file),
      upstreamScope: upstreamScope(name),
      mediaType: 'application/octet-stream',
      describedBy: packument(name, 'full'),
      // Made for who asks: a hit does not.
      get describedBrieflyBy() {
        return version === undefined ? undefined : versionDocument(name, version);
      },
    };
  }

  /** The registry's document of one version: a hundredth of its packument. */
  function versionDocument(name: string, version: string): DocumentResource {
    return {
      kind: 'document',
      key: `version/${name}/${version}`,
      class: 'packument',
      coordinates: coordinates(name, version),
      upstreamPath: `${escapedName(name)}/${encodeSegment(version)}`,
      upstreamScope: upstreamScope(name),
      accept: 'application/json',
    };
  }

  function routePackage(head: RequestHead): Resource | undefined {
    const { name, rest } = splitName(head.segments);
    if (name === undefined) return undefined;
    requireReading(head);
    const [second, ...others] = rest;
    if (second === undefined) return negotiated(head, packument, name);
    if (second === '-') {
      const file = head.trailingSlash ? undefined : fileOf(name, others);
      return file === undefined ? undefined : tarball(name, file);
    }
    if (second === '-rev' || others.length > 0 || second.length > VERSION_OR_TAG_LIMIT) return undefined;
    return packument(name, `version:${second}`);
  }

  function routeAttestations(subject: string): Resource | undefined {
    const split = subject.lastIndexOf('@');
    const name = subject.slice(0, Math.max(split, 0));
    const version = subject.slice(split + 1);
    if (!isPackageName(name) || !VERSION.test(version)) return undefined;
    return {
      kind: 'document',
      key: attestationsKey(name, version),
      describedBy: packument(name, 'full'),
      sidecar: true,
      class: 'attestations',
      coordinates: coordinates(name, version),
      upstreamPath: `-/npm/v1/attestations/${escapedName(name)}@${encodeSegment(version)}`,
      upstreamScope: upstreamScope(name),
      accept: 'application/json',
      mediaType: FULL_TYPE,
    };
  }

  function routeAudit(head: RequestHead, name: 'audit' | 'legacy-audit'): Resource {
    if (options.audit === 'off') return answer(404, 'audits are switched off for this repository');
    requireMethod(head, ['POST'], `expected POST, found ${head.method}`);
    return {
      kind: 'passthrough',
      method: 'POST',
      name,
      upstreamPath: BULK_AUDIT,
      answerPath: `/${BULK_AUDIT}`,
      forAnyName: true,
      accept: 'application/json',
      adapted: true,
      shareFor: AUDIT_SHARED_FOR,
    };
  }

  /** Paths that begin with `/-/`: the registry's own. */
  function routeRegistry(head: RequestHead): Resource | undefined {
    const [, area, ...rest] = head.segments;
    const path = [area, ...rest].join('/');
    if (path === 'npm/v1/security/advisories/bulk') return routeAudit(head, 'audit');
    if (LEGACY_AUDIT_ROUTE.test(path)) return routeAudit(head, 'legacy-audit');
    if (path === 'whoami') {
      return { ...answer(401, NO_ACCOUNTS), headers: { ...JSON_TYPE, 'WWW-Authenticate': 'Bearer realm="npm"' } };
    }
    if (ACCOUNT_ROUTE.test(path)) return answer(404, NO_ACCOUNTS);
    if (path === 'ping') {
      requireReading(head);
      return local(200, '{}');
    }
    if (path === 'v1/search') {
      requireReading(head);
      return search(head);
    }
    if (path === 'npm/v1/keys') {
      requireReading(head);
      return KEYS;
    }
    const subject = /^npm\/v1\/attestations\/(.+)$/.exec(path)?.[1];
    if (subject !== undefined) {
      requireReading(head);
      return routeAttestations(subject);
    }
    const { name, rest: below } = area === 'package' ? splitName(rest) : { rest: [] };
    if (name !== undefined && below[0] === 'dist-tags') {
      requireReading(head);
      return below.length === 1 ? packument(name, 'dist-tags') : undefined;
    }
    return answer(404, NOT_SERVED);
  }

  return (head) => (head.segments[0] === '-' ? routeRegistry(head) : routePackage(head));
}

/** Login, tokens and profiles. */
const ACCOUNT_ROUTE = /^(?:user|v1\/login|npm\/v1\/(?:tokens|user))(?:\/|$)/;
/** Retired at the registry in 2026; answered from the bulk route. */
const LEGACY_AUDIT_ROUTE = /^npm\/v1\/security\/audits(?:\/quick)?$/;

const JSON_TYPE = { 'Content-Type': 'application/json' };

const KEYS: DocumentResource = {
  kind: 'document',
  key: 'keys',
  forAnyName: true,
  class: 'keys',
  upstreamPath: '-/npm/v1/keys',
  accept: 'application/json',
  mediaType: FULL_TYPE,
};

function negotiated(
  head: RequestHead,
  packument: (name: string, variant: PackumentVariant, mediaType?: string) => DocumentResource,
  name: string,
): DocumentResource {
  const abbreviated = head.header('accept')?.toLowerCase().includes(ABBREVIATED_TYPE) === true;
  const document = abbreviated ? packument(name, 'abbreviated', ABBREVIATED_TYPE) : packument(name, 'full');
  return { ...document, vary: ['Accept'] };
}

function search(head: RequestHead): Resource {
  const parameters = new URLSearchParams();
  for (const parameter of SEARCH_PARAMETERS) {
    const value = head.query.get(parameter);
    if (value !== null) parameters.set(parameter, value);
  }
  const size = head.query.get('size');
  if (size !== null) parameters.set('size', String(searchSize(size)));
  const query = parameters.toString();
  return {
    kind: 'passthrough',
    method: 'GET',
    name: 'search',
    upstreamPath: query === '' ? '-/v1/search' : `-/v1/search?${query}`,
    accept: 'application/json',
    names: namesIn(head.query.get('text') ?? ''),
  };
}

/** The names of packages that a search text may hold: the upstream would learn them. */
function namesIn(text: string): PackageCoordinates[] {
  if (text.length > SEARCH_TEXT_LIMIT)
    throw new EntrepotError('bad-request', `expected a search text of at most ${SEARCH_TEXT_LIMIT} characters`);
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
  requireMethod(head, ['GET', 'HEAD'], READ_ONLY);
}

function requireMethod(head: RequestHead, allowed: readonly string[], message: string): void {
  if (allowed.includes(head.method)) return;
  throw new EntrepotError('method-not-allowed', message, { headers: { Allow: allowed.join(', ') } });
}

function coordinates(name: string, version?: string): PackageCoordinates {
  return version === undefined ? { ecosystem: 'npm', name } : { ecosystem: 'npm', name, version };
}

function local(status: number, body: string): LocalResource {
  return { kind: 'local', status, headers: JSON_TYPE, body };
}

function answer(status: number, error: string): LocalResource {
  return local(status, JSON.stringify({ error }));
}
