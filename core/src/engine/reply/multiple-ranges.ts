import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ByteRange } from '../../api/blob-store.js';
import { parseRange } from './range.js';

/** The bound on ranges of one request: clients of zchunk ask for so many. */
const MOST = 256;

/**
 * Parses a `Range` header with several ranges for a representation of `size` bytes (RFC 9110 §14.1.2), in the order that they are asked
 * for. Those that lie outside are left out.
 * @returns `unsatisfiable` where all do; `undefined` where the header is to be ignored: it is malformed, has one range or too many, or
 * asks for more bytes than there are (RFC 9110 §14.2, §17.15)
 */
export function parseRanges(header: string, size: number): readonly ByteRange[] | 'unsatisfiable' | undefined {
  const [, list = ''] = /^\s*bytes=(.*)$/i.exec(header) ?? [];
  const asked = list.split(',', MOST + 1);
  if (asked.length < 2 || asked.length > MOST) return undefined;
  const ranges: ByteRange[] = [];
  let sum = 0;
  for (const one of asked) {
    const range = parseRange(`bytes=${one.trim()}`, size);
    if (range === undefined) return undefined;
    if (range === 'unsatisfiable') continue;
    ranges.push(range);
    sum += range.end - range.start + 1;
  }
  if (ranges.length === 0) return 'unsatisfiable';
  return sum > size ? undefined : ranges;
}

/** Several ranges as one body (RFC 9110 §14.6). */
export interface Multipart {
  readonly mediaType: string;
  /** Bytes of the body. */
  readonly size: number;
  open(): Readable;
}

/** Puts ranges of a representation into one body. */
export function multipart(
  { mediaType, size }: { readonly mediaType: string; readonly size: number },
  ranges: readonly ByteRange[],
  open: (range: ByteRange) => Buffer | Readable | Promise<Buffer | Readable>,
): Multipart {
  const boundary = randomBytes(18).toString('hex');
  const heads = ranges.map(({ start, end }) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${mediaType}\r\nContent-Range: bytes ${start}-${end}/${size}\r\n\r\n`,
    ),
  );
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  const lengths = ranges.map((range, index) => (heads[index] as Buffer).length + range.end - range.start + 1);
  async function* parts(): AsyncGenerator<Buffer> {
    for (const [index, range] of ranges.entries()) {
      yield heads[index] as Buffer;
      const body = await open(range);
      if (Buffer.isBuffer(body)) yield body;
      else yield* body;
    }
    yield end;
  }
  return {
    mediaType: `multipart/byteranges; boundary=${boundary}`,
    size: lengths.reduce((sum, length) => sum + length, end.length),
    open: () => Readable.from(parts(), { objectMode: false }),
  };
}
