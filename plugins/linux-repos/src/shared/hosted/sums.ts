import { subtle } from 'node:crypto';

/** Sums bytes by SHA-256, off the event loop. @returns hex */
export async function sha256Of(bytes: Buffer): Promise<string> {
  return Buffer.from(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString('hex');
}
