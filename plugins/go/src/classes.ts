import { artifactClass, documentClass } from '@entrepot/core';
import type { Content, DocumentBytes, FreshnessRule, Parsed, Production } from '@entrepot/core';
import type { RenderRequest, Resource, VerifyContext } from '@entrepot/core';
import type { DirectRoute } from './direct.js';
import { LARGEST_GO_MOD, LARGEST_ZIP } from './dirhash.js';
import { LARGEST_INFO, parseDate, parseInfo, renderQuery } from './info.js';
import { moduleIndex } from './module-index.js';
import { moduleOf } from './module-path.js';
import { verifyGoMod, verifyInfo, verifyZip } from './module-verifier.js';
import { LARGEST_PROOF, type LookupRecord } from './note.js';
import type { DocumentName, FileName, GoProxy } from './routes.js';
import { LARGEST_TILE, type Tile } from './tile.js';
import { LARGEST_LIST, parseList, renderLatest, renderList } from './version-list.js';

const MINUTE = 60_000;
/**
 * A version that was just tagged may be asked for before the upstream knows it. `go` looks for a package in every module
 * that its path could be in, and an outage for one that does not exist would end it.
 */
const ABSENT = { negativeFor: 30_000, negativeIfError: 7 * 24 * 60 * MINUTE } as const;
/** A private name may have come to be while its upstream was down; a 404 would send clients elsewhere for it. */
const PRIVATELY_ABSENT = { ...ABSENT, negativeIfError: 0 } as const;
/** Documents that change upstream at any time, and that every `go get` asks for. */
const MUTABLE = { policy: 'revalidate', freshFor: MINUTE, staleWhileRevalidate: 5 * MINUTE } as const;

const SHORT = 'public, max-age=60';
const FOR_EVER = 'public, max-age=31536000, immutable';
const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';

const cachedOnly = ({ attributes }: Resource): boolean => attributes?.['cachedOnly'] === true;

/** Makes what is private from its repository, where a direct route matches the module. */
const produce: Production<GoProxy> = {
  applies: (resource, go) => routeOf(resource, go) !== undefined,
  make: (resource, context, go) => go.direct.produce(routeOf(resource, go) as DirectRoute, resource, context),
};
const routeOf = (resource: Resource, { sourceOf }: GoProxy): DirectRoute | undefined =>
  sourceOf(moduleOf(resource).path)?.direct;

/** Facts that differ between the classes of public and of private modules. The hooks are the same. */
interface ClassFacts {
  readonly cacheControl: string;
  readonly absent: Partial<FreshnessRule>;
  readonly produce?: Production<GoProxy>;
}

const PUBLIC = { cacheControl: SHORT, absent: ABSENT };
const PRIVATE = { absent: PRIVATELY_ABSENT, produce };

interface ModuleDocument {
  readonly mediaType: string;
  readonly maxBytes: number;
  /** Whether a version that was served is in it from then on. */
  readonly listsCached: boolean;
  parse(content: Content, resource: Resource, context: VerifyContext, go: GoProxy): Promise<Parsed>;
  render(document: never, request: RenderRequest): DocumentBytes | Promise<DocumentBytes>;
}

const DOCUMENTS: Readonly<Record<DocumentName, ModuleDocument>> = {
  list: { mediaType: TEXT, maxBytes: LARGEST_LIST, listsCached: true, parse: parseList, render: renderList },
  latest: { mediaType: JSON_TYPE, maxBytes: LARGEST_INFO, listsCached: true, parse: parseInfo, render: renderLatest },
  query: { mediaType: JSON_TYPE, maxBytes: LARGEST_INFO, listsCached: false, parse: parseInfo, render: renderQuery },
};
const documentOf = ({ attributes }: Resource): ModuleDocument => DOCUMENTS[attributes?.['name'] as DocumentName];

function moduleDocument(about: string, { cacheControl, absent, produce }: ClassFacts = PUBLIC) {
  return documentClass<GoProxy>({
    about,
    cache: {
      ...MUTABLE,
      ...absent,
      cachedOnly,
      listsBelow: (resource) => (documentOf(resource).listsCached ? `${moduleOf(resource).path}/@v/` : undefined),
    },
    upstream: { order: 'origins', maxBytes: (resource) => documentOf(resource).maxBytes, produce },
    reply: {
      mediaType: (resource) => documentOf(resource).mediaType,
      cacheControl,
      render: (document, request) => documentOf(request.resource).render(document as never, request),
    },
    parse: (content, resource, context, go) => documentOf(resource).parse(content, resource, context, go),
  });
}

const FILES = {
  info: { mediaType: JSON_TYPE, maxBytes: LARGEST_INFO, verify: verifyInfo },
  mod: { mediaType: TEXT, maxBytes: LARGEST_GO_MOD, verify: verifyGoMod },
  zip: { mediaType: 'application/zip', maxBytes: LARGEST_ZIP, verify: verifyZip },
} as const;
const nameOf = ({ attributes }: Resource): FileName => attributes?.['name'] as FileName;

/** Builds with other versions need an `.info` and a `.mod` for the graph of modules (Go Modules Reference, "Graph pruning"). */
const isNeededByOthers = (resource: Resource): boolean => nameOf(resource) !== 'zip';

