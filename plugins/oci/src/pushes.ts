import { createHash } from 'node:crypto';
import {
  changeClass,
  EntrepotError,
  type ChangeClass,
  type Entry,
  type Expectation,
  type HostedChange,
  type HostedContext,
  type ReceivedEntry,
  type Resource,
} from '@entrepot/core';
import { badRequest } from './errors.js';
import { attributesOf, nameOf, policy, type OciHosted } from './hosted-routes.js';
import { invalid, parseManifest, type Manifest } from './manifest.js';
import { BLOB_TYPE, DIGEST_HEADER, isForeign, isMediaType } from './media-types.js';
import { pathOf } from './paging.js';
import { KEY, repositoryIn, requireDigest } from './reference.js';

/** Images have some hundred layers at the most; each costs a look. */
const MAX_BLOBS = 2_000;

type Make = NonNullable<ChangeClass<OciHosted>['make']>;

/** The changes of a hosted registry. */
export const CHANGE_CLASSES = {
  /** Puts a manifest under its digest and its tags, and into the list of referrers of its subject. */
  'manifest-push': changeClass<OciHosted>({
    about: 'Pushes of manifests and indexes.',
    action: 'put',
    policy,
    bounds: { of: 'manifest', maxBytes: (_, { options }) => options.maxManifestSize, exclusive: nameOf },
    async make(resource, content, context, { options }) {
      const { name, tags = [], isTagged, digest: asked, mediaType: pushedAs } = attributesOf(resource);
      const bytes = await content.bytes(options.maxManifestSize);
      const manifest = parseManifest(bytes);
      const mediaType = requireMediaType(pushedAs, manifest);
      const blobs = options.sparse ? [] : await requireBlobs(name, manifest, context);
      const subject = manifest.subject?.digest;
      if (subject !== undefined) requireDigest(subject);
      const canonical = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      const digest = asked ?? canonical;
      const names = [...new Set([canonical, digest])];
      const taken = await Promise.all(tags.map((tag) => context.find(KEY.tag(name, tag))));
      const moved = tags.find(
        (tag, index) => taken[index] !== undefined && taken[index].digest !== canonical && options.immutableTags?.(tag),
      );
      if (moved !== undefined)
        throw new EntrepotError('conflict', `The tag ${moved} is never moved in this repository`, { code: 'DENIED' });

      const entry = { mediaType, headers: digestHeaders(digest) };
      const named = (version: string) => ({ ecosystem: 'oci', name, version });
      const replace: ReceivedEntry[] = [
        ...names.map((one) => ({
          key: KEY.manifest(name, one),
          mediaType,
          headers: digestHeaders(one),
          coordinates: named(digest),
          attributes: { subject, names },
        })),
        ...tags.map((tag) => ({ ...entry, key: KEY.tag(name, tag), coordinates: named(tag) })),
        { ...entry, key: KEY.name(name) },
      ];
      if (subject !== undefined) {
        const { artifactType, annotations } = manifest;
        replace.push({
          ...entry,
          key: KEY.referrer(name, subject, digest),
          coordinates: named(digest),
          // The descriptor in the list of the subject.
          attributes: { mediaType, digest, size: bytes.length, artifactType, annotations },
        });
      }
      return {
        replace,
        // A blob that is deleted meanwhile must not leave an image without it.
        expect: [...blobs, ...tags.map((tag, index) => ({ key: KEY.tag(name, tag), digest: taken[index]?.digest }))],
        reply: {
          status: 201,
          headers: {
            Location: `${pathOf(context.baseUrl)}/${name}/manifests/${digest}`,
            [DIGEST_HEADER]: digest,
            ...(subject !== undefined && { 'OCI-Subject': subject }),
            ...(isTagged === true && { 'OCI-Tag': tags.join(', ') }),
          },
        },
      };
    },
  }),
  'blob-push': changeClass<OciHosted>({
    about: 'Pushes of blobs.',
    action: 'put',
    policy,
    bounds: { of: 'blob', maxBytes: (_, { options }) => options.maxBlobSize },
    make: async (resource, _, context) => blobChange(resource, context),
  }),
  /**
   * Puts the bytes that another name has under this one. Clients say it as they say it in paths: behind the name of the repository,
   * where that is at a mount that repositories share. A name that the caller may not read has none, so far as they are told.
   */
  'blob-mount': changeClass<OciHosted>({
    about: 'Mounts of blobs from another name.',
    action: 'link',
    policy,
    bounds: { of: 'blob', maxBytes: 0 },
    async make(resource, _, context) {
      const { from = '', digest = '' } = attributesOf(resource);
      const repository = repositoryIn(context.baseUrl);
      const own =
        repository !== undefined && from.startsWith(`${repository}/`) ? from.slice(repository.length + 1) : from;
      for (const name of new Set([own, from])) {
        if (!context.caller.may({ right: 'read', name })) continue;
        const source = await context.find(KEY.blob(name, digest));
        if (source !== undefined) return blobChange(resource, context, source);
      }
      throw new EntrepotError('not-found', `${from} has no blob ${digest}`);
    },
  }),
  /** Removes a manifest with its tags, its other name, and its place in the list of what refers to its subject. */
  'manifest-deletion': deletionOf('manifest', async (resource, _, context) => {
    const { name } = attributesOf(resource);
    const manifest = await requireEntry(resource.key, context);
    const { names = [], subject } = (manifest.attributes ?? {}) as { names?: string[]; subject?: string };
    const keys = names.flatMap((one) => [
      KEY.manifest(name, one),
      ...(subject === undefined ? [] : [KEY.referrer(name, subject, one)]),
    ]);
    for await (const { key, digest } of context.list(KEY.tag(name, ''))) if (digest === manifest.digest) keys.push(key);
    return removal(manifest, keys);
  }),
  'tag-deletion': deletionOf('tag', removeEntry),
  'blob-deletion': deletionOf('blob', removeEntry),
};

