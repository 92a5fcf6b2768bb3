import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../../api/logger.js';
import type { BlobCache } from './blob-cache.js';

/** When the first pass begins, and how long after one the next begins; milliseconds. */
const FIRST_AFTER = 60_000;
const NEXT_AFTER = 3_600_000;

/** Result of a pass over all blobs. */
export interface Verified {
  readonly blobs: number;
  readonly damaged: number;
}

/**
 * Reads every blob, at `rate` bytes a second, and holds it against its digest. Damaged ones are set aside, so that they are fetched or
 * uploaded again.
 */
export async function verifyBlobs(blobs: BlobCache, rate: number, signal: AbortSignal): Promise<Verified> {
  let count = 0;
  let damaged = 0;
  const pace = async (bytes: number): Promise<void> => {
    signal.throwIfAborted();
    if (rate !== Infinity) await pause((bytes / rate) * 1000, undefined, { signal, ref: false });
  };
  for await (const { digest } of blobs.store.list()) {
    signal.throwIfAborted();
    count += 1;
    if ((await blobs.verify(digest, pace)) === false) damaged += 1;
  }
  return { blobs: count, damaged };
}

/** Verifies all blobs again and again behind the work of a server. @returns the way to end it */
export function verifyInBackground(blobs: BlobCache, rate: number, logger: Logger): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  const run = async (): Promise<void> => {
    for (let wait = FIRST_AFTER; !signal.aborted; wait = NEXT_AFTER) {
      await pause(wait, undefined, { signal, ref: false });
      try {
        logger.info({ ...(await verifyBlobs(blobs, rate, signal)) }, 'the blobs were verified');
      } catch (error) {
        if (!signal.aborted) logger.warn({ error }, 'the blobs could not be verified');
      }
    }
  };
  run().catch(() => {});
  return () => ending.abort();
}
