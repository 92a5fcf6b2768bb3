import { EntrepotError, isLocalReply, requireMethod } from '@entrepot/core';
import type { Logger, RepositoryFacts, RequestHead, Resource, Route, PublicationSet } from '@entrepot/core';
import type { ChecksumDatabase } from './checksum-database.js';
import type { DirectModules } from './direct.js';
import { HashPool } from './dirhash.js';
import { failure } from './errors.js';
import { coordinatesOf, isVersionOf, moduleOf, unescapeModulePath, unescapeVersion, urlPath } from './module-path.js';
import type { NoteVerifier } from './note.js';
import { ServedDatabase } from './served-database.js';
import { indexOf } from './module-index.js';
import type { ModuleSource, SourceOf } from './sources.js';
import { parseTilePath } from './tile.js';

/** Queries that `go` resolves by itself, from the list (Go Modules Reference, "Version queries"). */
const OWN_QUERIES: ReadonlySet<string> = new Set(['latest', 'upgrade', 'patch']);

/** The documents of a module. */
export type DocumentName = 'list' | 'latest' | 'query';
/** The files of a version, by their extensions. */
export type FileName = 'info' | 'mod' | 'zip';

export interface GoProxySettings {
  readonly repository: RepositoryFacts;
  /** The keys of the checksum databases. Modules are verified with the first; where there is none, with nothing. */
  readonly verifiers: readonly NoteVerifier[];
  /** Whether clients may ask the databases here. */
  readonly servesDatabases: boolean;
  /** Whether clients may list what is kept. */
  readonly servesIndex: boolean;
  readonly sourceOf: SourceOf;
  readonly direct: DirectModules;
  readonly logger: Logger;
}

/** A proxy of module proxies, of a checksum database, and of the repositories of private modules. */
export class GoProxy {
  readonly sourceOf: SourceOf;
  readonly direct: DirectModules;
  readonly pool = new HashPool();
  /** By name, in the order of the configuration. */
  readonly #databases: ReadonlyMap<string, ServedDatabase>;
  readonly #servesDatabases: boolean;
  readonly #servesIndex: boolean;

  constructor({ repository, verifiers, servesDatabases, servesIndex, sourceOf, direct, logger }: GoProxySettings) {
    this.sourceOf = sourceOf;
    this.direct = direct;
    this.#servesDatabases = servesDatabases;
    this.#servesIndex = servesIndex;
    this.#databases = new Map(verifiers.map((one) => [one.name, new ServedDatabase(one, repository, logger)]));
  }

