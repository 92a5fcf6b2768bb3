import { EntrepotError } from '@entrepot/core';
import { builtProgram, WorkerPool } from '@entrepot/core/formats';
import { metadataOf, type WheelMetadata } from './wheel-metadata.js';

/** Idle time after which the thread is ended; milliseconds. */
const KEEP_IDLE = 10_000;

/** The directory of a wheel may be tens of megabytes: others are answered while it is read. */
const threads = new WorkerPool<string, WheelMetadata>(
  builtProgram(import.meta.url, 'wheel-worker', () => metadataOf),
  { most: 1, keepIdle: KEEP_IDLE },
);

/**
 * The metadata of the wheel at `path`, byte for byte.
 * @throws EntrepotError `not-found` for a file that is no wheel, or has none or several
 */
export async function metadataAside(path: string, signal: AbortSignal): Promise<Uint8Array> {
  const found = await threads.run(path, signal);
  if ('bytes' in found) return found.bytes;
  throw new EntrepotError('not-found', `The wheel gives no metadata: ${found.refused}`);
}
