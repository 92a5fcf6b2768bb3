import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { BlobInfo, BlobSource, BlobStore, ByteRange, SignedUrlOptions } from '../../api/blob-store.js';
import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { Logger } from '../../api/logger.js';
import { Lru } from '../../formats/lru.js';
import type { BlobHolds } from './blob-holds.js';
import { blobMissing } from './blob-missing.js';
import { type BlobCondition, inspectBlob, takeOut } from './blob-verification.js';
import { contentOf } from './content.js';

/** Blobs up to this size are kept in memory; larger ones stream from the store. Bytes. */
export const SMALL_BLOB = 512 * 1024;

export interface BlobCacheOptions {
  /** Whether large blobs, too, are held against their digest before they are served for the first time. Default: no. */
  readonly verifyFirstRead?: boolean | undefined;
  /** Where clients are sent to the store itself for large blobs: from which size on (bytes), and for how long a URL serves (milliseconds). */
  readonly redirect?: { readonly minSize: number; readonly expires: number } | undefined;
}

/** The blob store behind a bounded memory for small blobs: a hit on them opens no file. */
export class BlobCache {
  readonly #store: BlobStore;
  readonly #holds: BlobHolds;
  readonly #memory: Lru<Buffer>;
  /** Blobs of which the size, or all bytes, were found right since the start. */
  readonly #confirmed = new Lru<'size' | 'bytes'>(100_000);

  readonly #logger: Logger;
  readonly #options: BlobCacheOptions;

  constructor(store: BlobStore, holds: BlobHolds, memory: Lru<Buffer>, logger: Logger, options: BlobCacheOptions = {}) {
    this.#store = store;
    this.#holds = holds;
    this.#memory = memory;
    this.#logger = logger;
    this.#options = options;
  }

  get store(): BlobStore {
    return this.#store;
  }

  /**
   * Stores a blob, as the store does, for an entry of `repository`. What is known of one that was there may be of damaged
   * bytes.
   */
  async put(repository: string, { digest, size }: BlobInfo, source: BlobSource): Promise<void> {
    await this.#holds.putting(repository, { digest, size }, () => this.#store.put(digest, size, source));
    this.forget(digest);
  }

  /**
   * Stores a blob again that entries of `repository` point at already.
   * @param source absent: it is taken from memory
   * @returns whether there were bytes to store
   */
  async restore(repository: string, { digest, size }: BlobInfo, source = this.#ofMemory(digest)): Promise<boolean> {
    if (source === undefined) return false;
    await this.#holds.restoring(repository, { digest, size }, () => this.#store.put(digest, size, source));
    this.#confirmed.delete(digest);
    return true;
  }

