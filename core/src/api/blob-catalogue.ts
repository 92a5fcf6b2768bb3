import type { BlobInfo } from './blob-store.js';
import type { Digest } from './digest.js';

/** A hold on a blob. */
export interface BlobHold {
  readonly id: string;
  /** Whether the catalogue had no such blob before. */
  readonly isNew: boolean;
}

/**
 * The catalogue of all blobs, which says what may be deleted. A blob is kept while an entry points at it or somebody holds it.
 * Seen by all replicas. Only failure throws (`EntrepotError` of kind `storage`).
 */
export interface BlobCatalogue {
  /** The time after which a hold that was not released ends by itself, in milliseconds. */
  readonly holdTime: number;
  /**
   * Holds a blob that is about to be stored, or to be named by an entry. Waits while it is being deleted.
   * @param repository of the entry
   * @throws EntrepotError `storage` with the status 507 where there is no room for it
   */
  hold(repository: string, blob: BlobInfo): Promise<BlobHold>;
  /** Ends a hold, soon. The entry that was put meanwhile keeps the blob. */
  release(hold: BlobHold): void;
  /** Notes that blobs were served. */
  visited(digests: readonly Digest[]): Promise<void>;
  /** Notes that a blob is damaged, and out of the store: it is missing until it is put again. */
  damaged(digest: Digest): Promise<void>;
}