function deletionOf(of: string, make: Make): ChangeClass<OciHosted> {
  return changeClass<OciHosted>({
    about: `Deletions of a ${of}.`,
    action: 'delete',
    policy,
    bounds: { of, maxBytes: 0, exclusive: nameOf },
    make,
  });
}

async function removeEntry(...[{ key }, , context]: Parameters<Make>): Promise<HostedChange> {
  return removal(await requireEntry(key, context), [key]);
}

function removal({ key, digest }: Entry, remove: readonly string[]): HostedChange {
  return { remove, expect: [{ key, digest }], reply: { status: 202 } };
}

async function requireEntry(key: string, context: HostedContext): Promise<Entry> {
  const entry = await context.find(key);
  if (entry === undefined) throw new EntrepotError('not-found', `There is no ${key}`);
  return entry;
}

function blobChange(resource: Resource, { baseUrl }: Pick<HostedContext, 'baseUrl'>, sameAs?: Entry): HostedChange {
  const { name, digest = '' } = attributesOf(resource);
  const headers = { Location: `${pathOf(baseUrl)}/${name}/blobs/${digest}`, [DIGEST_HEADER]: digest };
  return {
    replace: [{ key: resource.key, mediaType: BLOB_TYPE, headers: digestHeaders(digest), sameAs }],
    reply: { status: 201, headers },
  };
}

/** Of bytes that are named by another algorithm than ours: kept with them, since core only knows its own. */
function digestHeaders(digest: string): Readonly<Record<string, string>> | undefined {
  return digest.startsWith('sha256:') ? undefined : { [DIGEST_HEADER.toLowerCase()]: digest };
}

/** The type of a manifest is what it was pushed as; where it says one of its own, both agree. */
function requireMediaType(pushedAs: string | undefined, { mediaType, manifests }: Manifest): string {
  const bare = pushedAs?.split(';', 1)[0]?.trim();
  const type = bare || mediaType;
  if (type === undefined) throw invalid('expected a Content-Type, or a mediaType in the manifest');
  for (const said of [type, mediaType])
    if (said && !isMediaType(said)) throw invalid(`${JSON.stringify(said)} is no media type`);
  if (mediaType === undefined || mediaType === type) return type;
  const of = manifests.length > 0 ? ' (an index)' : '';
  throw invalid(`its mediaType is ${mediaType}, but it was pushed as ${type}${of}`);
}

/** Refuses an image without its layers, which no client could pull. An index may name platforms that are elsewhere. */
async function requireBlobs(
  name: string,
  { blobs }: Manifest,
  context: HostedContext,
): Promise<readonly Expectation[]> {
  const needed = blobs.filter(({ mediaType }) => !isForeign(mediaType));
  // Each once: 4 MiB have room for the same layer ten thousands of times.
  const digests = new Set(needed.map((blob) => blob.digest));
  if (digests.size > MAX_BLOBS) throw invalid(`it names ${digests.size} blobs; expected ${MAX_BLOBS} at the most`);
  const found: Expectation[] = [];
  for (const digest of digests) {
    requireDigest(digest);
    const key = KEY.blob(name, digest);
    const entry = await context.find(key);
    if (entry === undefined)
      throw badRequest('MANIFEST_BLOB_UNKNOWN', `The manifest needs the blob ${digest}, which ${name} does not have`);
    found.push({ key, digest: entry.digest });
  }
  return found;
}
