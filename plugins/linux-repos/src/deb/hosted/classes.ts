import {
  artifactClass,
  changeClass,
  EntrepotError,
  listingClass,
  type Entry,
  type JoinedPiece,
  type Resource,
} from '@entrepot/core';
import type { SigningKey } from '../../shared/hosted/signing-key.js';
import { LARGEST_RELEASE } from '../release.js';
import { broken } from './ar-reader.js';
import { readDeb } from './deb-file.js';
import { attributesOf, type DebHosted } from './hosted.js';
import { fileName, KEY } from './keys.js';
import { stanzaOf } from './package-list.js';
import { publishSuite } from './suite-change.js';
import { stateOf } from './suite-state.js';

/** Grants are bound to suites. */
const policy = { accessName: (resource: Resource) => attributesOf(resource).suite };
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  'Release.gpg': 'application/pgp-signature',
  'Packages.gz': 'application/gzip',
};

/** The documents that are the Release file with a signature, and the signature alone. */
const SIGNED: Readonly<Record<string, (key: SigningKey, release: string, at: number) => Promise<string>>> = {
  InRelease: (key, release, at) => key.cleartext(release, at),
  'Release.gpg': (key, release, at) => key.detached(release, at),
};

/** Changes of one suite wait for each other: the next one begins with what the last one made. */
const exclusive = (resource: Resource): string => attributesOf(resource).suite;

/** The architecture of a package, as its entry has it. */
export function architectureOf(file: string): string {
  return file.slice(file.lastIndexOf('_') + 1, -'.deb'.length);
}

/** The classes of a hosted repository. */
export const HOSTED_CLASSES = {
  // Without a date: apt asks by the date alone, and two states may be of the same second.
  suiteDocument: listingClass<DebHosted>({
    about: 'Documents of suites of a hosted repository: Release files, and lists of packages by their names.',
    reply: {
      mediaType(resource) {
        const { file } = attributesOf(resource);
        return MEDIA_TYPES[file.slice(file.lastIndexOf('/') + 1)] ?? 'text/plain; charset=utf-8';
      },
    },
    policy,
    entries: (resource) => ({ prefix: KEY.documents(attributesOf(resource).suite) }),
    join(resource, entries) {
      const isSigned = SIGNED[attributesOf(resource).file] !== undefined;
      return isSigned ? undefined : [pieceOf(resource, entries)];
    },
    // Signed when it is asked for, once for a state: with the key that is configured now.
    async render(resource, entries, { content }, { clock, signing }) {
      const all = await Array.fromAsync(entries);
      const { suite, file } = attributesOf(resource);
      const sign = SIGNED[file];
      if (sign === undefined) return content(pieceOf(resource, all) as Entry).stream();
      if (signing === undefined) throw new EntrepotError('not-found', `${suite} is not signed`);
      const release = { ...resource, attributes: { suite, file: 'Release' } };
      const text = await content(pieceOf(release, all) as Entry).bytes(LARGEST_RELEASE);
      return [await sign(signing, Buffer.from(text).toString(), clock.now())];
    },
  }),
  list: artifactClass<DebHosted>({
    about: 'Lists of packages of a hosted repository, by their sums.',
    cache: { expireAfter: Infinity },
    policy,
  }),
  deb: artifactClass<DebHosted>({
    about: 'Packages of a hosted repository.',
    cache: { expireAfter: Infinity },
    reply: { mediaType: 'application/vnd.debian.binary-package' },
    policy,
  }),
  upload: changeClass<DebHosted>({
    about: 'Uploads of packages.',
    action: 'put',
    policy,
    bounds: { of: 'deb', maxBytes: (_resource, { options }) => options.maxUploadSize, exclusive },
    async make(resource, content, context, self) {
      const { suite, component, file } = attributesOf(resource);
      const { key } = resource;
      const deb = await readDeb(content);
      const { name, version, architecture, source, sourceVersion } = deb.control;
      const own = fileName(name, version, architecture);
      if (own !== file) throw broken(`it is ${own} by its control file, and was sent as ${file}`);
      const kept = await context.find(key);
      if (kept?.digest === `sha256:${deb.sha256}`) return { reply: { status: 200 } };
      if (kept !== undefined)
        throw new EntrepotError('conflict', `${key} exists with other bytes: give the package a new version`);
      const edit = { component, architecture, path: key, stanza: stanzaOf(deb, key) };
      const { replace, remove, expect } = await publishSuite(suite, [edit], context, self);
      const coordinates = { ecosystem: 'deb', name: source, version: sourceVersion };
      const attributes = { version };
      const mediaType = 'application/vnd.debian.binary-package';
      return {
        replace: [...replace, { key, mediaType, coordinates, attributes }],
        remove,
        expect: [...expect, { key }],
        reply: { status: 201 },
      };
    },
  }),
  delete: changeClass<DebHosted>({
    about: 'Deletions of packages.',
    action: 'delete',
    policy,
    bounds: { of: 'deb', maxBytes: 0, exclusive },
    async make(resource, _content, context, self) {
      const { suite, component, file } = attributesOf(resource);
      const { key } = resource;
      const kept = await context.find(key);
      if (kept === undefined) throw new EntrepotError('not-found', `${key} does not exist`);
      const edit = { component, architecture: architectureOf(file), path: key };
      const { replace, remove, expect } = await publishSuite(suite, [edit], context, self);
      return { replace, remove: [...remove, key], expect: [...expect, { key, digest: kept.digest }] };
    },
  }),
};

/** Finds the bytes of a document among those of one state. @throws EntrepotError `not-found` */
function pieceOf(resource: Resource, entries: readonly Entry[]): Exclude<JoinedPiece, Uint8Array> {
  const { suite, file } = attributesOf(resource);
  const document = entries.find(({ key }) => key === KEY.document(suite, file));
  if (document !== undefined) return document;
  const state = entries.find(({ key }) => key === KEY.document(suite, 'state'));
  const listed = state === undefined ? undefined : stateOf(state).files[file];
  if (listed === undefined) throw new EntrepotError('not-found', `${suite} has no ${file}`);
  return { digest: `sha256:${listed.sha256}`, size: listed.size };
}
