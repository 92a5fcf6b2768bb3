import type { BlobStore, Clock, Digest } from '@entrepot/core';

/** A put that began so long ago has been left, in milliseconds. */
const LEFT_AFTER = 24 * 3_600_000;
/** The most that are removed in one run. */
const MOST = 10_000;

export interface UnfinishedServices {
  readonly blobs: Pick<BlobStore, 'unfinished'>;
  readonly clock: Clock;
  /** Whether some process is about to put a blob. */
  readonly isHeld: (digest: Digest, now: number) => Promise<boolean>;
}

export interface RemovalOptions {
  /** Counts, and removes nothing. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called for each that is removed. */
  readonly onRemoved: () => void;
}

/**
 * Removes what processes that are no more have left of puts: begun a day ago, and of no blob that is held. Some stores say wrongly when a put
 * began, and some processes are slow: neither alone is proof.
 */
export async function removeUnfinished(
  { blobs, clock, isHeld }: UnfinishedServices,
  { dryRun, signal, onRemoved }: RemovalOptions,
): Promise<void> {
  let removed = 0;
  for await (const { digest, startedAt, remove } of blobs.unfinished?.(signal) ?? []) {
    signal?.throwIfAborted();
    const now = clock.now();
    if (startedAt > now - LEFT_AFTER || (digest !== undefined && (await isHeld(digest, now)))) continue;
    if (!dryRun) await remove();
    onRemoved();
    removed += 1;
    if (removed >= MOST) return;
  }
}
