import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
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
import { LAYOUT_VERSION, type Layout, parseLayout, printVersion } from '@entrepot/core/blobs';
import { explainFailure } from './advice.js';
import { S3Connection } from './connection.js';
import { ObjectGetter } from './get-object.js';
import { headObject, type ObjectHead } from './head-object.js';
import { listObjects, listPage } from './list-objects.js';
import { listUploads } from './list-uploads.js';
import { probeBucket } from './probe.js';
import { putObject } from './put-object.js';
import { setObjectAside } from './set-aside.js';
import { bucketName, type S3Settings } from './settings.js';
import type { S3Signer } from './signer.js';

// <prefix>/
//   layout.json                  {"version":1,"storeId":…}
//   v1/sha256/00 … ff/<hex>      one object a blob, named by its digest: the same names as in a folder
//   damaged/<hex>                a blob whose bytes are no longer those of its digest, for who looks into it
//   probe/<uuid>                 what a check writes, and deletes again

const BLOB_NAME = /^[0-9a-f]{64}$/;
const MIB = 1024 * 1024;
/** Where a bucket was seen, it is taken to be there for this long, in milliseconds. */
const BUCKET_SEEN = 5_000;

export interface S3BlobStoreOptions {
  readonly settings: S3Settings;
  readonly logger: Logger;
  /** Blobs above this size are sent in parts, in bytes. Default: 64 MiB. */
  readonly multipartAbove?: number | undefined;
  /** The largest object that the server copies as a whole, in bytes. Default: 5 GiB. */
  readonly copiedAtOnce?: number | undefined;
}

/**
 * A `BlobStore` in a bucket of S3, or of a server that speaks its protocol. Any number of processes on any machines may share it: a
 * key is a digest, so that whoever writes it writes the same bytes.
 */
export class S3BlobStore implements BlobStore {
  readonly #connection: S3Connection;
  readonly #getter: ObjectGetter;
  readonly #signer: S3Signer;
  readonly #prefix: string;
  readonly #multipartAbove: number;
  readonly #copiedAtOnce: number | undefined;
  #bucketSeenAt = -Infinity;

