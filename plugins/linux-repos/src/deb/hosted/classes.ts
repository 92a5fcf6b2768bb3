import { artifactClass, changeClass, EntrepotError, listingClass, type Entry, type Resource } from '@entrepot/core';
import { broken } from './ar-reader.js';
import { readDeb } from './deb-file.js';
import { attributesOf, isPointer, type DebHosted } from './hosted.js';
import { architectureOf, fileName, KEY } from './keys.js';
import { stanzaOf } from './package-list.js';
import { printRelease } from './release-file.js';
import { publishSuite } from './suite-change.js';
import { stateOf } from './suite-state.js';

/** Grants are bound to suites. */
const policy = { accessName: (resource: Resource) => attributesOf(resource).suite };
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  'Release.gpg': 'application/pgp-signature',
  'Packages.gz': 'application/gzip',
};

/** Changes of one suite wait for each other: the next one begins with what the last one made. */
const exclusive = (resource: Resource): string => attributesOf(resource).suite;

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
    entries: (resource) => ({ prefix: KEY.state(attributesOf(resource).suite), limit: 1 }),
    join(resource, [entry]) {
      return isPointer(attributesOf(resource).file) ? undefined : [listIn(entry as Entry, resource)];
    },
    // Made when it is asked for, once for a state: with the key and the fields that are configured now.
    async render(resource, entries, { content, rightUntil }, { clock, name, options, signing }) {
      const [entry] = (await Array.fromAsync(entries)) as [Entry];
      const { suite, file } = attributesOf(resource);
      if (!isPointer(file)) return content({ ...entry, ...listIn(entry, resource) }).stream();
      const { origin, label = name, validFor } = options;
      const now = clock.now();
      const { text, until } = printRelease(suite, stateOf(entry), { origin, label, validFor }, now);
      if (until !== undefined) rightUntil(until);
      if (file === 'Release') return [text];
      if (signing === undefined) throw new EntrepotError('not-found', `${suite} is not signed`);
      return [await (file === 'InRelease' ? signing.cleartext(text, now) : signing.detached(text, now))];
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

/** Finds a list by its name in the state of a suite. @throws EntrepotError `not-found` */
function listIn(entry: Entry, resource: Resource): Pick<Entry, 'digest' | 'size'> {
  const { suite, file } = attributesOf(resource);
  const listed = stateOf(entry).files[file];
  if (listed === undefined) throw new EntrepotError('not-found', `${suite} has no ${file}`);
  return { digest: `sha256:${listed.sha256}`, size: listed.size };
}
