import { artifactClass, changeClass, EntrepotError, listingClass, type Entry, type Resource } from '@entrepot/core';
import { sourceOf, versionOf } from '../source.js';
import { checkAddition, LARGEST_ADDITION, type AdditionName } from './additions.js';
import { broken } from './header.js';
import { attributesOf, REPOMD, type RpmHosted } from './hosted.js';
import { fileName, KEY, pathOf } from './keys.js';
import { printRepomd } from './repomd-file.js';
import { readRpm, type RpmFile } from './rpm-file.js';
import { publishTree } from './tree-change.js';
import { stateOf } from './tree-state.js';

const MEDIA_TYPE = 'application/x-rpm';

/** Grants are bound to trees. The repository itself as a tree is for those whose grants are for all of it. */
const policy = { accessName: (resource: Resource) => attributesOf(resource).tree || undefined };

/** Changes of one tree wait for each other: the next one begins with what the last one made. */
const exclusive = (resource: Resource): string => `${attributesOf(resource).tree}//`;

/** The classes of a hosted repository. */
export const HOSTED_CLASSES = {
  treeDocument: listingClass<RpmHosted>({
    about: 'Documents of trees of a hosted repository: repomd.xml, and its signature.',
    reply: {
      mediaType: (resource) =>
        attributesOf(resource).file === REPOMD ? 'application/xml' : 'application/pgp-signature',
    },
    policy,
    entries: (resource) => ({ prefix: KEY.state(attributesOf(resource).tree), limit: 1 }),
    // Made when it is asked for, once for a state: with the key that is configured now.
    async render(resource, entries, _context, { clock, signing }) {
      const [entry] = (await Array.fromAsync(entries)) as [Entry];
      const { tree, file } = attributesOf(resource);
      const text = printRepomd(stateOf(entry));
      if (file === REPOMD) return [text];
      if (signing === undefined) throw new EntrepotError('not-found', `${tree || 'The repository'} is not signed`);
      return [await signing.detached(text, clock.now())];
    },
  }),
  list: artifactClass<RpmHosted>({
    about: 'Lists of packages and other metadata of a hosted repository, by their sums.',
    cache: { expireAfter: Infinity },
    policy,
  }),
  addition: artifactClass<RpmHosted>({
    about: 'Groups, advisories and modules of a hosted repository, as they were put.',
    cache: { expireAfter: Infinity },
    policy,
  }),
  rpm: artifactClass<RpmHosted>({
    about: 'Packages of a hosted repository.',
    cache: { expireAfter: Infinity },
    reply: { mediaType: MEDIA_TYPE },
    policy,
  }),
  upload: changeClass<RpmHosted>({
    about: 'Uploads of packages.',
    action: 'put',
    policy,
    bounds: { of: 'rpm', maxBytes: (_resource, { options }) => options.maxUploadSize, exclusive },
    async make(resource, content, context, self) {
      const { tree, file } = attributesOf(resource);
      const { key } = resource;
      const time = Math.floor(self.clock.now() / 1000);
      const rpm = await readRpm(content, time);
      const own = fileName(rpm.nevra);
      if (own !== file) throw broken(`it is ${own} by its header, and was sent as ${file}`);
      const kept = await context.find(key);
      if (kept?.digest === `sha256:${rpm.sha256}`) return { reply: { status: 200 } };
      if (kept !== undefined)
        throw new EntrepotError(
          'conflict',
          `${pathOf({ tree, file })} exists with other bytes: give the package a new version or release`,
        );
      const packages = [{ file, elements: rpm.elements }];
      const { replace, remove, expect } = await publishTree(tree, { packages }, context, self);
      const { version, coordinates } = namesOf(rpm);
      const attributes = { version, time };
      return {
        replace: [...replace, { key, mediaType: MEDIA_TYPE, coordinates, attributes }],
        remove,
        expect: [...expect, { key }],
        reply: { status: 201 },
      };
    },
  }),
  delete: changeClass<RpmHosted>({
    about: 'Deletions of packages.',
    action: 'delete',
    policy,
    bounds: { of: 'rpm', maxBytes: 0, exclusive },
    async make(resource, _content, context, self) {
      const { tree, file } = attributesOf(resource);
      const { key } = resource;
      const kept = await context.find(key);
      if (kept === undefined) throw new EntrepotError('not-found', `${pathOf({ tree, file })} does not exist`);
      const { replace, remove, expect } = await publishTree(tree, { packages: [{ file }] }, context, self);
      return { replace, remove: [...remove, key], expect: [...expect, { key, digest: kept.digest }] };
    },
  }),
  putAddition: changeClass<RpmHosted>({
    about: 'Uploads of groups, advisories and modules.',
    action: 'put',
    policy,
    bounds: { of: 'addition', maxBytes: LARGEST_ADDITION, exclusive },
    async make({ key, attributes }, content, context, self) {
      const { tree, file } = attributes as { tree: string; file: AdditionName };
      await checkAddition(file, content);
      const bytes = Buffer.from(await content.bytes(LARGEST_ADDITION));
      const { replace, remove, expect } = await publishTree(tree, { addition: { name: file, bytes } }, context, self);
      const mediaType = file.endsWith('.xml') ? 'application/xml' : 'application/yaml';
      const kept = await context.find(key);
      return {
        replace: [...replace, { key, mediaType }],
        remove,
        expect: [...expect, { key, digest: kept?.digest }],
        reply: { status: kept === undefined ? 201 : 200 },
      };
    },
  }),
  deleteAddition: changeClass<RpmHosted>({
    about: 'Deletions of groups, advisories and modules.',
    action: 'delete',
    policy,
    bounds: { of: 'addition', maxBytes: 0, exclusive },
    async make({ key, attributes }, _content, context, self) {
      const { tree, file } = attributes as { tree: string; file: AdditionName };
      const kept = await context.find(key);
      if (kept === undefined) throw new EntrepotError('not-found', `${tree || 'The repository'} has no ${file}`);
      const { replace, remove, expect } = await publishTree(tree, { addition: { name: file } }, context, self);
      return { replace, remove: [...remove, key], expect: [...expect, { key, digest: kept.digest }] };
    },
  }),
};

/** The version of a package, and its coordinates: those of its source, as advisories have them. */
function namesOf({ nevra: { name, version, release }, epoch, sourceRpm }: RpmFile) {
  const own = versionOf(epoch, version, release) as string;
  const { source, sourceVersion } = sourceOf(sourceRpm, epoch) ?? { source: name, sourceVersion: own };
  return { version: own, coordinates: { ecosystem: 'rpm', name: source, version: sourceVersion } };
}
