import { aliasClass, artifactClass, documentClass, type Resource, type TrustFacts } from '@entrepot/core';
import type { TableMaker } from '@entrepot/core/formats';
import { verifyPointer } from './at-mirrors.js';
import { NO_FILES, type Format, type Listing } from './format.js';
import { readGenerations, type Generations } from './generations.js';
import { PackageList } from './package-list.js';
import type { RepositoryProxy } from './proxy.js';
import { keepPointer, publishGeneration } from './publish.js';
import { keysAt, keysOfRoot, stateHeaders } from './roots.js';

const FOR_EVER = { policy: 'immutable', expireAfter: Infinity } as const;
const isCached = ({ attributes }: Resource): boolean => attributes?.['cached'] === true;

/** The words and programs of one format. */
export interface ClassFacts {
  /** Pointer documents, for the readers of the plugin: `InRelease, Release and Release.gpg`. */
  readonly pointers: string;
  /** Reads lists of packages as rows: by the name of the file, its value. */
  readonly rows: { readonly maker: TableMaker<unknown>; readonly revision: number };
  /** Life of a generation before the mirrors are asked; milliseconds. */
  readonly freshFor: number;
  /** Interval of refreshes that nobody asks for, where the configuration does not say; milliseconds. Absent: an hour. */
  readonly refreshInterval?: number | undefined;
  /** Checks a package where its index does not have the sum of the whole file. */
  readonly verifyPackage?: TrustFacts<RepositoryProxy>['verify'];
}

/** The classes of a proxy of repositories of one format. */
export function classesOf({ read, largestPointer }: Format, { pointers, rows, freshFor, verifyPackage }: ClassFacts) {
  const table = {
    ...rows,
    parameters: () => ({}),
    open: (read: ConstructorParameters<typeof PackageList>[0]) => new PackageList(read),
  };
  const atMirrors = {
    // What mirrors do not have now is told by the state of the root, and no older copy stands in.
    cache: { freshFor: 0, onGone: 'keep', staleIfError: 0, cachedOnly: isCached },
    upstream: { maxBytes: largestPointer },
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
    pointer: artifactClass<RepositoryProxy>({
      about: 'Pointer documents of the generations.',
      cache: FOR_EVER,
      upstream: { produce: { make: keepPointer } },
    }),
    packages: documentClass<RepositoryProxy, PackageList>({
      about: 'Lists of packages, as they are read.',
      cache: { ...FOR_EVER, negativeFor: 5000, cachedOnly: isCached },
      table,
    }),
    package: artifactClass<RepositoryProxy>({
      about: 'Packages and source files that an index lists, by their sums.',
      // A mirror that lacks what its index lists is being changed.
      cache: { ...FOR_EVER, negativeFor: 5000 },
      reply: { filename: ({ attributes }) => attributes?.['filename'] as string },
      ...(verifyPackage && { trust: { verify: verifyPackage } }),
    }),
    auxiliary: documentClass<RepositoryProxy>({
      about: 'Files that no index lists: readmes, changelogs, installer images.',
      cache: { freshFor: 120_000, onGone: 'keep' },
    }),
  };
}
