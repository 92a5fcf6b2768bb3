import { createHash, randomUUID } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { BlobInfo, BlobOpenOptions, BlobPutOptions, BlobSource, BlobStore, ByteRange } from '../api/blob-store.js';
import type { Digest } from '../api/digest.js';
import { EntrepotError } from '../api/errors.js';
import type { Bucket, ListedPage, ObjectBody } from './bucket.js';
import { bucketError, mayPass } from './failures.js';
import { bytesInMemory, type KnownBytes, knownBytes } from './known-bytes.js';
import { LAYOUT_VERSION, type Layout, parseLayout, printVersion } from './layout.js';
import { ObjectNames } from './object-names.js';
import { ObjectReader, type ObjectReply } from './object-reader.js';
import { probeBucket } from './probe-bucket.js';
import { withRetries } from './retries.js';
import { verifiedBytes } from './verified-bytes.js';

/** How often a request is tried that reads, or that can be repeated as it is. */
const ATTEMPTS = 3;
/** How often a write is tried. */
const WRITE_ATTEMPTS = 5;
/** Objects of a page of a listing. */
const PAGE = 1000;
/** The longest that the probe of a start takes, in milliseconds. */
const PROBE_DEADLINE = 10_000;

interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly attempts?: number;
}

/**
 * A `BlobStore` in a bucket of objects. Any number of processes on any machines may share it: a key is a digest, so that whoever
 * writes it writes the same bytes, and nothing rests on conditional writes.
 */
export class ObjectBlobStore implements BlobStore {
  readonly #bucket: Bucket;
  readonly #names: ObjectNames;
  readonly #pageSize: number;
  /** Absent: the credentials cannot sign. */
  declare readonly signedUrl?: NonNullable<BlobStore['signedUrl']>;

  /**
   * Opens a store, and tries everything that it needs of the bucket.
   * @param bucket belongs to the store, also when this fails
   * @param prefix of all names, without a slash at its end
   * @param pageSize the most objects of a page of a listing
   * @throws EntrepotError `configuration` when the bucket cannot be used or holds another version of the layout
   */
  static async open(bucket: Bucket, prefix: string, pageSize = PAGE): Promise<ObjectBlobStore> {
    const store = new ObjectBlobStore(bucket, prefix, pageSize);
    try {
      await store.#probe();
      await store.#checkLayout();
      return store;
    } catch (error) {
      await store.dispose();
      throw error;
    }
  }

