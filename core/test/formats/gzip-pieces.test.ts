import { crc32, gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { combineCrc32, deflatePiece, GZIP_HEADER, gzipTrailer } from '../../src/formats/gzip-pieces.js';
import { patterned } from '../engine/harness.js';

describe('combineCrc32', () => {
  const bytes = patterned(300_000);

  it.each([0, 1, 2, 3, 7, 8, 31, 255, 256, 65_535, 65_536, 131_072, 299_999, 300_000])(
    'joins the sums of two parts, the first of %i bytes',
    (length) => {
      const [first, second] = [bytes.subarray(0, length), bytes.subarray(length)];
      expect(combineCrc32(crc32(first), crc32(second), second.length)).toBe(crc32(bytes));
    },
  );

  it('joins many', () => {
    let sum = 0;
    for (let at = 0; at < bytes.length; at += 7_001) {
      const part = bytes.subarray(at, at + 7_001);
      sum = combineCrc32(sum, crc32(part), part.length);
    }
    expect(sum).toBe(crc32(bytes));
  });
});

describe('a gzip member of pieces', () => {
  it.each([[], [0], [1], [7, 0, 65_536], [100_000, 3, 100_000]])('holds the bytes of all: %j', async (...lengths) => {
    const pieces = lengths.map((length) => patterned(length));
    const deflated = await Promise.all(pieces.map((piece) => deflatePiece(piece)));
    const member = Buffer.concat([GZIP_HEADER, ...deflated.map(({ blocks }) => blocks), gzipTrailer(deflated)]);
    expect(gunzipSync(member)).toEqual(Buffer.concat(pieces));
  });
});
