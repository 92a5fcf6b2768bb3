import { inflateRawSync } from 'node:zlib';

/** The first byte of a kept record: what follows. */
const PLAIN = 0;
const DEFLATED = 1;
const LARGEST_RECORD = 64 * 1024 * 1024;

/** A record as it is kept: the bytes of the dump, still deflated where they were. */
export function storeRecord(content: Uint8Array, deflated?: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(deflated === undefined ? PLAIN : DEFLATED), deflated ?? content]);
}

/** The JSON text of a kept record. */
export function recordText(stored: Buffer): string {
  const bytes = stored.subarray(1);
  return (stored[0] === PLAIN ? bytes : inflateRawSync(bytes, { maxOutputLength: LARGEST_RECORD })).toString('utf8');
}
