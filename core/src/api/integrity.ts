import { EntrepotError } from './errors.js';

/** Hash algorithms that ecosystems promise bytes with, weakest first, and the length of their sums in hex. */
const HEX_LENGTH = { md5: 32, sha1: 40, sha256: 64, sha384: 96, sha512: 128 } as const;

/** A hash algorithm of an `Integrity`. */
export type IntegrityAlgorithm = keyof typeof HEX_LENGTH;

/** All of them, weakest first. */
export const INTEGRITY_ALGORITHMS = Object.keys(HEX_LENGTH) as readonly IntegrityAlgorithm[];

/** A checksum that the ecosystem promises for the bytes, in lower-case hex. */
export interface Integrity {
  readonly algorithm: IntegrityAlgorithm;
  readonly hex: string;
}

/**
 * Parses a Subresource Integrity string (W3C SRI §3.5: space-separated `alg-base64[?options]`). Unknown algorithms and
 * malformed parts are left out, as the specification asks, so the result may be empty.
 */
export function parseSri(text: string): Integrity[] {
  const found: Integrity[] = [];
  for (const part of text.trim().split(/\s+/)) {
    const match = /^([a-z0-9]+)-([A-Za-z0-9+/]+={0,2})(?:\?.*)?$/.exec(part);
    if (match === null || !isAlgorithm(match[1])) continue;
    const hex = Buffer.from(match[2] as string, 'base64').toString('hex');
    if (hex.length === HEX_LENGTH[match[1]]) found.push({ algorithm: match[1], hex });
  }
  return found;
}

/** The integrity for a sum in hex (either case), or `undefined` when it is not one of that algorithm. */
export function parseHex(algorithm: IntegrityAlgorithm, text: string): Integrity | undefined {
  const hex = text.trim().toLowerCase();
  return hex.length === HEX_LENGTH[algorithm] && /^[0-9a-f]+$/.test(hex) ? { algorithm, hex } : undefined;
}

/** The promises with the strongest algorithm among `promises`: only these count (W3C SRI §3.3.3). */
export function strongest(promises: readonly Integrity[]): Integrity[] {
  const longest = Math.max(...promises.map(({ algorithm }) => HEX_LENGTH[algorithm]));
  return promises.filter(({ algorithm }) => HEX_LENGTH[algorithm] === longest);
}

/**
 * The promises of bytes of which two sources say something, such as a URL and an index: one source gives alternatives, and bytes have to be
 * right for both. Of two algorithms the stronger one counts.
 * @param subject of messages
 * @throws EntrepotError `integrity` where the two name other bytes
 */
export function agreed(subject: string, one: readonly Integrity[], other: readonly Integrity[]): Integrity[] {
  const counting = new Set(strongest([...one, ...other]));
  const [ofOne, ofOther] = [
    one.filter((promise) => counting.has(promise)),
    other.filter((promise) => counting.has(promise)),
  ];
  if (ofOne.length === 0 || ofOther.length === 0) return [...counting];
  const both = ofOne.filter(({ hex }) => ofOther.some((promise) => promise.hex === hex));
  if (both.length > 0) return both;
  const [named, listed] = [ofOne, ofOther].map((list) => list.map(printIntegrity).join(' or '));
  throw new EntrepotError('integrity', `${subject}: asked for as ${named}, and listed as ${listed}`);
}

/** `integrity` in the form in which messages and logs show it: `sha512:ab12…`. */
export function printIntegrity({ algorithm, hex }: Integrity): string {
  return `${algorithm}:${hex}`;
}

/** The error for bytes that are not what the ecosystem promised. */
export function integrityMismatch(subject: string, expected: readonly Integrity[], found: Integrity): EntrepotError {
  const wanted = expected.map(printIntegrity).join(' or ');
  return new EntrepotError(
    'integrity',
    `${subject}: expected ${wanted}, the upstream sent ${printIntegrity(found)}; nothing was stored`,
  );
}

function isAlgorithm(text: string | undefined): text is IntegrityAlgorithm {
  return Object.hasOwn(HEX_LENGTH, text ?? '');
}