  /** Reads a request (Go Modules Reference, "GOPROXY protocol"). */
  route(request: RequestHead): Route | undefined {
    requireMethod(request, ['GET']);
    if (this.#servesIndex && request.segments.length === 1 && request.segments[0] === 'index' && !request.trailingSlash)
      return indexOf(request.query);
    const underCached = request.segments[0] === 'cached-only';
    const segments = underCached ? request.segments.slice(1) : request.segments;
    if (request.trailingSlash || segments.some((segment) => segment.includes('/'))) return undefined;
    const route =
      segments[0] === 'sumdb' ? this.#routeDatabase(segments.slice(1).join('/')) : this.#routeModule(segments);
    const cachedOnly = underCached || /^(?:1|t|true)$/i.test(request.header('disable-module-fetch')?.trim() ?? '');
    if (!cachedOnly || route === undefined || isLocalReply(route)) return route;
    return { ...route, attributes: { ...route.attributes, cachedOnly } };
  }

  async dispose(): Promise<void> {
    await this.pool.dispose();
  }

  /** The record that ties the files of a version, of the first database. `undefined`: none does. */
  recordFor(file: Resource): Resource | undefined {
    const { path, version } = moduleOf(file);
    const [first] = this.#databases.values();
    return this.sourceOf(path)?.verified === true ? first?.record(path, version) : undefined;
  }

  /** The database that a resource is of. */
  databaseOf({ attributes }: Resource): ChecksumDatabase {
    const served = this.#databases.get(attributes?.['database'] as string);
    if (served === undefined) throw new Error('the repository has no such checksum database');
    return served.checks;
  }

  /**
   * The `.info` of a version as a document that dates its zip. Kept apart from the one that clients get. `undefined` where a module
   * comes from its own repository: nobody else has seen it before.
   */
  date({ coordinates }: Pick<Resource, 'coordinates'>): Resource | undefined {
    const { path, version } = moduleOf({ coordinates });
    const source = this.sourceOf(path);
    if (source === undefined || source.direct !== undefined) return undefined;
    return {
      class: 'date',
      ...placeOf(path, `@v/${version}.info`),
      key: `${path}/@v/${version}.date`,
      coordinates: coordinatesOf(path),
      scope: source.scope,
      attributes: { version },
    };
  }

  /** All files of a version. Without a record of the checksum database only their origin ties them: they are one copy. */
  publishedWith(resource: Resource): PublicationSet | undefined {
    const { path, version } = moduleOf(resource);
    const source = this.sourceOf(path);
    if (source === undefined || source.verified) return undefined;
    const members = (['info', 'mod', 'zip'] as const).map((name) => fileOf(source, path, version, name));
    // A module cache as upstream has the `.mod` alone of what was never built.
    return { members, partly: true };
  }

  #routeDatabase(path: string): Route | undefined {
    const [name = '', served] = [...this.#databases].find(([one]) => path.startsWith(`${one}/`)) ?? [];
    if (served === undefined || !this.#servesDatabases) return undefined;
    const rest = path.slice(name.length + 1);
    if (rest === 'supported') {
      const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'public, max-age=86400' };
      return { status: 200, headers };
    }
    if (rest === 'latest') return served.head();
    const tile = parseTilePath(rest);
    if (tile !== undefined) return served.tile(tile);
    return rest.startsWith('lookup/') ? this.#routeLookup(served, rest.slice('lookup/'.length)) : undefined;
  }

  #routeLookup(database: ServedDatabase, text: string): Resource {
    const at = text.lastIndexOf('@');
    const path = unescapeModulePath(text.slice(0, Math.max(at, 0)));
    const version = unescapeVersion(text.slice(at + 1));
    if (path === undefined || version === undefined || !isVersionOf(path, version)) {
      throw new EntrepotError('bad-request', 'expected a lookup of module@version, case-encoded');
    }
    if (this.sourceOf(path)?.verified !== true) {
      const message = `${path} is private or unverified here, and its name is not sent to ${database.checks.name}`;
      throw failure('forbidden', 'CHECKSUM_PRIVATE', `${message}; add it to GONOSUMDB`);
    }
    return database.record(path, version);
  }

  #routeModule(segments: readonly string[]): Resource | undefined {
    const last = segments.at(-1) ?? '';
    const isLatest = last === '@latest';
    if (!isLatest && segments.at(-2) !== '@v') return undefined;
    const path = unescapeModulePath(segments.slice(0, isLatest ? -1 : -2).join('/'));
    if (path === undefined) return undefined;
    const source = this.sourceOf(path);
    if (source === undefined) {
      const message = `${path} is private, and no upstream of this repository is for it`;
      throw failure('not-found', 'MODULE_PRIVATE', message);
    }
    if (isLatest) return documentOf(source, path, 'latest', '@latest');
    if (last === 'list') return documentOf(source, path, 'list', '@v/list');
    const [, escaped = '', extension] = /^(.+)\.(info|mod|zip)$/.exec(last) ?? [];
    const version = unescapeVersion(escaped);
    if (version === undefined) return undefined;
    if (isVersionOf(path, version)) return fileOf(source, path, version, extension as FileName);
    // A branch, a commit, a part of a version. Only `.info` says what it stands for.
    if (extension !== 'info' || OWN_QUERIES.has(version)) return undefined;
    return documentOf(source, path, 'query', `@v/${version}.info`);
  }
}

function documentOf({ scope, confidential }: ModuleSource, path: string, name: DocumentName, rest: string): Resource {
  const ofClass = confidential ? 'private-document' : name;
  return { class: ofClass, coordinates: coordinatesOf(path), scope, attributes: { name }, ...placeOf(path, rest) };
}

function fileOf({ scope, confidential }: ModuleSource, path: string, version: string, name: FileName): Resource {
  const ofClass = confidential ? 'private-file' : name;
  const place = placeOf(path, `@v/${version}.${name}`);
  return { class: ofClass, coordinates: coordinatesOf(path, version), scope, attributes: { name }, ...place };
}

function placeOf(path: string, rest: string): Pick<Resource, 'key' | 'path'> {
  return { key: `${path}/${rest}`, path: `${urlPath(path)}/${urlPath(rest)}` };
}
