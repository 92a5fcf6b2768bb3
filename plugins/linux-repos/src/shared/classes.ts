import {
  aliasClass,
  artifactClass,
  documentClass,
  type Parsed,
  type Resource,
  type TrustFacts,
  type UpstreamFacts,
} from '@entrepot/core';
import type { TableMaker } from '@entrepot/core/formats';
import { verifyPointer } from './at-mirrors.js';
import { NO_FILES, type Format, type Listing } from './format.js';
import { mainOf, readGenerations, type Generation, type Generations } from './generations.js';
import { PackageList } from './package-list.js';
import type { MirrorLists } from './mirror-lists.js';
import { printOwnMirrors, type OwnMirrors } from './own-mirrors.js';
import type { RepositoryProxy } from './proxy.js';
import { keepPointer, publishGeneration } from './publish.js';
import { keysAt, keysOfRoot, stateHeaders } from './roots.js';

const FOR_EVER = { policy: 'immutable', expireAfter: Infinity } as const;
const isCached = ({ attributes }: Resource): boolean => attributes?.['cached'] === true;

/** Lists of mirrors of one format. */
export interface MirrorListFacts<Options> {
  /** The largest that is read, in bytes. */
  readonly largest: number;
  /** @throws EntrepotError `upstream-unavailable` for what is none */
  read(bytes: Uint8Array, name: string): Parsed;
  open(options: Options): MirrorLists;
}

/** The words and programs of one format. */
export interface ClassFacts<Options = never> {
  /** Pointer documents, for the readers of the plugin: `InRelease, Release and Release.gpg`. */
  readonly pointers: string;
  /** Reads lists of packages as rows: by the name of the file, its value. */
  readonly rows: { readonly maker: TableMaker<unknown>; readonly revision: number };
  /** Life of a generation before the mirrors are asked; milliseconds. */
  readonly freshFor: number;
  /** Interval of refreshes that nobody asks for, where the configuration does not say; milliseconds. Absent: an hour. */
  readonly refreshInterval?: number | undefined;
  /** Writes lists of mirrors for clients that want one. Absent: they want none. */
  readonly ownMirrors?: OwnMirrors | undefined;
  /** Lists of mirrors that the configuration names. Absent: it names none. */
  readonly mirrorLists?: MirrorListFacts<Options> | undefined;
  /** Checks a package where its index does not have the sum of the whole file. */
  readonly verifyPackage?: TrustFacts<RepositoryProxy>['verify'];
}

