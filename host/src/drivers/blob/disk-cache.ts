import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import { finished as whenFinished } from 'node:stream/promises';
import {
  type BlobInfo,
  type BlobOpenOptions,
  type BlobPutOptions,
  type BlobSource,
  type BlobStore,
  type Digest,
  EntrepotError,
  type Logger,
  type SignedUrlOptions,
  type UnfinishedPut,
} from '@entrepot/core';
import { hasDigest } from '@entrepot/core/blobs';
import { CacheFile } from './cache-file.js';
import { FileReader } from './file-reader.js';
import { Sieve } from './sieve.js';
import { systemCode } from './storage-error.js';

// <path>/
//   v1/00 … ff/<hex>     copies of blobs, named by their digests
//   tmp/<uuid>.part      copies that are being made

const BLOB_NAME = /^[0-9a-f]{64}$/;
/** Leftovers of a crash are removed at this age, in milliseconds: another process may be at work in the folder. */
const LEFT_AFTER = 3_600_000;
/** A copy takes at most this part of the cache. */
const LARGEST_PART = 1 / 4;
/** Blobs up to this size are copied as a whole when a part of one is wanted, in bytes. */
const WHOLE = 64 * 1024 * 1024;
/** The number of blobs that are copied at once because a part was wanted. */
const WIDTH = 2;
const PIECE = 256 * 1024;

export interface DiskCacheOptions {
  /** The folder of the copies. It is made when it does not exist. */
  readonly path: string;
  /** The most bytes of all copies. */
  readonly maxBytes: number;
  readonly logger: Logger;
}

/**
 * Copies of blobs on a disk of this machine, before a store that is far away. A copy is made when a blob is read as a whole. It may be lost at any
 * time. A blob that another process deletes can be opened here until its copy goes: what is there and what is not, the index says.
 */
export class DiskCache implements BlobStore {
  readonly #store: BlobStore;
  readonly #options: DiskCacheOptions;
  readonly #copies = new Sieve<Digest>();
  /** Copies that were there at the start: they are verified before they are used, for a power cut may have torn them. */
  readonly #unverified = new Set<Digest>();
  /** Copies that are being made. One that is taken out of here is not kept. */
  readonly #filling = new Map<Digest, symbol>();
  readonly #ending = new AbortController();
  readonly #aside = new Set<Promise<void>>();
  #isWarned = false;
  readonly storeId?: () => Promise<string | undefined>;
  readonly setStoreId?: (id: string) => Promise<void>;
  readonly freeBytes?: () => Promise<number>;
  readonly unfinished?: (signal?: AbortSignal) => AsyncIterable<UnfinishedPut>;
  readonly signedUrl?: (digest: Digest, options: SignedUrlOptions) => Promise<URL | undefined>;

  /** @throws EntrepotError `configuration` when the folder cannot be used */
  static async open(store: BlobStore, options: DiskCacheOptions): Promise<DiskCache> {
    const cache = new DiskCache(store, options);
    try {
      await cache.#prepare();
    } catch (error) {
      const reason = systemCode(error) ?? String(error);
      throw new EntrepotError('configuration', `cannot open the cache of blobs in ${options.path}: ${reason}`, {
        cause: error,
      });
    }
    return cache;
  }

