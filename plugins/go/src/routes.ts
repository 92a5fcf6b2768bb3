import {
  EntrepotError,
  type ArtifactResource,
  type DocumentResource,
  type PackageCoordinates,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
  type UpstreamLocation,
} from '@entrepot/core';
import { LARGEST_GO_MOD, LARGEST_INFO, LARGEST_LIST, LARGEST_PROOF, LARGEST_TILE, LARGEST_ZIP } from './limits.js';
import { isVersionOf, unescapeModulePath, unescapeVersion, urlPath } from './module-path.js';
import { databaseScope, type ModuleSource } from './sources.js';
import { parseTilePath, tilePath, type Tile } from './tile.js';

/** The names in the plugin's `classes`. */
export const CLASS = {
  list: 'list',
  latest: 'latest',
  query: 'query',
  info: 'info',
  mod: 'mod',
  zip: 'zip',
  head: 'checksum-head',
  record: 'checksum-record',
  tile: 'checksum-tile',
  privateDocument: 'private-document',
  privateFile: 'private-file',
} as const;

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';

/** Queries that `go` resolves by itself, from the list (Go Modules Reference, "Version queries"). */
const OWN_QUERIES: ReadonlySet<string> = new Set(['latest', 'upgrade', 'patch']);

/** What routing depends on. */
export interface RouteSettings {
  readonly repository: RepositoryFacts;
  /** The name of the checksum database; `undefined` when there is none. */
  readonly database: string | undefined;
  readonly sourceOf: (path: string) => ModuleSource | undefined;
}

/** What a request for one repository names, and the resources that verification needs. */
export interface Routes {
  readonly route: (head: RequestHead) => Resource | undefined;
  /** The record of a module version. */
  readonly record: (path: string, version: string) => DocumentResource;
  readonly tile: (tile: Tile) => ArtifactResource;
  readonly head: () => DocumentResource;
  /** What says when a version was published; `undefined` where nothing does. */
  readonly date: (path: string, version: string) => DocumentResource | undefined;
}

/** What a request for one repository names (Go Modules Reference, "GOPROXY protocol"). */
export function createRoutes({ repository, database, sourceOf }: RouteSettings): Routes {
  const ownDatabase = repository.upstreams.some(({ scope }) => scope === databaseScope(database ?? ''));

  function locateInDatabase(path: string): UpstreamLocation & { readonly key: string } {
    const key = `sumdb/${database}/${path}`;
    const encoded = urlPath(path);
    if (ownDatabase) return { key, upstreamPath: encoded, upstreamScope: databaseScope(database ?? '') };
    return { key, upstreamPath: `sumdb/${database}/${encoded}` };
  }

  const record = (path: string, version: string): DocumentResource => ({
    kind: 'document',
    class: CLASS.record,
    coordinates: { ecosystem: 'golang', name: path, version },
    mediaType: TEXT,
    maxBytes: LARGEST_PROOF,
    rewritten: true,
    ...locateInDatabase(`lookup/${path}@${version}`),
  });

  const tile = (wanted: Tile): ArtifactResource => ({
    kind: 'artifact',
    class: CLASS.tile,
    filename: 'tile',
    forAnyName: true,
    mediaType: wanted.level === -1 ? TEXT : 'application/octet-stream',
    maxBytes: wanted.level === -1 ? LARGEST_TILE : LARGEST_PROOF,
    ...locateInDatabase(tilePath(wanted)),
  });

  const head = (): DocumentResource => ({
    kind: 'document',
    class: CLASS.head,
    forAnyName: true,
    mediaType: TEXT,
    maxBytes: LARGEST_PROOF,
    rewritten: true,
    ...locateInDatabase('latest'),
  });

  function routeDatabase(path: string): Resource | undefined {
    if (database === undefined || !path.startsWith(`${database}/`)) return undefined;
    const rest = path.slice(database.length + 1);
    if (rest === 'supported') {
      const headers = { 'Content-Type': TEXT, 'Cache-Control': 'public, max-age=86400' };
      return { kind: 'local', status: 200, headers };
    }
    if (rest === 'latest') return head();
    const wanted = parseTilePath(rest);
    if (wanted !== undefined) return tile(wanted);
    return rest.startsWith('lookup/') ? routeLookup(rest.slice('lookup/'.length)) : undefined;
  }

  function routeLookup(text: string): Resource {
    const at = text.lastIndexOf('@');
    const path = unescapeModulePath(text.slice(0, Math.max(at, 0)));
    const version = unescapeVersion(text.slice(at + 1));
    if (path === undefined || version === undefined || !isVersionOf(path, version)) {
      throw new EntrepotError('bad-request', 'expected a lookup of module@version, case-encoded');
    }
    if (sourceOf(path)?.verified !== true) {
      throw new EntrepotError(
        'forbidden',
        `${path} is private or unverified here, and its name is not sent to ${database}; add it to GONOSUMDB`,
        { code: 'CHECKSUM_PRIVATE' },
      );
    }
    return record(path, version);
  }

  function routeModule(segments: readonly string[]): Resource | undefined {
    const last = segments.at(-1) ?? '';
    const isLatest = last === '@latest';
    if (!isLatest && segments.at(-2) !== '@v') return undefined;
    const path = unescapeModulePath(segments.slice(0, isLatest ? -1 : -2).join('/'));
    if (path === undefined) return undefined;
    const source = sourceOf(path);
    if (source === undefined) {
      throw new EntrepotError('not-found', `${path} is private, and no upstream of this repository is for it`, {
        code: 'MODULE_PRIVATE',
      });
    }
    // A version that was served is in both from then on.
    const keptBelow = `${path}/@v/`;
    if (isLatest) return { ...document(source, path, '@latest', CLASS.latest, JSON_TYPE), keptBelow };
    if (last === 'list') return { ...document(source, path, '@v/list', CLASS.list, TEXT), keptBelow };
    const file = /^(.+)\.(info|mod|zip)$/.exec(last);
    const version = file === null ? undefined : unescapeVersion(file[1] as string);
    if (file === null || version === undefined) return undefined;
    const extension = file[2] as Extension;
    if (isVersionOf(path, version)) {
      const wanted = moduleFile(source, path, version, extension);
      return source.verified && extension !== 'info' ? { ...wanted, verifiedBy: record(path, version) } : wanted;
    }
    // A branch, a commit, a part of a version. Only `.info` says what it stands for.
    if (extension !== 'info' || OWN_QUERIES.has(version)) return undefined;
    return document(source, path, `@v/${version}.info`, CLASS.query, JSON_TYPE);
  }

  return {
    record,
    tile,
    head,
    date(path, version) {
      const source = sourceOf(path);
      return source === undefined || source.direct !== undefined ? undefined : dateDocument(source, path, version);
    },
    route(request) {
      requireReading(request);
      const cachedOnly = request.segments[0] === 'cached-only';
      const segments = cachedOnly ? request.segments.slice(1) : request.segments;
      if (request.trailingSlash || segments.some((segment) => segment.includes('/'))) return undefined;
      const resource = segments[0] === 'sumdb' ? routeDatabase(segments.slice(1).join('/')) : routeModule(segments);
      const isStored = resource?.kind === 'artifact' || resource?.kind === 'document';
      const keptOnly = cachedOnly || /^(?:1|t|true)$/i.test(request.header('disable-module-fetch')?.trim() ?? '');
      return isStored && keptOnly ? { ...resource, keptOnly: true } : resource;
    },
  };
}

