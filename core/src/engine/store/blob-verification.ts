import { createHash } from 'node:crypto';
import type { BlobInfo, BlobStore } from '../../api/blob-store.js';
import type { Digest } from '../../api/digest.js';

/** Condition of a blob in a store: right, other bytes of its size, or none of its size. */
export type BlobCondition = 'intact' | 'damaged' | 'missing';

/**
 * Compares a blob with its digest, and changes nothing.
 * @param pace is called with the bytes that were read, and resolves when to go on
 * @throws EntrepotError `storage` for a blob that cannot be read
 */
export async function inspectBlob(
  store: Pick<BlobStore, 'open'>,
  { digest, size }: BlobInfo,
  pace?: (bytes: number) => Promise<void>,
): Promise<BlobCondition> {
  const stream = await store.open(digest, { size });
  if (stream === undefined) return 'missing';
  const hash = createHash('sha256');
  for await (const part of stream as AsyncIterable<Buffer>) {
    hash.update(part);
    await pace?.(part.length);
  }
  return `sha256:${hash.digest('hex')}` === digest ? 'intact' : 'damaged';
}

/** Takes a damaged blob out of its store. @returns `false` where somebody has put it again meanwhile: then it stays */
export async function takeOut(store: BlobStore, digest: Digest): Promise<boolean> {
  if (store.setAside !== undefined) return await store.setAside(digest);
  await store.delete(digest);
  return true;
}
