import { malformed } from '@entrepot/core/formats';
import type { Taken } from './format.js';

/**
 * Documents whose detached signature is being fetched. Mirrors are not changed at the same moment, and one may be wrong: of theirs, the
 * signature that fits counts.
 */
export class BeingSigned {
  readonly #documents = new Map<string, Taken>();

  /** Holds a document while `work` asks for its signature. */
  async during<Result>(root: string, document: Taken, work: () => Promise<Result>): Promise<Result> {
    const key = keyOf(root, document.sha256);
    this.#documents.set(key, document);
    try {
      return await work();
    } finally {
      this.#documents.delete(key);
    }
  }

  /** @throws EntrepotError `upstream-unavailable` where nobody waits for its signature any more */
  find(root: string, sha256: string): Taken {
    const found = this.#documents.get(keyOf(root, sha256));
    if (found === undefined) throw malformed(root, 'the document that is signed has been replaced');
    return found;
  }
}

function keyOf(root: string, sha256: string): string {
  return `${sha256} ${root}`;
}

/**
 * Requires OpenPGP data of a kind.
 * @param kind as armor names it: `SIGNATURE`, `PUBLIC KEY BLOCK`
 * @throws EntrepotError `upstream-unavailable` for anything else, such as the page of a captive portal
 */
export function requireOpenPgp(bytes: Uint8Array, name: string, kind: 'SIGNATURE' | 'PUBLIC KEY BLOCK'): void {
  const [first = 0] = bytes;
  // Each packet of a binary one begins so (RFC 9580 §4.2).
  const isBinary = (first & 0x80) !== 0;
  const armor = Buffer.from(`-----BEGIN PGP ${kind}-----`);
  if (!isBinary && !Buffer.from(bytes).subarray(0, armor.length).equals(armor))
    throw malformed(name, `it is no OpenPGP ${kind.toLowerCase()}`);
}
