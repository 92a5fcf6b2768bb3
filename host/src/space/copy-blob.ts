import { type BlobInfo, type BlobStore, EntrepotError } from '@entrepot/core';
import { hasDigest } from '@entrepot/core/blobs';

/** Stores send blobs above this size in parts, of which not all are held against a digest. Bytes. */
const LARGE = 64 * 1024 * 1024;

/** What became of a copy: made, there already, or not possible, since the source has not the bytes. */
export type Copied = 'copied' | 'there' | 'missing';

/**
 * Copies a blob, held against its digest as it is read, and by the target where that does so.
 * @param readBack whether a large one is read again from the target
 */
export async function copyBlob(
  { digest, size }: BlobInfo,
  from: BlobStore,
  to: BlobStore,
  signal: AbortSignal,
  readBack = false,
): Promise<Copied> {
  if ((await to.stat(digest))?.size === size) return 'there';
  const found = await from.open(digest, { size, signal });
  if (found === undefined) return 'missing';
  let source: typeof found | undefined = found;
  const open = () => {
    const stream = source;
    source = undefined;
    if (stream === undefined) throw new Error('a blob is read once');
    return stream;
  };
  try {
    await to.put(digest, size, { open }, { signal });
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'integrity') return 'missing';
    throw error;
  } finally {
    source?.destroy();
  }
  if (readBack && size > LARGE) await requireWhole(digest, to, signal);
  return 'copied';
}

async function requireWhole(digest: BlobInfo['digest'], to: BlobStore, signal: AbortSignal): Promise<void> {
  const copy = await to.open(digest, { signal });
  if (copy !== undefined && (await hasDigest(copy, digest))) return;
  await to.delete(digest);
  throw new EntrepotError('storage', `${digest} does not read from the target as it was written`);
}
