import { withoutTrailingSlashes } from '@entrepot/core';
import { parseVerifierKey, type NoteVerifier } from './note.js';

/** A checksum database, as `GOSUMDB` names one. */
export interface DatabaseSetting {
  readonly verifier: NoteVerifier;
  /** Its own URL, for when no proxy passes it on. */
  readonly url: string;
}

/** The database whose key is part of `go` (cmd/go/internal/modfetch, knownGOSUMDB). */
export const DEFAULT_DATABASE = 'sum.golang.org';
const KNOWN_KEYS: Readonly<Record<string, string>> = {
  [DEFAULT_DATABASE]: 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8',
};

/**
 * Reads a `GOSUMDB`: `off`, or a name whose key is known or a verifier key, then a URL if it is not `https://<name>`.
 * @returns `undefined` for `off`
 * @throws ProofError saying what was expected
 */
export function parseDatabase(text: string): DatabaseSetting | undefined {
  const [key = '', url] = text.trim().split(/\s+/);
  if (key === 'off') return undefined;
  // `go` knows this one as another address of the default.
  if (key === 'sum.golang.google.cn') return parseDatabase(`${DEFAULT_DATABASE} ${url ?? `https://${key}`}`);
  const verifier = parseVerifierKey(KNOWN_KEYS[key] ?? key);
  return { verifier, url: withoutTrailingSlashes(url ?? `https://${verifier.name}`) };
}
