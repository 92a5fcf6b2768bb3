import { z } from 'zod';

/** The signatures around a manifest of Docker's first schema (JSON Web Signature, as libtrust formats it). */
const signedManifest = z.looseObject({
  schemaVersion: z.literal(1),
  signatures: z.array(z.looseObject({ protected: z.string().max(4096) })).min(1),
});

const protectedHeader = z.looseObject({
  formatLength: z.number().int().nonnegative(),
  formatTail: z.string().max(1024),
});

/**
 * The bytes that were signed, which are what the digest of such a manifest is of: the body up to `formatLength`, and
 * `formatTail` instead of the rest. `undefined` for all that is not signed in this way.
 */
export function signedPart(bytes: Uint8Array): Buffer | undefined {
  try {
    const { signatures } = signedManifest.parse(JSON.parse(Buffer.from(bytes).toString()));
    const header = Buffer.from(signatures[0]?.protected as string, 'base64url').toString();
    const { formatLength, formatTail } = protectedHeader.parse(JSON.parse(header));
    if (formatLength > bytes.length) return undefined;
    return Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, 'base64url')]);
  } catch {
    return undefined;
  }
}
