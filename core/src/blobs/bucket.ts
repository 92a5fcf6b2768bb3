import type { ByteRange, SignedUrlOptions } from '../api/blob-store.js';
import type { KnownBytes } from './known-bytes.js';
import type { ObjectReply } from './object-reader.js';
import type { Failure } from './failures.js';

/** The head of an object. */
export interface ObjectHead {
  /** Bytes. */
  readonly size: number;
  /** Differs between two objects that one key has had. */
  readonly etag: string;
}

/** An object of a listing. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
}

/** One page of a listing. */
export interface ListedPage {
  readonly objects: readonly ListedObject[];
  /** Says to `list` where the next page begins. `undefined`: this one is the last. */
  readonly next: string | undefined;
}

/** The bytes of an object that is to be written. */
export interface ObjectBody {
  readonly size: number;
  /** Parts of the bytes, in any order and any number of times. Absent: they come once, by `open`. */
  readonly known?: KnownBytes | undefined;
  /** All bytes. Fails before the last of them where they are not what they should be. Called once, where they are not known. */
  open(): AsyncGenerator<Buffer>;
  /** Does each request of a `put` again where its failure may pass, as far as its bytes can be had again. */
  retry<T>(work: () => Promise<T>): Promise<T>;
}

/** Options of reading an object. */
export interface GetOptions {
  /** Lies inside the object, as far as the caller knows. */
  readonly range?: ByteRange | undefined;
  /** The tag that the object must have: another object is a failure. */
  readonly etag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Requests to the objects of one bucket. Each method sends its requests once and throws what the client throws: repeating them is not its
 * business. What is no answer of the store is an `UnexpectedReply`.
 */
export interface Bucket {
  /** The bucket for people, without a slash at its end. */
  readonly name: string;
  /** The longest pause within a body, in milliseconds. */
  readonly idleTimeout: number;
  /** The head of an object. `undefined`: there is surely none; a bucket that is missing is a failure. */
  head(key: string, signal?: AbortSignal): Promise<ObjectHead | undefined>;
  /**
   * The bytes of an object. The caller reads or destroys them.
   * @returns `absent`: there is surely none; `beyond`: it is too short for the range
   */
  get(key: string, options: GetOptions): Promise<ObjectReply | 'absent' | 'beyond'>;
  /** Writes an object, whole or not at all. One that is there is replaced. */
  put(key: string, body: ObjectBody, signal?: AbortSignal): Promise<void>;
  /**
   * Deletes an object; with `etag` only one that has it.
   * @returns whether it was there
   */
  delete(key: string, etag?: string): Promise<boolean>;
  /** A page of the objects whose keys begin with `prefix`. Checks that it is one. */
  list(prefix: string, options: { readonly page?: string | undefined; readonly limit: number }): Promise<ListedPage>;
  /** A URL that serves an object by itself. Absent: the credentials cannot sign. */
  signUrl?: ((key: string, options: SignedUrlOptions) => Promise<URL>) | undefined;
  /** Reads the facts of what a method has thrown. */
  failureOf(error: unknown): Failure;
  /** Says why the bucket cannot be used, and what to set. */
  explain(error: unknown): string;
  dispose(): Promise<void>;
}
