import { createHash } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import type { BlobInfo, BlobOpenOptions, BlobPutOptions, BlobSource, BlobStore } from '../api/blob-store.js';
import type { Digest } from '../api/digest.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import { pieces } from './sample-bytes.js';

const PIECE = 64 * 1024;

/** A `BlobStore` in memory, for tests: whole blobs are held. */
export class MemoryBlobStore implements BlobStore {
  readonly #blobs = new Map<Digest, Buffer>();

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    const blob = this.#blobs.get(digest);
    return blob && { digest, size: blob.length };
  }

  async open(digest: Digest, options: BlobOpenOptions = {}): Promise<Readable | undefined> {
    const blob = this.#blobs.get(digest);
    if (blob === undefined || (options.size ?? blob.length) !== blob.length) return undefined;
    const { start, end } = options.range ?? { start: 0, end: blob.length - 1 };
    if (options.range !== undefined && !(start >= 0 && start <= end && end < blob.length)) {
      throw new EntrepotError(
        'storage',
        `${digest}: expected a range within ${blob.length} bytes, found ${start}-${end}`,
      );
    }
    const stream = Readable.from(pieces(blob.subarray(start, end + 1), PIECE), { objectMode: false });
    return options.signal === undefined ? stream : addAbortSignal(options.signal, stream);
  }

  async put(digest: Digest, size: number, source: BlobSource, options: BlobPutOptions = {}): Promise<void> {
    const bytes = await readAll(source, size, options.signal);
    const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (bytes.length !== size || found !== digest) {
      throw new EntrepotError('integrity', `expected ${size} bytes of ${digest}, found ${bytes.length} of ${found}`);
    }
    if (!this.#blobs.has(digest)) this.#blobs.set(digest, bytes);
  }

  async delete(digest: Digest): Promise<boolean> {
    return this.#blobs.delete(digest);
  }

  async *list(): AsyncIterable<BlobInfo> {
    for (const [digest, { length }] of this.#blobs) yield { digest, size: length };
  }

  async check(): Promise<void> {}

  async dispose(): Promise<void> {
    this.#blobs.clear();
  }
}

/** Reads at most a little more than `limit`: a source that is too long is refused without being held. */
async function readAll(source: BlobSource, limit: number, signal: AbortSignal | undefined): Promise<Buffer> {
  signal?.throwIfAborted();
  const stream = source.open();
  if (signal !== undefined) addAbortSignal(signal, stream);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(Buffer.from(chunk as Uint8Array));
      length += (chunk as Uint8Array).length;
      if (length > limit) break;
    }
  } catch (error) {
    throw asEntrepotError(error, 'storage', 'the bytes to put could not be read');
  } finally {
    stream.destroy();
  }
  return Buffer.concat(chunks);
}