  private constructor(bucket: Bucket, prefix: string, pageSize: number) {
    this.#bucket = bucket;
    this.#pageSize = pageSize;
    this.#names = new ObjectNames(prefix);
    if (bucket.signUrl === undefined) return;
    this.signedUrl = (digest, options) => {
      const key = this.#names.blob(digest);
      return this.#run('sign a URL of', key, async () => {
        return await bucket.signUrl?.(key, options);
      });
    };
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    const key = this.#names.blob(digest);
    const head = await this.#run('look at', key, () => this.#bucket.head(key));
    return head && { digest, size: head.size };
  }

  async open(digest: Digest, options: BlobOpenOptions = {}): Promise<Readable | undefined> {
    options.signal?.throwIfAborted();
    return await this.#read(this.#names.blob(digest), options);
  }

  async put(digest: Digest, size: number, source: BlobSource, { signal }: BlobPutOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    const known = await knownBytes(source, size);
    // Each attempt opens a source anew whose bytes have yet to be verified.
    const open = (): AsyncGenerator<Buffer> =>
      // An abort would not reach whoever waits for the next bytes.
      verifiedBytes(() => abortable(source.open(), signal), digest, size);
    await this.#write(this.#names.blob(digest), { size, known, open }, signal);
  }

  async delete(digest: Digest): Promise<boolean> {
    return await this.#delete(this.#names.blob(digest));
  }

  /** Copies a damaged blob to another key, and deletes it if it is still the same object. */
  async setAside(digest: Digest): Promise<boolean> {
    const key = this.#names.blob(digest);
    const aside = this.#names.damaged(digest);
    const head = await this.#run('look at', key, () => this.#bucket.head(key));
    if (head === undefined) return true;
    let found = '';
    const open = (): AsyncGenerator<Buffer> => this.#hashed(key, head.etag, (hash) => (found = hash));
    await this.#write(aside, { size: head.size, known: undefined, open }, undefined);
    if (found !== digest) return await this.#run('delete', key, () => this.#bucket.delete(key, head.etag));
    await this.#delete(aside);
    return false;
  }

  async *list(): AsyncIterable<BlobInfo> {
    for (let page: string | undefined; ;) {
      const { objects, next } = await this.#page(this.#names.blobs, page);
      for (const { key, size } of objects) {
        const digest = this.#names.digestOf(key);
        if (digest !== undefined) yield { digest, size };
      }
      if (next === undefined) return;
      page = next;
    }
  }

  async check(only?: 'read'): Promise<void> {
    if (only === 'read') return void (await this.#page(this.#names.root, undefined, 1));
    const key = this.#names.probe(randomUUID());
    const written = Buffer.from(randomUUID());
    await this.#write(key, inMemory(written), undefined);
    try {
      if ((await this.#bytesOf(key))?.equals(written) === true) return;
      throw new EntrepotError('storage', `${this.#nameOf(key)} does not read as it was written`);
    } finally {
      await this.#delete(key);
    }
  }

  async storeId(): Promise<string | undefined> {
    return (await this.#layout())?.storeId;
  }

  async setStoreId(storeId: string): Promise<void> {
    const layout: Layout = { version: LAYOUT_VERSION, storeId };
    await this.#write(this.#names.layout, inMemory(Buffer.from(`${JSON.stringify(layout)}\n`)), undefined);
  }

  async dispose(): Promise<void> {
    await this.#bucket.dispose();
  }

  async #probe(): Promise<void> {
    const key = this.#names.probe(randomUUID());
    const signal = AbortSignal.timeout(PROBE_DEADLINE);
    const probed = {
      write: (name: string, bytes: Buffer) => this.#write(name, inMemory(bytes), signal),
      read: (name: string, range?: ByteRange) => this.#read(name, { range, signal }),
      list: (prefix: string) => this.#page(prefix, undefined),
      delete: (name: string) => this.#delete(name),
    };
    try {
      await probeBucket(probed, key);
    } catch (error) {
      // The failure lies below the message of the store.
      const cause = error instanceof EntrepotError ? ((error as EntrepotError).cause ?? error) : error;
      const message = `cannot use ${this.#bucket.name}: ${this.#bucket.explain(cause)}`;
      throw new EntrepotError('configuration', message, { cause });
    }
  }

  async #read(key: string, { range, size, signal }: BlobOpenOptions): Promise<Readable | undefined> {
    const get = (more: { range?: ByteRange | undefined; etag?: string; signal?: AbortSignal | undefined }) =>
      this.#run('read', key, () => this.#bucket.get(key, more), { signal: more.signal });
    const first = await get({ range, signal });
    if (first === 'absent') return undefined;
    const wanted = `${this.#nameOf(key)}: expected a range within it, found ${range?.start}-${range?.end}`;
    if (first === 'beyond') {
      // It is shorter than it was.
      if (size !== undefined) return undefined;
      throw new EntrepotError('storage', wanted);
    }
    const { etag, start, end, total } = first;
    if (size !== undefined && total !== size) {
      first.body.destroy();
      return undefined;
    }
    if (start !== (range?.start ?? 0) || end !== (range?.end ?? total - 1)) {
      first.body.destroy();
      throw new EntrepotError('storage', `${wanted}; it has ${total} bytes`);
    }
    return new ObjectReader(first, {
      where: this.#nameOf(key),
      idleTimeout: this.#bucket.idleTimeout,
      signal,
      again: async (from, ending) => present(await get({ range: { start: from, end }, etag, signal: ending })),
    });
  }

  /** Passes the bytes of an object on, and tells their digest before the last of them. */
  async *#hashed(key: string, etag: string, tell: (digest: string) => void): AsyncGenerator<Buffer> {
    const reply = await this.#run('read', key, () => this.#bucket.get(key, { etag }));
    if (typeof reply === 'string') throw new EntrepotError('storage', `${this.#nameOf(key)} is gone`);
    const { end } = reply;
    const reader = new ObjectReader(reply, {
      where: this.#nameOf(key),
      idleTimeout: this.#bucket.idleTimeout,
      again: async (start, signal) => present(await this.#bucket.get(key, { range: { start, end }, etag, signal })),
    });
    const hash = createHash('sha256');
    let held: Buffer | undefined;
    for await (const chunk of reader as AsyncIterable<Buffer>) {
      hash.update(chunk);
      if (held !== undefined) yield held;
      held = chunk;
    }
    tell(`sha256:${hash.digest('hex')}`);
    if (held !== undefined) yield held;
  }

  async #write(
    key: string,
    { size, known, open }: { readonly size: number; readonly known: KnownBytes | undefined; open: ObjectBody['open'] },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    // Bytes that can be had again are repeated part by part, others as a whole.
    const [partly, wholly] = known === undefined ? [1, WRITE_ATTEMPTS] : [WRITE_ATTEMPTS, 1];
    const retry = <T>(work: () => Promise<T>): Promise<T> =>
      withRetries(work, { attempts: partly, mayPass: this.#mayPass, signal });
    await this.#run('write', key, () => this.#bucket.put(key, { size, known, open, retry }, signal), {
      signal,
      attempts: wholly,
    });
  }

  async #delete(key: string): Promise<boolean> {
    return await this.#run('delete', key, () => this.#bucket.delete(key));
  }

  async #page(prefix: string, page: string | undefined, limit = this.#pageSize): Promise<ListedPage> {
    return await this.#run('list', prefix, async () => {
      const found = await this.#bucket.list(prefix, { page, limit });
      if (found.next !== undefined && found.next === page)
        throw new EntrepotError('storage', `cannot list ${this.#nameOf(prefix)}: the same page came twice`);
      return found;
    });
  }

  async #bytesOf(key: string): Promise<Buffer | undefined> {
    const stream = await this.#read(key, {});
    return stream && (await buffer(stream));
  }

  async #layout(): Promise<Layout | undefined> {
    const bytes = await this.#bytesOf(this.#names.layout);
    return bytes && parseLayout(bytes.toString());
  }

  /** Checks the version of a store that is there. Its file is made with its id, so that nobody writes over one. */
  async #checkLayout(): Promise<void> {
    const layout = await this.#layout();
    if (layout === undefined || layout.version === LAYOUT_VERSION) return;
    throw new EntrepotError(
      'configuration',
      `${this.#nameOf(this.#names.layout)}: expected layout version ${LAYOUT_VERSION}, found ${printVersion(layout)}; use the version of Entrepot that made this store, or another prefix`,
    );
  }

  #nameOf(key: string): string {
    return `${this.#bucket.name}/${key}`;
  }

  readonly #mayPass = (error: unknown): boolean => mayPass(error, this.#bucket.failureOf(error));

  /**
   * Does `work`, again where its failure may pass.
   * @throws EntrepotError `storage`, or the reason of an aborted `signal`
   */
  async #run<T>(
    action: string,
    key: string,
    work: () => Promise<T>,
    { signal, attempts = ATTEMPTS }: RunOptions = {},
  ): Promise<T> {
    try {
      return await withRetries(work, { attempts, mayPass: this.#mayPass, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw bucketError(error, this.#bucket.failureOf(error), action, this.#nameOf(key));
    }
  }
}

function abortable(stream: Readable, signal: AbortSignal | undefined): Readable {
  return signal === undefined ? stream : addAbortSignal(signal, stream);
}

function inMemory(bytes: Buffer): Pick<ObjectBody, 'size' | 'open'> & { readonly known: KnownBytes } {
  return {
    size: bytes.length,
    known: bytesInMemory(bytes),
    async *open() {
      yield bytes;
    },
  };
}

function present(reply: ObjectReply | 'absent' | 'beyond'): ObjectReply | undefined {
  return typeof reply === 'string' ? undefined : reply;
}
