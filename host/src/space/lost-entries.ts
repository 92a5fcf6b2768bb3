import { packageUrl, type BlobInfo, type Digest, type Entry } from '@entrepot/core';

/** The number of entries that a report lists. */
const LISTED = 1_000;

/**
 * Condition of lost bytes: other ones, none of this size, not readable; `lost`: known since an earlier run, and out of the store.
 */
export type LostCondition = 'damaged' | 'missing' | 'unreadable' | 'lost';

/** An entry whose bytes are lost. */
export interface LostEntry {
  readonly repository: string;
  readonly key: string;
  /** Absent: it has no name for policy. */
  readonly purl?: string | undefined;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The name of the uploader. Absent: it was fetched, or the uploader was not authenticated. */
  readonly storedBy?: string | undefined;
  /** When it was stored; milliseconds since the epoch. */
  readonly fetchedAt: number;
  readonly condition: LostCondition;
  /** Why they could not be fetched again. Absent: nobody tried. */
  readonly reason?: string | undefined;
}

/** Entries whose bytes are lost. */
export interface LostEntries {
  readonly count: number;
  /** The first of them, a thousand at the most. */
  readonly entries: readonly LostEntry[];
}

/** Collects entries whose bytes are lost. */
export class LostList {
  #count = 0;
  readonly #entries: LostEntry[] = [];

  add({ repository, key, coordinates, storedBy, fetchedAt }: Entry, { digest, size }: BlobInfo, how: How): void {
    this.#count += 1;
    if (this.#entries.length >= LISTED) return;
    const purl = coordinates && packageUrl(coordinates);
    this.#entries.push({ repository, key, purl, digest, size, storedBy, fetchedAt, ...how });
  }

  get report(): LostEntries {
    return { count: this.#count, entries: [...this.#entries] };
  }
}

type How = Pick<LostEntry, 'condition' | 'reason'>;