function versionFile(about: string, { cacheControl, absent, produce }: ClassFacts) {
  return artifactClass<GoProxy>({
    about,
    cache: { ...absent, cachedOnly },
    upstream: { order: 'origins', maxBytes: (resource) => FILES[nameOf(resource)].maxBytes, produce },
    reply: { mediaType: (resource) => FILES[nameOf(resource)].mediaType, cacheControl },
    trust: {
      describedBy: (resource, go) => (nameOf(resource) === 'zip' ? go.date(resource) : undefined),
      describedFor: ['publishedAt'],
      descriptionOptional: true,
      verify: (resource, content, context, go) => FILES[nameOf(resource)].verify(resource, content, context, go),
      verifiedBy: (resource, go) => (nameOf(resource) === 'info' ? undefined : go.recordFor(resource)),
      publishedWith: (resource, go) => go.publishedWith(resource),
    },
    policy: { sidecar: isNeededByOthers, refusedOnlyIfMalicious: isNeededByOthers },
  });
}

/** The newest signed tree head, with no signatures of others. */
interface Head extends Parsed {
  readonly note: string;
}

/** A record that the checksum database has in its tree. */
interface VerifiedRecord extends LookupRecord, Parsed {}

const tileOf = ({ attributes }: Resource): Tile => attributes?.['tile'] as Tile;
const hasRecords = (resource: Resource): boolean => tileOf(resource).level === -1;

/** The classes of a proxy. */
export const CLASSES = {
  list: moduleDocument('Lists of the versions of modules.'),
  latest: moduleDocument('The latest version of modules (`@latest`).'),
  query: moduleDocument('The versions that branches, commits and parts of versions stand for.'),
  date: documentClass<GoProxy>({
    about: 'The `.info` of versions as policy reads them, for their dates.',
    cache: {
      policy: 'immutable',
      ...ABSENT,
      except: (resource, go) => (go.sourceOf(moduleOf(resource).path)?.confidential ? PRIVATELY_ABSENT : undefined),
    },
    upstream: { order: 'origins', maxBytes: LARGEST_INFO },
    parse: parseDate,
  }),
  info: versionFile('The `.info` of versions.', { ...PUBLIC, cacheControl: 'public, max-age=604800' }),
  mod: versionFile('The `go.mod` of versions.', { ...PUBLIC, cacheControl: FOR_EVER }),
  zip: versionFile('The zips of versions.', { ...PUBLIC, cacheControl: FOR_EVER }),
  index: moduleIndex,
  'checksum-head': documentClass<GoProxy, Head>({
    about: 'The newest signed head of the checksum database.',
    cache: {
      policy: 'revalidate',
      freshFor: MINUTE,
      cachedOnly,
      except: ({ attributes }) => (attributes?.['anyAge'] === true ? { freshFor: Infinity } : undefined),
    },
    upstream: { maxBytes: LARGEST_PROOF },
    reply: { mediaType: TEXT, cacheControl: SHORT, render: (head) => [head.note] },
    policy: { forAnyName: true },
    async parse(content, resource, { read }, go) {
      const note = await go.databaseOf(resource).checkHead(await content.bytes(LARGEST_PROOF), read);
      return { weight: 2 * content.size, note };
    },
  }),
  'checksum-record': documentClass<GoProxy, VerifiedRecord>({
    about: 'Records of the checksum database.',
    cache: { policy: 'immutable', negativeFor: ABSENT.negativeFor, onGone: 'keep', cachedOnly },
    upstream: { maxBytes: LARGEST_PROOF },
    reply: {
      mediaType: TEXT,
      cacheControl: SHORT,
      render: (record, { resource }, go) => [go.databaseOf(resource).freshReply(record)],
    },
    async parse(content, resource, { read }, go) {
      const { path, version } = moduleOf(resource);
      const bytes = await content.bytes(LARGEST_PROOF);
      const { id, text } = await go.databaseOf(resource).checkLookup(bytes, path, version, read);
      return { weight: 2 * content.size, id, text };
    },
  }),
  'checksum-tile': artifactClass<GoProxy>({
    about: 'Tiles of the checksum database.',
    cache: { negativeFor: ABSENT.negativeFor, cachedOnly },
    upstream: { maxBytes: (resource) => (hasRecords(resource) ? LARGEST_TILE : LARGEST_PROOF) },
    reply: {
      mediaType: (resource) => (hasRecords(resource) ? TEXT : 'application/octet-stream'),
      filename: 'tile',
      cacheControl: FOR_EVER,
    },
    trust: {
      async verify(resource, content, { read }, go) {
        await go.databaseOf(resource).checkTile(tileOf(resource), await content.bytes(LARGEST_TILE), read);
      },
    },
    policy: { forAnyName: true },
  }),
  'private-document': moduleDocument('Lists, latest versions and queries of private modules.', {
    ...PRIVATE,
    cacheControl: 'private, max-age=60',
  }),
  'private-file': versionFile('The `.info`, `go.mod` and zips of private modules.', {
    ...PRIVATE,
    cacheControl: 'private, max-age=31536000, immutable',
  }),
};
