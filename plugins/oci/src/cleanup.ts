import type { Cleanup, CleanupContext, StoredVersion } from '@entrepot/core';
import type { OciHosted } from './hosted-routes.js';
import { KEY } from './reference.js';
import { isAttached, StoredImages, type ImageParts, type StoredImage } from './stored-images.js';

/**
 * Blobs stay for so long after they were pushed or asked for: the manifest that needs them may be on its way. Other servers write down
 * within seconds what they were asked for; a push whose layer goes in between is refused, and nothing is lost. Milliseconds.
 */
const BLOB_GRACE = 86_400_000;

/** The parts of manifests that were read, for as long as somebody has the versions of their name. */
const READ = new WeakMap<StoredVersion, Map<string, ImageParts>>();

/**
 * Cleanup of images. A tag is a version; tags have no order but that of their pushes. An image without a tag is none: it goes when it
 * was not used for long, if no index needs it.
 */
export const CLEANUP: Cleanup<OciHosted> = {
  versions: {},
  async *stored(context) {
    const prefix = KEY.name('');
    for await (const { key } of context.list(prefix)) {
      const parts = new Map<string, ImageParts>();
      const stored = await StoredImages.read(key.slice(prefix.length), context, parts);
      const versions = versionsOf(stored, await stored.partsOfIndexes());
      for (const version of versions) READ.set(version, parts);
      if (versions.length > 0) yield versions;
    }
  },
  async retire(versions, context) {
    const [first] = versions as [StoredVersion];
    const stored = await StoredImages.read(first.name, context, READ.get(first) ?? new Map());
    const going = new Departure(stored, await stored.allParts(), versions);
    return { remove: [...going.keys(), ...(await unneededBlobs(going, context))] };
  },
};

/**
 * Lists tags, but for those of signatures, which go with their image, and images that neither a tag, an index nor a subject holds.
 * A signature without its image is no version.
 */
function versionsOf(stored: StoredImages, parts: ReadonlyMap<string, ImageParts>): StoredVersion[] {
  const { name, tags, images } = stored;
  const held = new Set<string>();
  for (const of of parts.values()) for (const { digest } of stored.children(of)) held.add(digest);
  const versions: StoredVersion[] = [];
  for (const [tag, entry] of tags) {
    held.add(entry.digest);
    if (stored.attachedTo(tag) !== undefined) continue;
    versions.push({ entry, name, version: isAttached(tag) ? undefined : tag, servedBy: keysOf(entry.digest) });
  }
  for (const { digest, entries, subject } of images.values()) {
    const [entry] = entries;
    if (entry === undefined || held.has(digest) || (subject !== undefined && stored.image(subject))) continue;
    versions.push({ entry, name, servedBy: keysOf(digest) });
  }
  return versions;

  /** Lists the keys by which clients get an image, and those of its platforms. */
  function keysOf(digest: string, seen = new Set<string>()): string[] {
    const image = stored.image(digest);
    const own = parts.get(digest);
    if (image === undefined || seen.has(digest)) return [];
    seen.add(digest);
    const children = own === undefined ? [] : stored.children(own);
    return [...image.entries.map(({ key }) => key), ...children.flatMap((child) => keysOf(child.digest, seen))];
  }
}

/** The images and tags that go when versions go. */
class Departure {
  readonly #stored: StoredImages;
  readonly #parts: ReadonlyMap<string, ImageParts>;
  readonly #tags = new Set<string>();
  readonly #images = new Set<string>();
  /** The indexes that name an image, by its digest. */
  readonly #indexes = new Map<string, string[]>();
  /** The images that refer to one, by its digest. */
  readonly #referrers = new Map<string, string[]>();
  /** The tags of an image, by its digest, and those that are attached to it. */
  readonly #tagsOf = new Map<string, string[]>();
  readonly #attached = new Map<string, string[]>();

