import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { malformed } from '@entrepot/core/formats';
import xz from 'xz-decompress';

/** The largest index that is read, in bytes, unpacked. */
const LARGEST = 4 * 1024 * 1024 * 1024;

/**
 * Unpacks an index by what it begins with: gzip, xz, zstd, or nothing. Runs in a thread. `packed` ends with whoever reads.
 * @returns `undefined` for a form that is not read (bzip2, lzma, zchunk)
 */
export async function unpacked(packed: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array> | undefined> {
  const pieces = packed[Symbol.asyncIterator]();
  const { value: first = new Uint8Array() } = await pieces.next();
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      yield first;
      for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
    } finally {
      await pieces.return?.();
    }
  }
  const begins = Buffer.from(first.subarray(0, 6)).toString('hex');
  // bzip2; lzma of xz-utils; zchunk
  if (UNREAD.some((magic) => begins.startsWith(magic))) return void (await pieces.return?.());
  if (begins.startsWith('1f8b')) return bounded(pipeline(Readable.from(all()), createGunzip(), () => {}));
  if (begins.startsWith('28b52ffd')) return bounded(pipeline(Readable.from(all()), createZstdDecompress(), () => {}));
  return bounded(begins === 'fd377a585a00' ? unxz(Readable.from(all())) : all());
}

const UNREAD: readonly string[] = ['425a68', '5d0000', '005a434b31'];

async function* unxz(packed: Readable): AsyncGenerator<Uint8Array> {
  const stream = Readable.toWeb(packed) as unknown as ConstructorParameters<typeof xz.XzReadableStream>[0];
  try {
    yield* new xz.XzReadableStream(stream) as unknown as AsyncIterable<Uint8Array>;
  } finally {
    packed.destroy();
  }
}

async function* bounded(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let size = 0;
  try {
    for await (const bytes of plain) {
      size += bytes.length;
      if (size > LARGEST) break;
      yield bytes;
    }
  } catch (error) {
    throw malformed('an index', 'it cannot be unpacked', error);
  }
  if (size > LARGEST) throw malformed('an index', `expected ${LARGEST} bytes at most, unpacked`);
}