type Extension = 'info' | 'mod' | 'zip';

const MEDIA_TYPES: Readonly<Record<Extension, string>> = { info: JSON_TYPE, mod: TEXT, zip: 'application/zip' };
const LARGEST: Readonly<Record<Extension, number>> = { info: LARGEST_INFO, mod: LARGEST_GO_MOD, zip: LARGEST_ZIP };

function document(
  { scope, confidential, direct }: ModuleSource,
  path: string,
  rest: string,
  name: string,
  mediaType: string,
): DocumentResource {
  return {
    kind: 'document',
    class: confidential ? CLASS.privateDocument : name,
    key: `${path}/${rest}`,
    coordinates: { ecosystem: 'golang', name: path },
    upstreamPath: `${urlPath(path)}/${urlPath(rest)}`,
    upstreamScope: scope,
    upstreamsAre: 'origins',
    produced: direct !== undefined,
    maxBytes: LARGEST_LIST,
    mediaType,
    rewritten: true,
  };
}

function moduleFile(source: ModuleSource, path: string, version: string, extension: Extension): ArtifactResource {
  const one = (kind: Extension): ArtifactResource => fileOf(source, path, version, kind);
  // A record of the checksum database ties `.mod` and `.zip`. Without one, only their origin does: all from one fetch.
  if (source.verified) return one(extension);
  // A module cache as upstream has the `.mod` alone of what was never built.
  const partly = (kind: Extension): ArtifactResource => ({ ...one(kind), togetherAsThere: true });
  return { ...partly(extension), together: [partly('info'), partly('mod'), partly('zip')] };
}

function fileOf(source: ModuleSource, path: string, version: string, extension: Extension): ArtifactResource {
  const { scope, confidential, direct } = source;
  const file = `${version}.${extension}`;
  return {
    kind: 'artifact',
    class: confidential ? CLASS.privateFile : CLASS[extension],
    key: `${path}/@v/${file}`,
    filename: file,
    coordinates: coordinatesOf(path, version),
    upstreamPath: `${urlPath(path)}/@v/${urlPath(file)}`,
    upstreamScope: scope,
    upstreamsAre: 'origins',
    produced: direct !== undefined,
    mediaType: MEDIA_TYPES[extension],
    maxBytes: LARGEST[extension],
    ...(extension === 'zip' ? dated(source, path, version) : NEEDED_BY_OTHERS),
  };
}

/** Whoever builds with another version needs them for the graph of modules (Go Modules Reference, "Graph pruning"). */
const NEEDED_BY_OTHERS = { sidecar: true, refusedOnlyIfMalicious: true } as const;

/** Where policy reads when a version was published. What comes from its origin by itself has been seen nowhere before. */
function dated(source: ModuleSource, path: string, version: string): Partial<ArtifactResource> {
  if (source.direct !== undefined) return {};
  const describedBy = dateDocument(source, path, version);
  return { describedBy, describedFor: ['publishedAt'], descriptionOptional: true };
}

/** The `.info` of a version as a document that describes its zip. Kept apart from the one that clients get. */
export function dateDocument(source: ModuleSource, path: string, version: string): DocumentResource {
  const { rewritten: _rewritten, ...info } = document(source, path, `@v/${version}.info`, CLASS.query, JSON_TYPE);
  return { ...info, key: `${path}/@v/${version}.date`, maxBytes: LARGEST_INFO, freshness: { policy: 'immutable' } };
}

/** The version whose date a document with this key has. */
export function datedVersion(key: string): string | undefined {
  return /\/@v\/([^/]+)\.date$/.exec(key)?.[1];
}

function coordinatesOf(name: string, version: string): PackageCoordinates {
  return { ecosystem: 'golang', name, version };
}

function requireReading({ method }: RequestHead): void {
  if (method === 'GET' || method === 'HEAD') return;
  throw new EntrepotError('method-not-allowed', `expected GET or HEAD, found ${method.slice(0, 32)}`, {
    headers: { Allow: 'GET, HEAD' },
  });
}