  constructor(stored: StoredImages, parts: ReadonlyMap<string, ImageParts>, versions: readonly StoredVersion[]) {
    this.#stored = stored;
    this.#parts = parts;
    for (const { digest, subject } of stored.images.values()) {
      for (const child of stored.children(parts.get(digest) as ImageParts)) add(this.#indexes, child.digest, digest);
      const of = subject === undefined ? undefined : stored.image(subject);
      if (of !== undefined) add(this.#referrers, of.digest, digest);
    }
    for (const [tag, { digest }] of stored.tags) {
      add(this.#tagsOf, digest, tag);
      const to = stored.attachedTo(tag);
      if (to !== undefined) add(this.#attached, to.digest, tag);
    }
    const prefix = KEY.tag(stored.name, '');
    for (const { entry } of versions) if (entry.key.startsWith(prefix)) this.#tags.add(entry.key.slice(prefix.length));
    for (const { entry } of versions) this.#release(entry.digest);
  }

  /** The name that it is about. */
  get name(): string {
    return this.#stored.name;
  }

  /** Whether any image goes, and not only tags. */
  get hasImages(): boolean {
    return this.#images.size > 0;
  }

  /** Lists the keys of tags, of images and of their places among the referrers of others. */
  *keys(): Generator<string> {
    const { name, tags, images } = this.#stored;
    for (const tag of this.#tags) yield KEY.tag(name, tag);
    for (const digest of this.#images) {
      const { entries, subject } = images.get(digest) as StoredImage;
      for (const { key } of entries) {
        yield key;
        if (subject !== undefined) yield KEY.referrer(name, subject, key.slice(KEY.manifest(name, '').length));
      }
    }
    // Nothing is left of the name.
    if (this.#images.size === images.size && this.#tags.size === tags.size) yield KEY.name(name);
  }

  /** Finds the digests of the blobs that images which stay need. */
  neededBlobs(): ReadonlySet<string> {
    const needed = new Set<string>();
    for (const digest of this.#stored.images.keys()) {
      if (this.#images.has(digest)) continue;
      for (const blob of this.#parts.get(digest)?.blobs ?? []) needed.add(blob);
    }
    return needed;
  }

  /** Lets an image go where nothing that stays holds it, and then whatever only it held. */
  #release(first: string): void {
    const open = [first];
    for (let digest = open.pop(); digest !== undefined; digest = open.pop()) {
      if (this.#images.has(digest) || !this.#isFree(digest)) continue;
      this.#images.add(digest);
      for (const { digest: child } of this.#stored.children(this.#parts.get(digest) as ImageParts)) open.push(child);
      open.push(...(this.#referrers.get(digest) ?? []));
      for (const tag of this.#attached.get(digest) ?? []) {
        this.#tags.add(tag);
        open.push(this.#stored.tags.get(tag)?.digest ?? '');
      }
    }
  }

  #isFree(digest: string): boolean {
    const image = this.#stored.images.get(digest);
    if (image === undefined) return false;
    const subject = image.subject === undefined ? undefined : this.#stored.image(image.subject);
    return (
      (this.#tagsOf.get(digest) ?? []).every((tag) => this.#tags.has(tag)) &&
      (this.#indexes.get(digest) ?? []).every((index) => this.#images.has(index)) &&
      (subject === undefined || this.#images.has(subject.digest))
    );
  }
}

/** Finds the blobs of a name that no image needs, also those of images that clients have deleted. */
async function unneededBlobs(going: Departure, { list, usedWithin }: CleanupContext): Promise<readonly string[]> {
  if (!going.hasImages) return [];
  const needed = going.neededBlobs();
  const prefix = KEY.blob(going.name, '');
  const unneeded = [];
  for await (const blob of list(prefix)) if (!needed.has(blob.key.slice(prefix.length))) unneeded.push(blob);
  const used = await usedWithin(unneeded, BLOB_GRACE);
  return unneeded.map(({ key }) => key).filter((key) => !used.has(key));
}

function add(map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