  #ofMemory(digest: Digest): BlobSource | undefined {
    const bytes = this.peek(digest);
    return bytes && { open: () => Readable.from([bytes], { objectMode: false }), bytes };
  }

  /** A small blob that is in memory. */
  peek(digest: Digest): Buffer | undefined {
    return this.#memory.get(digest);
  }

  /** Keeps the bytes of a blob that was just put in memory, if it is a small one. */
  remember(digest: Digest, bytes: Buffer): void {
    if (bytes.length <= SMALL_BLOB) this.#memory.set(digest, bytes);
  }

  /** The whole small blob, or `undefined` when the store does not have it with this size. */
  async read(digest: Digest, size: number): Promise<Buffer | undefined> {
    const known = this.peek(digest);
    if (known !== undefined) return known;
    const stream = await this.#store.open(digest, { size });
    if (stream === undefined) return undefined;
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of stream as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length > size) break;
    }
    if (length !== size) return undefined;
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    // Once for each time that it comes into memory, never on a hit.
    if (digestOf(createHash('sha256').update(bytes)) !== digest) {
      await this.#setAside(digest);
      return undefined;
    }
    this.#memory.set(digest, bytes);
    return bytes;
  }

  /** Whether the store has the blob with this size. Asked of the store once. */
  async confirm(digest: Digest, size: number): Promise<boolean> {
    if (this.#confirmed.get(digest) !== undefined) return true;
    const stored = await this.#store.stat(digest);
    if (stored?.size !== size) return false;
    const { verifyFirstRead = false } = this.#options;
    if (verifyFirstRead && (await this.verify({ digest, size })) !== 'intact') return false;
    this.#confirmed.set(digest, verifyFirstRead ? 'bytes' : 'size');
    return true;
  }

  /**
   * Whether the store has these very bytes. They are read for it once: of a body that many blobs make up, it is to be known
   * before the first byte goes out.
   */
  async confirmBytes(digest: Digest, size: number): Promise<boolean> {
    if (this.peek(digest) !== undefined || this.#confirmed.get(digest) === 'bytes') return true;
    const isRight =
      size <= SMALL_BLOB
        ? (await this.read(digest, size)) !== undefined
        : (await this.verify({ digest, size })) === 'intact';
    if (isRight) this.#confirmed.set(digest, 'bytes');
    return isRight;
  }

  /**
   * Verifies a blob by its digest. A damaged one is set aside: it is missing from then on, and so fetched or uploaded
   * again.
   */
  async verify(blob: BlobInfo): Promise<BlobCondition> {
    const condition = await inspectBlob(this.#store, blob);
    if (condition === 'damaged') await this.#setAside(blob.digest);
    return condition;
  }

  async #setAside(digest: Digest): Promise<void> {
    this.forget(digest);
    if (!(await takeOut(this.#store, digest))) return;
    this.#logger.error({ digest }, 'a blob is damaged; it is set aside, and fetched again when it is asked for');
    await this.#holds.catalogue.damaged(digest).catch((error: unknown) => {
      this.#logger.warn({ error, digest }, 'the damage of a blob could not be noted');
    });
  }

  /**
   * A stream of the blob or a part of it, or `undefined` when the store does not have it with this size. The first one of a whole
   * blob verifies it: where it is damaged, the stream fails before its end.
   */
  async open(digest: Digest, size: number, range?: ByteRange): Promise<Readable | undefined> {
    if (!(await this.confirm(digest, size))) return undefined;
    const stream = await this.#store.open(digest, { range, size });
    if (stream === undefined || range !== undefined || this.#confirmed.get(digest) === 'bytes') return stream;
    return Readable.from(this.#verified(digest, stream), { objectMode: false });
  }

  /** Whether clients may be sent to the store for a blob of this size. */
  mayRedirect(size: number): boolean {
    const { redirect } = this.#options;
    return redirect !== undefined && size >= redirect.minSize && size > SMALL_BLOB;
  }

  /** A URL of the store that serves a blob by itself. `undefined`: it is to be served from here. */
  async signedUrl(
    digest: Digest,
    reply: Pick<SignedUrlOptions, 'mediaType' | 'disposition'>,
  ): Promise<URL | undefined> {
    try {
      return await this.#store.signedUrl?.(digest, { ...reply, ttl: this.#options.redirect?.expires ?? 0 });
    } catch (error) {
      // Credentials may be out of reach; who serves the bytes says so.
      this.#logger.warn({ error, digest }, 'no URL could be signed for a blob; it is served from here');
      return undefined;
    }
  }

  /** Passes a blob on and hashes it meanwhile. A piece is withheld until the next one is read, the last one until all is right. */
  async *#verified(digest: Digest, stream: Readable): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    let held: Buffer | undefined;
    for await (const piece of stream as AsyncIterable<Buffer>) {
      hash.update(piece);
      if (held !== undefined) yield held;
      held = piece;
    }
    if (digestOf(hash) !== digest) {
      await this.#setAside(digest);
      throw new EntrepotError('storage', `The blob ${digest} is damaged`, { code: 'BLOB_DAMAGED' });
    }
    this.#confirmed.set(digest, 'bytes');
    if (held !== undefined) yield held;
  }

  /** The bytes of an entry. */
  content({ key, digest, size, mediaType }: Entry): Content {
    return contentOf(size, mediaType, () => this.bytes(digest, size, `of ${key}`));
  }

  /**
   * The bytes of a blob. A small one comes from memory, or is kept there from now on.
   * @param name of the blob, for the error when it is missing
   */
  async *bytes(digest: Digest, size: number, name: string): AsyncGenerator<Uint8Array> {
    const found = size <= SMALL_BLOB ? await this.read(digest, size) : await this.open(digest, size);
    if (found === undefined) throw blobMissing(name);
    if (Buffer.isBuffer(found)) yield found;
    else yield* found as AsyncIterable<Uint8Array>;
  }

  /** A blob that was found missing or damaged: memory forgets it too. */
  forget(digest: Digest): void {
    this.#memory.delete(digest);
    this.#confirmed.delete(digest);
  }
}

function digestOf(hash: Hash): Digest {
  return `sha256:${hash.digest('hex')}`;
}
