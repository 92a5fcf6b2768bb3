import { EntrepotError, type CleanupContext, type Entry } from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';
import { parseManifest } from './manifest.js';
import { INDEX_TYPES } from './media-types.js';
import { KEY } from './reference.js';

/** A manifest or an index that is stored under a name. */
export interface StoredImage {
  /** The SHA-256 that it is known by, here and in `named`. */
  readonly digest: string;
  /** Its entries: one, and another where it was pushed by another digest. */
  readonly entries: readonly Entry[];
  /** The digest that it refers to: it is a signature, an attestation or the like. */
  readonly subject: string | undefined;
}

/** The parts that a manifest names, by their digests. */
export interface ImageParts {
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
}

const NO_PARTS: ImageParts = { manifests: [], blobs: [] };

/** The tags of signers that know no referrers: `sha256-<digest>`, and `sha256-<digest>.sig`. */
const ATTACHED = /^sha256-([0-9a-f]{64})(?:\.[A-Za-z0-9._-]+)?$/;

/** Whether a tag is attached to an image, which need not be there. */
export function isAttached(tag: string): boolean {
  return ATTACHED.test(tag);
}

/** The tags and manifests that are stored under one name, and the parts that these name. */
export class StoredImages {
  readonly name: string;
  /** Entries of tags, by tag. */
  readonly tags = new Map<string, Entry>();
  /** By digest. */
  readonly images = new Map<string, StoredImage>();
  /** The digest of an image by any of its digests. */
  readonly #canonical = new Map<string, string>();
  readonly #parts: Map<string, ImageParts>;
  readonly #context: CleanupContext;

  private constructor(name: string, context: CleanupContext, parts: Map<string, ImageParts>) {
    this.name = name;
    this.#context = context;
    this.#parts = parts;
  }

  /**
   * Reads what is stored under `name`, without the parts.
   * @param parts of manifests that were read before, by digest; those that are read are added
   */
  static async read(name: string, context: CleanupContext, parts: Map<string, ImageParts>): Promise<StoredImages> {
    const stored = new StoredImages(name, context, parts);
    const tagPrefix = KEY.tag(name, '');
    for await (const entry of context.list(tagPrefix)) stored.tags.set(entry.key.slice(tagPrefix.length), entry);
    const prefix = KEY.manifest(name, '');
    for await (const entry of context.list(prefix)) {
      const { digest, attributes } = entry;
      const entries = [...(stored.images.get(digest)?.entries ?? []), entry];
      stored.images.set(digest, { digest, entries, subject: attributes?.['subject'] as string | undefined });
      stored.#canonical.set(entry.key.slice(prefix.length), digest);
    }
    return stored;
  }

  /** The image of a digest. `undefined`: it is not stored. */
  image(digest: string): StoredImage | undefined {
    return this.images.get(this.#canonical.get(digest) ?? '');
  }

  /** The image that a tag is attached to, by the digest in it. `undefined`: it is a tag like others. */
  attachedTo(tag: string): StoredImage | undefined {
    const [, hex] = ATTACHED.exec(tag) ?? [];
    return hex === undefined ? undefined : this.image(`sha256:${hex}`);
  }

  /** The images that an index names, of those that are stored. */
  children(parts: ImageParts): readonly StoredImage[] {
    return parts.manifests.flatMap((digest) => this.image(digest) ?? []);
  }

  /**
   * Reads the parts of all images, by digest.
   * @throws EntrepotError `storage` when one of them is lost: then nobody knows what it needs
   */
  async allParts(): Promise<ReadonlyMap<string, ImageParts>> {
    const turns = new WorkTurns();
    for (const image of this.images.values()) {
      await this.#partsOf(image);
      await turns.pause();
    }
    return this.#parts;
  }

  /** Reads the parts of indexes, by digest. A lost one has none. */
  async partsOfIndexes(): Promise<ReadonlyMap<string, ImageParts>> {
    const turns = new WorkTurns();
    const found = new Map<string, ImageParts>();
    for (const image of this.images.values()) {
      if (!image.entries.some(({ mediaType }) => INDEX_TYPES.includes(mediaType))) continue;
      found.set(image.digest, await this.#partsOf(image).catch(unlessLost));
      await turns.pause();
    }
    return found;
  }

  async #partsOf({ digest, entries }: StoredImage): Promise<ImageParts> {
    const known = this.#parts.get(digest);
    if (known !== undefined) return known;
    const [entry] = entries as readonly [Entry];
    const { manifests, blobs } = parseManifest(await this.#context.content(entry).bytes(entry.size));
    const parts = { manifests: manifests.map((one) => one.digest), blobs: blobs.map((one) => one.digest) };
    this.#parts.set(digest, parts);
    return parts;
  }
}

function unlessLost(error: unknown): ImageParts {
  if (error instanceof EntrepotError && (error as EntrepotError).kind === 'storage') return NO_PARTS;
  throw error;
}