  private constructor(store: BlobStore, options: DiskCacheOptions) {
    this.#store = store;
    this.#options = options;
    if (store.storeId !== undefined) this.storeId = store.storeId.bind(store);
    if (store.setStoreId !== undefined) this.setStoreId = store.setStoreId.bind(store);
    if (store.freeBytes !== undefined) this.freeBytes = store.freeBytes.bind(store);
    if (store.unfinished !== undefined) this.unfinished = store.unfinished.bind(store);
    const signedUrl = store.signedUrl?.bind(store);
    // What has a copy is served from that.
    if (signedUrl !== undefined)
      this.signedUrl = async (digest, asked) => (this.#copies.use(digest) ? undefined : await signedUrl(digest, asked));
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    try {
      return await this.#store.stat(digest);
    } catch (error) {
      // What has a copy is served while the store cannot be reached.
      const size = this.#copies.use(digest);
      if (size === undefined) throw error;
      return { digest, size };
    }
  }

  async open(digest: Digest, options: BlobOpenOptions = {}): Promise<Readable | undefined> {
    options.signal?.throwIfAborted();
    const copy = await this.#openCopy(digest, options);
    if (copy !== undefined) return copy;
    const { range, size = Infinity } = options;
    if (range !== undefined && size <= WHOLE) this.#fillAside(digest, size);
    const stream = await this.#store.open(digest, options);
    return stream !== undefined && range === undefined ? this.#filled(digest, stream) : stream;
  }

  async put(digest: Digest, size: number, source: BlobSource, options?: BlobPutOptions): Promise<void> {
    await this.#store.put(digest, size, source, options);
  }

  async delete(digest: Digest): Promise<boolean> {
    const deleted = await this.#store.delete(digest);
    this.#filling.delete(digest);
    await this.#drop(digest);
    return deleted;
  }

  /** Where it was the copy that is damaged, and the blob is not, only the copy goes. */
  async setAside(digest: Digest): Promise<boolean> {
    const hadCopy = this.#copies.use(digest) !== undefined;
    await this.#drop(digest);
    if (hadCopy && (await this.#isWhole(digest))) return false;
    if (this.#store.setAside !== undefined) return await this.#store.setAside(digest);
    await this.#store.delete(digest);
    return true;
  }

  list(): AsyncIterable<BlobInfo> {
    return this.#store.list();
  }

  async check(only?: 'read'): Promise<void> {
    await this.#store.check(only);
  }

  async dispose(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#aside);
    await this.#store.dispose();
  }

  async #prepare(): Promise<void> {
    const folder = join(this.#options.path, 'v1');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await mkdir(this.#temporary, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#temporary)) {
      const path = join(this.#temporary, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && Date.now() - found.mtimeMs > LEFT_AFTER) await rm(path, { force: true });
    }
    const known: { readonly digest: Digest; readonly size: number; readonly time: number }[] = [];
    for (const below of await readdir(folder)) {
      for (const name of (await readdir(join(folder, below))).filter((one) => BLOB_NAME.test(one))) {
        const found = await stat(join(folder, below, name)).catch(() => undefined);
        if (found !== undefined) known.push({ digest: `sha256:${name}`, size: found.size, time: found.mtimeMs });
      }
    }
    for (const { digest, size } of known.sort((one, other) => one.time - other.time)) {
      this.#copies.add(digest, size);
      this.#unverified.add(digest);
    }
    await this.#shrink();
  }

  /** The copy of a blob. `undefined`: there is none that can be used. */
  async #openCopy(digest: Digest, { range, size, signal }: BlobOpenOptions): Promise<FileReader | undefined> {
    const known = this.#copies.use(digest);
    if (known === undefined || (size !== undefined && size !== known)) return undefined;
    const path = this.#pathOf(digest);
    try {
      if (this.#unverified.has(digest) && !(await this.#verify(digest, path))) return undefined;
      const handle = await open(path, 'r');
      if ((await handle.stat()).size === known) {
        return new FileReader(handle, path, { range: range ?? { start: 0, end: known - 1 }, pieceSize: PIECE, signal });
      }
      await handle.close();
      await this.#drop(digest);
    } catch (error) {
      this.#warn(error);
      this.#copies.remove(digest);
    }
    return undefined;
  }

  async #verify(digest: Digest, path: string): Promise<boolean> {
    const isRight = await hasDigest(new FileReader(await open(path, 'r'), path, { pieceSize: PIECE }), digest);
    if (isRight) this.#unverified.delete(digest);
    else await this.#drop(digest);
    return isRight;
  }

  async #isWhole(digest: Digest): Promise<boolean> {
    const stream = await this.#store.open(digest);
    return stream !== undefined && (await hasDigest(stream, digest));
  }

  /** Passes a whole blob on, and makes a copy of it unless that is being made. */
  #filled(digest: Digest, stream: Readable): Readable {
    if (this.#filling.has(digest)) return stream;
    const filling = Symbol(digest);
    this.#filling.set(digest, filling);
    const end = (): boolean => this.#filling.get(digest) === filling && this.#filling.delete(digest);
    const { maxBytes } = this.#options;
    const file = new CacheFile({
      digest,
      path: this.#pathOf(digest),
      temporary: this.#temporary,
      maxSize: maxBytes * LARGEST_PART,
      filled: async (size) => {
        // Deleted meanwhile.
        if (!end()) return await this.#drop(digest);
        this.#unverified.delete(digest);
        this.#copies.add(digest, size);
        await this.#shrink();
      },
      failed: (error) => {
        end();
        if (error !== undefined) this.#warn(error);
      },
    });
    pipeline(stream, file, () => {});
    return file;
  }

  /** Makes a copy of a blob of which a part is read, beside that. */
  #fillAside(digest: Digest, size: number): void {
    const { maxBytes } = this.#options;
    if (this.#aside.size >= WIDTH || this.#filling.has(digest) || size > maxBytes * LARGEST_PART) return;
    const fill = async (): Promise<void> => {
      const stream = await this.#store.open(digest, { size, signal: this.#ending.signal });
      if (stream !== undefined) await whenFinished(this.#filled(digest, stream).resume());
    };
    const running = fill()
      // Whoever reads the blob hears of it.
      .catch(() => {})
      .finally(() => this.#aside.delete(running));
    this.#aside.add(running);
  }

  async #shrink(): Promise<void> {
    while (this.#copies.bytes > this.#options.maxBytes) {
      const digest = this.#copies.evict();
      if (digest === undefined) return;
      await this.#drop(digest);
    }
  }

  async #drop(digest: Digest): Promise<void> {
    this.#copies.remove(digest);
    this.#unverified.delete(digest);
    // Its readers read on.
    await rm(this.#pathOf(digest), { force: true }).catch((error: unknown) => this.#warn(error));
  }

  /** Says once that the disk fails; blobs come from the store then. */
  #warn(error: unknown): void {
    if (this.#isWarned || systemCode(error) === 'ENOENT') return;
    this.#isWarned = true;
    this.#options.logger.warn({ error, path: this.#options.path }, 'the cache of blobs on disk cannot be used');
  }

  get #temporary(): string {
    return join(this.#options.path, 'tmp');
  }

  #pathOf(digest: Digest): string {
    const hex = digest.slice('sha256:'.length);
    return join(this.#options.path, 'v1', hex.slice(0, 2), hex);
  }
}
