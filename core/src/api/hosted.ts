import type { ByteRange } from './blob-store.js';
import type { Caller } from './access.js';
import type { Content } from './content.js';
import type { PackageCoordinates } from './coordinates.js';
import type { Entry, Expectation } from './entry-index.js';

/** The view of one hosted repository that its hooks get. */
export interface HostedContext {
  /** The URL of the repository as this client reaches it, without a trailing slash. */
  readonly baseUrl: string;
  readonly caller: Caller;
  find(key: string): Promise<Entry | undefined>;
  /** Yields the entries whose key begins with `prefix`, by key in code-point order. They are read in pages. */
  list(prefix: string): AsyncIterable<Entry>;
  /** The bytes of a kept entry. Reading fails with `storage` when they are missing. */
  content(entry: Entry): Content;
}

/** One entry that a change makes. Its bytes: `bytes`, or those of the entry `sameAs`, or else the body of the upload. */
export interface ReceivedEntry {
  readonly key: string;
  readonly bytes?: Uint8Array | undefined;
  /** A part of the body of the request, both ends included: the archive behind the metadata that came with it. */
  readonly slice?: ByteRange | undefined;
  /** The bytes of this entry again, under another key: a retag, a mount. */
  readonly sameAs?: Entry | undefined;
  readonly mediaType: string;
  /** Headers that clients get with it, names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly coordinates?: PackageCoordinates | undefined;
  /** The protocol's own data of the entry. JSON. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

/** A change to a hosted repository: carried out as a whole or not at all. */
export interface HostedChange {
  /** Entries that must be new: one that exists is a `conflict`. */
  readonly create?: readonly ReceivedEntry[] | undefined;
  /** Entries that are put whatever was there. */
  readonly replace?: readonly ReceivedEntry[] | undefined;
  /** Keys of entries that are removed; one that is absent is passed over. */
  readonly remove?: readonly string[] | undefined;
  /** The state that the change was computed from. When it has changed, the hook is called again. */
  readonly expect?: readonly Expectation[] | undefined;
  /** The reply to the client. Absent: 201 for a new entry, 200 for a replaced one, 204 for a delete. */
  readonly reply?: ChangeReply | undefined;
}

/** The reply to a change. */
export interface ChangeReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly mediaType?: string | undefined;
  readonly body?: string | undefined;
}

/** The progress of an upload in several requests. */
export interface SessionState {
  /** Unguessable, safe in a URL. */
  readonly id: string;
  /** Bytes received so far. */
  readonly size: number;
}
