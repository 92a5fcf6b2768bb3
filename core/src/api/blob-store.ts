import type { Readable } from 'node:stream';
import type { Digest } from './digest.js';

/** A part of a blob: both ends in bytes, `end` included, as in HTTP. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The metadata of a blob. */
export interface BlobInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Bytes to put. */
export interface BlobSource {
  /** The bytes from the start. May be called again when the store retries. The store destroys what it opened. */
  open(): Readable;
  /**
   * A complete file with exactly these bytes **whose digest the caller has verified**. A store on the same file
   * system may link it instead of copying. The caller keeps the file until `put` settles and never writes to it again.
   */
  readonly path?: string | undefined;
  /**
   * All bytes, **whose digest the caller has verified**, where they are in memory anyway. They must not be written to
   * again.
   */
  readonly bytes?: Uint8Array | undefined;
}

/** Options of opening a blob. */
export interface BlobOpenOptions {
  readonly range?: ByteRange | undefined;
  /** The expected size in bytes. */
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Options of putting a blob. */
export interface BlobPutOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of a put that has not ended: the process that does it may be at work, or no more. */
export interface UnfinishedPut {
  /** Absent: it is not of a blob. */
  readonly digest?: Digest | undefined;
  /** When it began, by the clock of the store; milliseconds since the epoch. */
  readonly startedAt: number;
  /** Removes its bytes. A process that is still at work fails then, and puts its blob anew. */
  remove(): Promise<void>;
}

/** Options of a URL that serves a blob by itself. */
export interface SignedUrlOptions {
  /** For how long it serves, in milliseconds. */
  readonly ttl: number;
  /** The `Content-Type` of its reply. Default: the store's own. */
  readonly mediaType?: string | undefined;
  /** The `Content-Disposition` of its reply. Default: none. */
  readonly disposition?: string | undefined;
}

/**
 * Immutable bytes by digest. No key comes from a client, so no path does. Absence is `undefined`; only failure throws
 * (`EntrepotError` of kind `storage`).
 */
export interface BlobStore {
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  /**
   * The bytes, or those of `range`, which must lie inside the blob. `undefined` when there is no such blob.
   * A blob that is deleted while it is being read is read to its end. The caller destroys the stream. An aborted
   * `signal` rejects, or fails the stream; it never ends it cleanly. With `size`: a blob of another size, as damage leaves it, is none.
   */
  open(digest: Digest, options?: BlobOpenOptions): Promise<Readable | undefined>;
  /**
   * Stores the bytes. Atomic: at any instant the blob is whole or absent, also after a crash. Idempotent, also when
   * several callers put one digest at once. Bytes that do not have `size` or `digest` are refused (`integrity`) and
   * leave nothing; where `source.path` or `source.bytes` is used, only the size is checked again. A blob that is there but damaged is
   * replaced. An aborted `signal` rejects.
   */
  put(digest: Digest, size: number, source: BlobSource, options?: BlobPutOptions): Promise<void>;
  /** @returns whether there was one. */
  delete(digest: Digest): Promise<boolean>;
  /**
   * Takes a damaged blob out of the store, and keeps its bytes for those who look into it. A driver that cannot do this leaves it out.
   * @returns `false` where the bytes are right: somebody has put them since they were found damaged, and they stay
   */
  setAside?(digest: Digest): Promise<boolean>;
  /** Puts that have not ended, but for those of this process. A driver that cannot leave any leaves it out. */
  unfinished?(signal?: AbortSignal): AsyncIterable<UnfinishedPut>;
  /** Every blob, in no order. Blobs that come or go meanwhile may or may not be among them. */
  list(): AsyncIterable<BlobInfo>;
  /**
   * @param only `read`: whether the store can be written does not matter
   * @throws EntrepotError `storage` when the store cannot be read and written now
   */
  check(only?: 'read'): Promise<void>;
  dispose(): Promise<void>;
  /**
   * The path of the blob's file on this machine, for tools, which must not change it. It may vanish when the blob is
   * deleted. `undefined` when there is no such blob. Absent: the driver has no files.
   */
  pathOf?(digest: Digest): Promise<string | undefined>;
  /** The id that was given to the store, which its database has as well. `undefined`: none was. Both or neither of the two methods. */
  storeId?(): Promise<string | undefined>;
  /** Gives the store an id. */
  setStoreId?(id: string): Promise<void>;
  /** Bytes that can still be written. A driver without a bound of its own leaves it out. */
  freeBytes?(): Promise<number>;
  /**
   * A URL that serves the bytes by itself, whether or not there are any. A driver that cannot do this leaves it out.
   * @returns `undefined` where the bytes are better had from `open`, since they are on this machine or the store cannot be reached
   */
  signedUrl?(digest: Digest, options: SignedUrlOptions): Promise<URL | undefined>;
}
