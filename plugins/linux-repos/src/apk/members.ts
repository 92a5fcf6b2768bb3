import { promisify } from 'node:util';
import { crc32, inflateRaw, type InflateRaw } from 'node:zlib';
import { malformed } from '@entrepot/core/formats';

const EXTRA = 4;
const NAME = 8;
const COMMENT = 16;
const HEADER_CRC = 2;
const HEAD = 10;
const TRAILER = 8;

/** A gzip member (RFC 1952), unpacked. */
export interface GzipMember {
  /** Bytes, packed, with its head and trailer. */
  readonly length: number;
  readonly plain: Buffer;
}

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: Pick<InflateRaw, 'bytesWritten'>;
}

// With `info`, as the types do not have it.
const inflate = promisify(inflateRaw) as unknown as (
  bytes: Uint8Array,
  options: { readonly info: true; readonly maxOutputLength: number },
) => Promise<Inflated>;

/**
 * Unpacks the first gzip member of `bytes`, and finds where it ends: parts of packages are signed and summed as they are packed.
 * @param most bytes of it, unpacked
 * @returns `undefined` where it goes on after `bytes`
 * @throws EntrepotError `upstream-unavailable` for what is none, is damaged or is larger
 */
export async function firstMember(bytes: Buffer, most: number, subject: string): Promise<GzipMember | undefined> {
  const start = headLength(bytes, subject);
  if (start === undefined) return undefined;
  let inflated: Inflated;
  try {
    inflated = await inflate(bytes.subarray(start), { info: true, maxOutputLength: most });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') return undefined;
    const problem =
      code === 'ERR_BUFFER_TOO_LARGE' ? `a part has more than ${most} bytes` : 'a part cannot be unpacked';
    throw malformed(subject, problem, error);
  }
  const { buffer: plain, engine } = inflated;
  const end = start + engine.bytesWritten;
  if (bytes.length < end + TRAILER) return undefined;
  if (bytes.readUInt32LE(end) !== crc32(plain) || bytes.readUInt32LE(end + 4) !== plain.length)
    throw malformed(subject, 'a part is damaged');
  return { length: end + TRAILER, plain };
}

/** @returns `undefined` where it goes on after `bytes` */
function headLength(bytes: Buffer, subject: string): number | undefined {
  if (bytes.length < HEAD) return undefined;
  const flags = bytes[3] as number;
  if (bytes.readUInt16BE(0) !== 0x1f8b || bytes[2] !== 8 || flags >= 0x20)
    throw malformed(subject, 'expected parts in gzip');
  let at = HEAD;
  if ((flags & EXTRA) !== 0) {
    if (bytes.length < at + 2) return undefined;
    at += 2 + bytes.readUInt16LE(at);
  }
  for (const text of [NAME, COMMENT]) {
    if ((flags & text) === 0) continue;
    const nul: number = bytes.indexOf(0, at);
    if (nul === -1) return undefined;
    at = nul + 1;
  }
  if ((flags & HEADER_CRC) !== 0) at += 2;
  return at <= bytes.length ? at : undefined;
}