/** The classes of a proxy of repositories of one format. */
export function classesOf<Options>(format: Format, facts: ClassFacts<Options>) {
  const { read, largestPointer } = format;
  const { pointers, rows, freshFor, verifyPackage, ownMirrors, mirrorLists } = facts;
  const atPlaces: UpstreamFacts<RepositoryProxy> =
    mirrorLists === undefined
      ? {}
      : { locate: async (resource, context, self) => await self.mirrorLists?.locate(resource, context) };
  const table = {
    ...rows,
    parameters: () => ({}),
    open: (read: ConstructorParameters<typeof PackageList>[0]) => new PackageList(read),
  };
  const atMirrors = {
    // What mirrors do not have now is told by the state of the root, and no older copy stands in.
    cache: { freshFor: 0, onGone: 'keep', staleIfError: 0, cachedOnly: isCached },
    upstream: { maxBytes: largestPointer, ...atPlaces },
    trust: { verify: verifyPointer },
  } as const;
  return {
    suite: aliasClass<RepositoryProxy>({
      about: `${pointers}: those of the generation that was published last.`,
      resolve: (resource, context, self) => self.pointer(resource, context),
      replyHeaders: (resource, _context, self) => stateHeaders(resource, self),
      storedKeys: ({ attributes }, context, self) => keysOfRoot(attributes?.['root'] as string, context, self),
    }),
    file: aliasClass<RepositoryProxy>({
      about: 'Packages and sources by their paths: what an index says that they are.',
      resolve: async (resource, context, self) => self.placed(await self.file(resource, context)),
      resolveMissing: async (resource, missing, context, self) =>
        self.placed(await self.fileAfterRefresh(resource, missing, context)),
      storedKeys: async (resource, context, self) =>
        await keysAt(resource, context, self, async () => await self.file(resource, context)),
    }),
    upstream: documentClass<RepositoryProxy>({ about: `${pointers} as the mirrors have them.`, ...atMirrors }),
    ...(read === undefined && {
      upstreamList: documentClass<RepositoryProxy, PackageList>({
        about: 'Pointer documents that list packages themselves, as the mirrors have them.',
        ...atMirrors,
        table,
      }),
    }),
    ...(read !== undefined && {
      named: aliasClass<RepositoryProxy>({
        about: 'Index files by their names: those of the generation that the client has begun to read.',
        resolve: async (resource, context, self) => self.placed(await self.indexFile(resource, context)),
        // That a mirror lacks it by its sum was remembered, and it may have it by its name.
        resolveMissing: async (_resource, missing) => (missing.otherPaths === undefined ? undefined : missing),
        storedKeys: async (resource, context, self) =>
          await keysAt(resource, context, self, async () => await self.indexFile(resource, context)),
      }),
      listing: documentClass<RepositoryProxy, Listing>({
        about: 'Pointer documents of the generations, as they are read.',
        cache: { ...FOR_EVER, cachedOnly: true },
        parse: async (content, { attributes }, _context, self) =>
          self.format.read?.(await content.bytes(largestPointer), attributes?.['name'] as string) ?? NO_FILES,
      }),
      index: artifactClass<RepositoryProxy>({
        about: 'Index files, by their sums.',
        cache: { ...FOR_EVER, negativeFor: 5000 },
        upstream: atPlaces,
        // librepo fetches the parts of a zchunk file that it lacks.
        reply: { severalRanges: true },
      }),
    }),
    generations: documentClass<RepositoryProxy, Generations>({
      about: 'Generations of a root: how long the one that was published last is served before the mirrors are asked.',
      cache: { freshFor, onGone: 'keep', negativeFor: 30_000, cachedOnly: isCached },
      upstream: { produce: { make: publishGeneration } },
      parse: readGenerations,
    }),
    ...(mirrorLists !== undefined && {
      mirrorList: documentClass<RepositoryProxy>({
        about: 'Lists of mirrors that the configuration names: mirrorlist, metalink.',
        // A new metalink has the sum of a new repomd.xml.
        cache: { freshFor: 60_000 },
        upstream: { maxBytes: mirrorLists.largest },
        parse: async (content, { path = '' }) => mirrorLists.read(await content.bytes(mirrorLists.largest), path),
      }),
    }),
    ...(ownMirrors !== undefined && {
      mirrors: aliasClass<RepositoryProxy>({
        about: 'Lists of mirrors: of the generation that the client gets next.',
        resolve: (resource, context, self) => self.ownMirrors(resource, context),
      }),
      ownMirrors: documentClass<RepositoryProxy, Generations>({
        about: 'Generations of a root, as a list of mirrors that names this server alone tells of them.',
        cache: { freshFor: 0, cachedOnly: true },
        parse: readGenerations,
        reply: {
          mediaType: ({ attributes }) => ownMirrors.mediaTypeOf(attributes?.['name'] as string),
          render: (generations, { resource, baseUrl }) => {
            const { root } = resource.attributes as { root: string };
            const main = ({ pointers }: Generation): string => mainOf(format, root, pointers).sha256;
            return [printOwnMirrors(generations, { resource, baseUrl }, ownMirrors, main)];
          },
        },
      }),
    }),
    pointer: artifactClass<RepositoryProxy>({
      about: 'Pointer documents of the generations.',
      cache: FOR_EVER,
      upstream: { produce: { make: keepPointer } },
    }),
    packages: documentClass<RepositoryProxy, PackageList>({
      about: 'Lists of packages, as they are read.',
      cache: { ...FOR_EVER, negativeFor: 5000, cachedOnly: isCached },
      upstream: atPlaces,
      table,
    }),
    package: artifactClass<RepositoryProxy>({
      about: 'Packages and source files that an index lists, by their sums.',
      // A mirror that lacks what its index lists is being changed.
      cache: { ...FOR_EVER, negativeFor: 5000 },
      upstream: atPlaces,
      reply: { filename: ({ attributes }) => attributes?.['filename'] as string },
      ...(verifyPackage && { trust: { verify: verifyPackage } }),
    }),
    auxiliary: documentClass<RepositoryProxy>({
      about: 'Files that no index lists: readmes, changelogs, installer images.',
      cache: { freshFor: 120_000, onGone: 'keep' },
      upstream: atPlaces,
    }),
  };
}
