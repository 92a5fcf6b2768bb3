import { aliasClass, artifactClass, documentClass, type Resource } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { readGenerations, type Generations } from '../shared/generations.js';
import { readPackageRows } from './package-rows.js';
import { Packages } from './packages.js';
import type { DebProxy } from './proxy.js';
import { keepPointer, publishGeneration, verifyPointer } from './publish.js';
import { LARGEST_RELEASE, readRelease, type Release } from './release.js';

const FOR_EVER = { policy: 'immutable', expireAfter: Infinity } as const;
const isCached = ({ attributes }: Resource): boolean => attributes?.['cached'] === true;

/** The classes of a proxy. */
export const CLASSES = {
  suite: aliasClass<DebProxy>({
    about: 'InRelease, Release and Release.gpg: those of the generation that was published last.',
    resolve: (resource, context, self) => self.pointer(resource, context),
  }),
  named: aliasClass<DebProxy>({
    about: 'Index files by their names: those of the generation that the client has begun to read.',
    resolve: async (resource, context, self) => self.placed(await self.indexFile(resource, context)),
  }),
  file: aliasClass<DebProxy>({
    about: 'Packages and sources by their paths: what an index says that they are.',
    resolve: async (resource, context, self) => self.placed(await self.file(resource, context)),
  }),
  upstream: documentClass<DebProxy>({
    about: 'InRelease, Release and Release.gpg as the mirrors have them.',
    cache: { freshFor: 0, onGone: 'keep', cachedOnly: isCached },
    upstream: { maxBytes: LARGEST_RELEASE },
    trust: { verify: verifyPointer },
  }),
  generations: documentClass<DebProxy, Generations>({
    about: 'Generations of a suite: how long the one that was published last is served before the mirrors are asked.',
    cache: { freshFor: 120_000, onGone: 'keep', negativeFor: 30_000, cachedOnly: isCached },
    upstream: { produce: { make: publishGeneration } },
    parse: readGenerations,
  }),
  pointer: artifactClass<DebProxy>({
    about: 'Pointer documents of the generations.',
    cache: FOR_EVER,
    upstream: { produce: { make: keepPointer } },
  }),
  release: documentClass<DebProxy, Release>({
    about: 'Pointer documents of the generations, as they are read.',
    cache: { ...FOR_EVER, cachedOnly: true },
    parse: async (content, { attributes }) => await readRelease(content, attributes?.['name'] as string),
  }),
  index: artifactClass<DebProxy>({
    about: 'Index files, by their sums.',
    cache: { ...FOR_EVER, negativeFor: 5000 },
  }),
  packages: documentClass<DebProxy, Packages>({
    about: 'Lists of packages, as they are read.',
    cache: { ...FOR_EVER, negativeFor: 5000, cachedOnly: isCached },
    table: {
      maker: new TableMaker(builtProgram(import.meta.url, 'package-worker', () => tableProgram(readPackageRows))),
      revision: 1,
      parameters: () => ({}),
      open: (table) => new Packages(table),
    },
  }),
  package: artifactClass<DebProxy>({
    about: 'Packages and source files that an index lists, by their sums.',
    // A mirror that lacks what its index lists is being changed.
    cache: { ...FOR_EVER, negativeFor: 5000 },
    reply: { filename: ({ attributes }) => attributes?.['filename'] as string },
  }),
  auxiliary: documentClass<DebProxy>({
    about: 'Files that no index lists: readmes, changelogs, installer images.',
    cache: { freshFor: 120_000, onGone: 'keep' },
  }),
};
