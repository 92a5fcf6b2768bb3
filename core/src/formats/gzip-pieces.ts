import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';

const deflate = promisify(deflateRaw);

/** A gzip header (RFC 1952 §2.3): deflate, no flags, no time, an unknown system. */
export const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** The last block of a deflate stream, with nothing in it (RFC 1951 §3.2.3). */
const LAST_BLOCK = [3, 0];

/** Bytes as blocks of a deflate stream that begin and end at a byte and refer to nothing before them. */
export interface DeflatedPiece {
  readonly blocks: Buffer;
  /** The CRC-32 of the bytes. */
  readonly sum: number;
  /** The number of bytes. */
  readonly size: number;
}

/** Compresses a piece of a gzip member by itself. */
export async function deflatePiece(bytes: Uint8Array): Promise<DeflatedPiece> {
  const blocks = await deflate(bytes, { finishFlush: constants.Z_FULL_FLUSH });
  return { blocks, sum: crc32(bytes), size: bytes.length };
}

/** Makes the end of the gzip member (RFC 1952) that `GZIP_HEADER` and the blocks of `pieces` begin. */
export function gzipTrailer(pieces: readonly Pick<DeflatedPiece, 'sum' | 'size'>[]): Buffer {
  let sum = 0;
  let length = 0;
  for (const piece of pieces) {
    sum = combineCrc32(sum, piece.sum, piece.size);
    length += piece.size;
  }
  const trailer = Buffer.from([...LAST_BLOCK, 0, 0, 0, 0, 0, 0, 0, 0]);
  trailer.writeUInt32LE(sum, 2);
  trailer.writeUInt32LE(length % 2 ** 32, 6);
  return trailer;
}

/** The polynomial of CRC-32 (RFC 1952 §8), bits reversed; the highest bit stands for x^0. */
const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/** x^(2^n), for n from 0. */
const SQUARES: readonly number[] = (() => {
  const squares = [0x40000000];
  for (let n = 1; n < 32; n += 1) squares.push(multiply(squares[n - 1] as number, squares[n - 1] as number));
  return squares;
})();

/**
 * The CRC-32 of two parts together, from those of each: `first` shifted by as many zero bytes as `second` has bytes.
 * @param length bytes of the second part
 */
export function combineCrc32(first: number, second: number, length: number): number {
  let shift = ONE;
  // x^(8 · length), by its binary digits; x^(2^32) is x^1 again.
  for (let rest = length, n = 3; rest > 0; rest = Math.floor(rest / 2), n += 1)
    if (rest % 2 === 1) shift = multiply(SQUARES[n % 32] as number, shift);
  return (multiply(shift, first) ^ second) >>> 0;
}

/** The product of two polynomials, modulo that of CRC-32. */
function multiply(left: number, right: number): number {
  let product = 0;
  let factor = right;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) product ^= factor;
    factor = (factor & 1) === 0 ? factor >>> 1 : (factor >>> 1) ^ POLYNOMIAL;
  }
  return product >>> 0;
}