  /**
   * Opens the store and tries everything that it needs of the bucket.
   * @throws EntrepotError `configuration` when the bucket cannot be used or holds another version of the layout
   */
  static async open(options: S3BlobStoreOptions): Promise<S3BlobStore> {
    const { settings, logger } = options;
    const connection = await S3Connection.open(settings, logger);
    const opening = connection.signer().catch((error: unknown) => {
      connection.dispose();
      throw new EntrepotError('configuration', explainFailure(error, settings, Date.now()), { cause: error });
    });
    const { signer, address } = await opening;
    const getter = new ObjectGetter(address, signer, connection);
    const store = new S3BlobStore(connection, getter, signer, options);
    try {
      await probeBucket({ connection, getter, prefix: store.#prefix }, logger);
      await store.#checkLayout();
    } catch (error) {
      await store.dispose();
      throw error;
    }
    return store;
  }

  private constructor(
    connection: S3Connection,
    getter: ObjectGetter,
    signer: S3Signer,
    { settings, multipartAbove = 64 * MIB, copiedAtOnce }: S3BlobStoreOptions,
  ) {
    this.#connection = connection;
    this.#getter = getter;
    this.#signer = signer;
    this.#prefix = settings.prefix === '' ? '' : `${settings.prefix}/`;
    this.#multipartAbove = multipartAbove;
    this.#copiedAtOnce = copiedAtOnce;
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    const head = await this.#head(this.#keyOf(digest));
    return head && { digest, size: head.size };
  }

  async open(digest: Digest, options: BlobOpenOptions = {}): Promise<Readable | undefined> {
    return await this.#getter.open(this.#keyOf(digest), options);
  }

  async put(digest: Digest, size: number, source: BlobSource, { signal }: BlobPutOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    const key = this.#keyOf(digest);
    await putObject(this.#connection, key, { digest, size, source }, { multipartAbove: this.#multipartAbove, signal });
  }

  /** Deletes an object. Whether there was one is asked before: the server answers the same in either case. */
  async delete(digest: Digest): Promise<boolean> {
    const key = this.#keyOf(digest);
    if ((await this.#head(key)) === undefined) return false;
    await this.#delete(key);
    return true;
  }

  async setAside(digest: Digest): Promise<boolean> {
    const key = this.#keyOf(digest);
    const head = await this.#head(key);
    const aside = `${this.#prefix}damaged/${digest.slice('sha256:'.length)}`;
    if (head === undefined) return true;
    const damaged = { digest, key, aside, head };
    return await setObjectAside(this.#connection, this.#getter, damaged, this.#copiedAtOnce);
  }

  async *list(): AsyncIterable<BlobInfo> {
    const prefix = `${this.#prefix}v1/sha256/`;
    for await (const { key, size } of listObjects(this.#connection, prefix)) {
      const [folder = '', name = '', ...more] = key.slice(prefix.length).split('/');
      if (more.length === 0 && BLOB_NAME.test(name) && name.startsWith(folder) && folder.length === 2)
        yield { digest: `sha256:${name}`, size };
    }
  }

  async *unfinished(signal?: AbortSignal): AsyncIterable<UnfinishedPut> {
    const prefix = `${this.#prefix}v1/sha256/`;
    for await (const { key, ...upload } of listUploads(this.#connection, this.#prefix, signal)) {
      const name = key.slice(prefix.length + '00/'.length);
      const isBlob = key.startsWith(prefix) && BLOB_NAME.test(name);
      yield { ...upload, ...(isBlob && { digest: `sha256:${name}` }) };
    }
  }

  async check(only?: 'read'): Promise<void> {
    if (only === 'read') return void (await listPage(this.#connection, this.#prefix, { limit: 1 }));
    const { sdk, client, object, encryption } = this.#connection;
    const key = `${this.#prefix}probe/${randomUUID()}`;
    const written = Buffer.from(randomUUID());
    await this.#connection.run('write', key, (options) =>
      client.send(new sdk.PutObjectCommand({ ...object(key), ...encryption, Body: written }), options),
    );
    try {
      if ((await this.#read(key))?.equals(written) === true) return;
      throw new EntrepotError('storage', `${this.#connection.nameOf(key)} does not read as it was written`);
    } finally {
      await this.#delete(key);
    }
  }

  async storeId(): Promise<string | undefined> {
    return (await this.#layout())?.storeId;
  }

  async setStoreId(storeId: string): Promise<void> {
    const { sdk, client, object, encryption } = this.#connection;
    const key = `${this.#prefix}layout.json`;
    const layout: Layout = { version: LAYOUT_VERSION, storeId };
    const input = {
      ...object(key),
      ...encryption,
      Body: `${JSON.stringify(layout)}\n`,
      ContentType: 'application/json',
    };
    await this.#connection.run('write', key, (options) => client.send(new sdk.PutObjectCommand(input), options));
  }

  async signedUrl(digest: Digest, { ttl, mediaType, disposition }: SignedUrlOptions): Promise<URL | undefined> {
    if (this.#connection.guard.isOpen) return undefined;
    return await this.#signer.presign(this.#keyOf(digest), Math.max(1, Math.floor(ttl / 1000)), {
      ...(mediaType !== undefined && { 'response-content-type': mediaType }),
      ...(disposition !== undefined && { 'response-content-disposition': disposition }),
    });
  }

  async dispose(): Promise<void> {
    this.#getter.dispose();
    this.#connection.dispose();
  }

  async #delete(key: string): Promise<void> {
    const { sdk, client, object } = this.#connection;
    await this.#connection.run('delete', key, (options) =>
      client.send(new sdk.DeleteObjectCommand(object(key)), options),
    );
  }

  /** The head of an object. `undefined`: there is surely none. */
  async #head(key: string): Promise<ObjectHead | undefined> {
    const head = await this.#connection.run('look at', key, (options) => headObject(this.#connection, key, options));
    // The reply does not tell an object that is missing from a bucket that is, or from credentials that nobody knows.
    if (head === undefined) await this.#assertBucket();
    return head;
  }

  async #assertBucket(): Promise<void> {
    const askedAt = performance.now();
    if (askedAt - this.#bucketSeenAt < BUCKET_SEEN) return;
    const { sdk, client, settings } = this.#connection;
    await this.#connection.run('look at', undefined, (options) =>
      client.send(new sdk.HeadBucketCommand({ Bucket: settings.bucket }), options),
    );
    this.#bucketSeenAt = askedAt;
  }

  async #read(key: string): Promise<Buffer | undefined> {
    const stream = await this.#getter.open(key, {});
    return stream && (await buffer(stream));
  }

  async #layout(): Promise<Layout | undefined> {
    const bytes = await this.#read(`${this.#prefix}layout.json`);
    return bytes && parseLayout(bytes.toString());
  }

  /** Checks the version of a store that is there. Its file is made with its id, so that nobody writes over one. */
  async #checkLayout(): Promise<void> {
    const layout = await this.#layout();
    if (layout === undefined || layout.version === LAYOUT_VERSION) return;
    throw new EntrepotError(
      'configuration',
      `${bucketName(this.#connection.settings)}/layout.json: expected layout version ${LAYOUT_VERSION}, found ${printVersion(layout)}; use the version of Entrepot that made this store, or another prefix`,
    );
  }

  #keyOf(digest: Digest): string {
    const hex = digest.slice('sha256:'.length);
    if (!BLOB_NAME.test(hex))
      throw new EntrepotError('storage', `expected a sha256 digest, found ${JSON.stringify(digest)}`);
    return `${this.#prefix}v1/sha256/${hex.slice(0, 2)}/${hex}`;
  }
}
