import type { SignedUrlOptions } from '@entrepot/core';
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
import { GcsApi, readSuccess } from './api.js';
import { errorOf, explainFailure, failureOf, GcsError } from './failure.js';
import type { GcsOptions } from './options.js';
import { putObject } from './put-object.js';

/** Where a bucket was seen, it is taken to be there for this long, in milliseconds. */
const BUCKET_SEEN = 5_000;
const MIB = 1024 * 1024;

/** Requests to the objects of one bucket. The tag of an object is its generation. */
export class GcsBucket implements Bucket {
  readonly name: string;
  readonly idleTimeout: number;
  readonly signUrl: Bucket['signUrl'];
  readonly #api: GcsApi;
  readonly #options: GcsOptions;
  readonly #resumableAbove: number;
  #seenAt = -Infinity;

  /** @param resumableAbove objects above this size are sent by requests that can be resumed, in bytes */
  static async open(options: GcsOptions, resumableAbove = 16 * MIB): Promise<GcsBucket> {
    return new GcsBucket(await GcsApi.open(options), options, resumableAbove);
  }

  private constructor(api: GcsApi, options: GcsOptions, resumableAbove: number) {
    this.#api = api;
    this.#options = options;
    this.#resumableAbove = resumableAbove;
    this.idleTimeout = options.idleTimeout;
    this.name = `gs://${options.bucket}`;
    // Without a key of one's own each signature would be a request, and a right that few give.
    this.signUrl = options.keyFile === undefined ? undefined : (key, options) => this.#sign(key, options);
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectHead | undefined> {
    try {
      const url = this.#api.objectUrl(key, { fields: 'kind,name,size,generation' });
      return readObject(await this.#api.json(url, { signal }), key);
    } catch (error) {
      if (!(await this.#isAbsence(error))) throw error;
      return undefined;
    }
  }

  async get(key: string, { range, etag, signal }: GetOptions): Promise<ObjectReply | 'absent' | 'beyond'> {
    const url = this.#api.objectUrl(key, { alt: 'media', ...(etag !== undefined && { ifGenerationMatch: etag }) });
    const headers = range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` };
    const body = await this.#api.send(url, { headers, signal });
    if (body.statusCode === 416) {
      body.resume();
      return 'beyond';
    }
    if (body.statusCode !== 200 && body.statusCode !== 206) {
      const error = await errorOf(body);
      if (!(await this.#isAbsence(error))) throw error;
      return 'absent';
    }
    const found = body.headers;
    const tag = found['x-goog-generation'];
    const { 'content-length': length, 'content-range': part } = found;
    const fields = { etag: typeof tag === 'string' ? tag : undefined, length, range: part, status: body.statusCode };
    const head = readObjectHead(fields, range);
    if (head !== undefined) return { ...head, body };
    body.destroy();
    throw new UnexpectedReply(
      `expected the bytes of an object from Google Cloud Storage, found a reply with status ${body.statusCode}, Content-Length ${found['content-length']}, Content-Range ${found['content-range']}, X-Goog-Generation ${found['x-goog-generation']}`,
    );
  }

  async put(key: string, body: ObjectBody, signal?: AbortSignal): Promise<void> {
    const { idleTimeout } = this.#options;
    const resumable = body.size > this.#resumableAbove;
    const object = await putObject(this.#api, key, body, { idleTimeout, resumable, signal });
    const { size } = readObject(object, key);
    if (size !== body.size) throw new UnexpectedReply(`expected an object of ${body.size} bytes, found ${size}`);
  }

  async delete(key: string, etag?: string): Promise<boolean> {
    const url = this.#api.objectUrl(key, etag === undefined ? {} : { ifGenerationMatch: etag });
    let text: string;
    try {
      text = await readSuccess(await this.#api.send(url, { method: 'DELETE' }), this.idleTimeout);
    } catch (error) {
      if (etag !== undefined && failureOf(error).status === 412) return false;
      if (!(await this.#isAbsence(error))) throw error;
      return false;
    }
    // Google sends nothing, emulators an empty value.
    if (text !== '' && text.trim() !== 'null')
      throw new UnexpectedReply('expected an empty answer to a deletion from Google Cloud Storage, found a body');
    return true;
  }

  async list(
    prefix: string,
    { page, limit }: { readonly page?: string | undefined; readonly limit: number },
  ): Promise<ListedPage> {
    const url = this.#api.objectUrl(undefined, {
      prefix,
      maxResults: String(limit),
      fields: 'kind,nextPageToken,items(name,size)',
      ...(page !== undefined && pageQuery(page)),
    });
    const { kind, items = [], nextPageToken: token } = await this.#api.json(url);
    const objects = (Array.isArray(items) ? (items as { name?: unknown; size?: unknown }[]) : []).map((item) => ({
      key: String(item.name),
      size: Number(item.size),
    }));
    const isPage = kind === 'storage#objects' && Array.isArray(items);
    if (!isPage || !objects.every(({ key, size }) => key.startsWith(prefix) && Number.isSafeInteger(size)))
      throw new UnexpectedReply(`expected a page of the listing of ${this.name}, found one of ${String(kind)}`);
    const hasToken = typeof token === 'string' && token !== '';
    const last = objects.at(-1)?.key;
    // Emulators forget the token of a full page.
    const isCut = !hasToken && objects.length >= limit && last !== undefined && last !== offsetOf(page);
    return {
      objects: objects.filter(({ key }) => key !== offsetOf(page)),
      next: hasToken ? `token ${token}` : isCut ? `from ${last}` : undefined,
    };
  }

  failureOf(error: unknown): Failure {
    return failureOf(error);
  }

  explain(error: unknown): string {
    return explainFailure(error, this.#options);
  }

  async dispose(): Promise<void> {
    this.#api.dispose();
  }

  /**
   * Whether a failure says that there is no such object. The answer for an object that is missing may be that for a bucket that is.
   * @throws the failure that says that there is no bucket
   */
  async #isAbsence(error: unknown): Promise<boolean> {
    if (!(error instanceof GcsError) || error.status !== 404 || error.saysNoBucket) return false;
    const askedAt = performance.now();
    if (askedAt - this.#seenAt < BUCKET_SEEN) return true;
    // Not by its metadata: those take a right of their own.
    await this.list('', { limit: 1 });
    this.#seenAt = askedAt;
    return true;
  }

  async #sign(key: string, { ttl, mediaType, disposition }: SignedUrlOptions): Promise<URL> {
    const file = this.#api.storage.bucket(this.#options.bucket).file(key);
    const [url] = await file.getSignedUrl({
      version: 'v4',
      action: 'read',
      // In whole seconds: one second at the least.
      expires: Date.now() + Math.max(1000, ttl),
      ...(mediaType !== undefined && { responseType: mediaType }),
      ...(disposition !== undefined && { responseDisposition: disposition }),
    });
    return new URL(url);
  }
}

/** The parameter that asks for a page. */
function pageQuery(page: string): Record<string, string> {
  const offset = offsetOf(page);
  return offset === undefined ? { pageToken: page.slice('token '.length) } : { startOffset: offset };
}

/** The key that a page begins with, which the page before had last. `undefined`: it begins after that. */
function offsetOf(page: string | undefined): string | undefined {
  return page?.startsWith('from ') === true ? page.slice('from '.length) : undefined;
}

/** Reads the resource of an object. */
function readObject({ kind, name, size, generation }: Readonly<Record<string, unknown>>, key: string): ObjectHead {
  const bytes = Number(size);
  if (kind !== 'storage#object' || name !== key || generation === undefined || !Number.isSafeInteger(bytes))
    throw new UnexpectedReply(
      `expected the object ${key} from Google Cloud Storage, found ${String(kind)} ${String(name)}`,
    );
  return { size: bytes, etag: String(generation) };
}
