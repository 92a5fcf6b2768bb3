import type { SignedUrlOptions } from '@entrepot/core';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import {
  type Bucket,
  type Failure,
  type GetOptions,
  type ListedPage,
  type ObjectBody,
  type ObjectHead,
  type ObjectReply,
  readObjectHead,
  UnexpectedReply,
} from '@entrepot/core/blobs';
import type { Readable } from 'node:stream';
import { openContainer, type OpenedContainer } from './container.js';
import { explainFailure, failureOf } from './failure.js';
import type { AzureOptions } from './options.js';
import { putBlob, SEND_SIZES, type SendSizes } from './put-blob.js';
import { Requests } from './requests.js';

/** Requests to the blobs of one container. */
export class AzureBucket implements Bucket {
  readonly name: string;
  readonly idleTimeout: number;
  readonly signUrl: Bucket['signUrl'];
  readonly #sizes: SendSizes;
  readonly #requests: Requests;
  readonly #client: ContainerClient;
  readonly #options: AzureOptions;

  static async open(options: AzureOptions, sizes = SEND_SIZES): Promise<AzureBucket> {
    return new AzureBucket(await openContainer(options), options, sizes);
  }

  private constructor({ client, canSign }: OpenedContainer, options: AzureOptions, sizes: SendSizes) {
    this.#client = client;
    this.#options = options;
    this.#sizes = sizes;
    this.#requests = new Requests(options);
    this.idleTimeout = options.idleTimeout;
    this.name = `azure://${client.accountName}/${options.container}`;
    this.signUrl = canSign ? (key, options) => this.#sign(key, options) : undefined;
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectHead | undefined> {
    return await this.#orAbsent(async () => {
      const { contentLength, etag } = await this.#requests.ask(signal, (options) =>
        this.#blob(key).getProperties(options),
      );
      if (contentLength === undefined || etag === undefined)
        throw new UnexpectedReply('expected the size and the tag of a blob from Azure, found a reply without');
      return { size: contentLength, etag };
    });
  }

  async get(key: string, { range, etag, signal }: GetOptions): Promise<ObjectReply | 'absent' | 'beyond'> {
    try {
      return await this.#download(key, { range, etag, signal });
    } catch (error) {
      const { code, status } = failureOf(error);
      if (status === 404 && code === 'BlobNotFound') return 'absent';
      if (status === 416) return 'beyond';
      throw error;
    }
  }

  async put(key: string, body: ObjectBody, signal?: AbortSignal): Promise<void> {
    await putBlob(this.#requests, this.#blob(key), body, { sizes: this.#sizes, signal });
  }

  async delete(key: string, etag?: string): Promise<boolean> {
    const conditions = etag === undefined ? {} : { conditions: { ifMatch: etag } };
    try {
      const remove = { deleteSnapshots: 'include', ...conditions } as const;
      const { requestId } = await this.#requests.ask(undefined, (options) =>
        this.#blob(key).delete({ ...remove, ...options }),
      );
      if (requestId === undefined) throw new UnexpectedReply('expected a deletion by Azure, found another reply');
      return true;
    } catch (error) {
      const { code, status } = failureOf(error);
      if ((status === 404 && code === 'BlobNotFound') || (etag !== undefined && status === 412)) return false;
      throw error;
    }
  }

  async list(
    prefix: string,
    { page, limit }: { readonly page?: string | undefined; readonly limit: number },
  ): Promise<ListedPage> {
    const found = await this.#requests.ask(undefined, async ({ abortSignal }) => {
      const pages = this.#client
        .listBlobsFlat({ prefix, abortSignal })
        .byPage({ maxPageSize: limit, ...(page !== undefined && { continuationToken: page }) });
      return (await pages.next()).value;
    });
    // What is no listing of the container, such as the page of a captive portal, may look like an empty one.
    const items = found?.segment?.blobItems;
    const isOurs = found?.containerName === this.#options.container && Array.isArray(items);
    if (
      !isOurs ||
      !items.every(({ name, properties }) => name.startsWith(prefix) && properties.contentLength !== undefined)
    )
      throw new UnexpectedReply(
        `expected a page of the listing of ${this.#options.container}, found one of ${String(found?.containerName)}`,
      );
    const { continuationToken: next } = found;
    return {
      objects: items.map(({ name, properties }) => ({ key: name, size: properties.contentLength as number })),
      next: next === undefined || next === '' ? undefined : next,
    };
  }

  failureOf(error: unknown): Failure {
    return failureOf(error);
  }

  explain(error: unknown): string {
    return explainFailure(error, this.#options);
  }

  async dispose(): Promise<void> {}

  async #download(key: string, { range, etag, signal }: GetOptions): Promise<ObjectReply> {
    const [offset, count] = range === undefined ? [0, undefined] : [range.start, range.end - range.start + 1];
    // A body that breaks off is resumed by the store.
    const once = { maxRetryRequests: 0, ...(etag !== undefined && { conditions: { ifMatch: etag } }) };
    const reply = await this.#requests.ask(signal, ({ abortSignal }) =>
      this.#blob(key).download(offset, count, { ...once, abortSignal }),
    );
    const body = reply.readableStreamBody as Readable;
    const { etag: tag, blobType, contentLength: length, contentRange: part } = reply;
    // Whatever answers in the place of Azure has no type of blobs.
    const head = readObjectHead({ etag: blobType && tag, length, range: part }, range);
    if (head !== undefined) return { ...head, body };
    body.destroy();
    throw new UnexpectedReply(
      `expected the bytes of a blob from Azure, found a reply with Content-Length ${reply.contentLength}, Content-Range ${reply.contentRange}, ETag ${reply.etag}`,
    );
  }

  async #orAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const { code, status } = failureOf(error);
      // A container that is missing is no absence.
      if (status === 404 && code === 'BlobNotFound') return undefined;
      throw error;
    }
  }

  async #sign(key: string, { ttl, mediaType, disposition }: SignedUrlOptions): Promise<URL> {
    const { BlobSASPermissions } = await import('@azure/storage-blob');
    const reply = {
      ...(mediaType !== undefined && { contentType: mediaType }),
      ...(disposition !== undefined && { contentDisposition: disposition }),
    };
    // In whole seconds: rounded up, so that it is not over before it is used.
    const expiresOn = new Date(Math.ceil((Date.now() + ttl) / 1000) * 1000);
    return new URL(
      await this.#blob(key).generateSasUrl({ permissions: BlobSASPermissions.parse('r'), expiresOn, ...reply }),
    );
  }

  #blob(key: string): BlockBlobClient {
    return this.#client.getBlockBlobClient(key);
  }
}
