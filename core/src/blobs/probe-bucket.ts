import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ByteRange } from '../api/blob-store.js';
import type { ListedPage } from './bucket.js';
import { UnexpectedReply } from './failures.js';

const SIZE = 64;
const RANGE = { start: 8, end: 15 };

/** The parts of a store that a probe tries. */
export interface Probed {
  write(key: string, bytes: Buffer): Promise<void>;
  read(key: string, range?: ByteRange): Promise<Readable | undefined>;
  list(prefix: string): Promise<ListedPage>;
  delete(key: string): Promise<boolean>;
}

/** Tries everything that a store does: writes, reads, ranges, absence, lists, deletion. Leaves nothing behind. */
export async function probeBucket(probed: Probed, key: string): Promise<void> {
  const bytes = randomBytes(SIZE);
  await probed.write(key, bytes);
  try {
    const whole = await bytesOf(probed.read(key));
    const part = await bytesOf(probed.read(key, RANGE));
    if (whole?.equals(bytes) !== true || part?.equals(bytes.subarray(RANGE.start, RANGE.end + 1)) !== true)
      throw new UnexpectedReply('expected what was written, whole and in part, found something else');
    // Without the right to list, what is absent may be "forbidden", and nothing could be told to be missing.
    if ((await bytesOf(probed.read(`${key}.absent`))) !== undefined)
      throw new UnexpectedReply('expected no object under a name that nobody has used, found one');
    const { objects } = await probed.list(key);
    if (objects.length !== 1 || objects[0]?.size !== SIZE)
      throw new UnexpectedReply('expected the object of the probe in a listing, found none');
  } finally {
    await probed.delete(key);
  }
}

async function bytesOf(reading: Promise<Readable | undefined>): Promise<Buffer | undefined> {
  const stream = await reading;
  return stream && (await buffer(stream));
}
