import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';

/** A key that notes are verified with (golang.org/x/mod/sumdb/note). */
export interface NoteVerifier {
  /** The signer: for a checksum database its name. */
  readonly name: string;
  readonly hash: string;
  readonly key: KeyObject;
}

/** The largest note, record and tile of hashes of a checksum database, in bytes. */
export const LARGEST_PROOF = 1_000_000;
const MOST_SIGNATURES = 100;
/** The algorithm byte of Ed25519. */
const ED25519 = 1;
/** The DER head of an Ed25519 public key (RFC 8410 §4). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

/** A fault of a note, a record or a tile: a forgery, unless it is malformed. */
export class ProofError extends Error {}

/** A body that is no note, record or tile at all: an error page, or one that broke off. */
export class MalformedProofError extends ProofError {}

/**
 * Reads a verifier key: `name+8hex+base64(1 || 32 bytes)`.
 * @throws ProofError saying what was expected
 */
export function parseVerifierKey(text: string): NoteVerifier {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  if (match === null) throw new ProofError('expected a verifier key: name+8 hex digits+base64');
  const [, name = '', hash = '', encoded = ''] = match;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes[0] !== ED25519 || bytes.length !== 33) {
    throw new ProofError('expected an Ed25519 verifier key of 33 bytes');
  }
  if (keyHash(name, bytes) !== hash)
    throw new ProofError('the hash in the verifier key is not that of its name and key');
  const key = createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes.subarray(1)]), format: 'der', type: 'spki' });
  return { name, hash, key };
}

/** The four bytes, in hex, that signatures name a key by. */
export function keyHash(name: string, key: Uint8Array): string {
  return createHash('sha256').update(`${name}\n`).update(key).digest('hex').slice(0, 8);
}

/** A note whose signature was verified. */
export interface SignedNote {
  /** Its text, with the last newline. */
  readonly text: string;
  /**
   * The note with the signatures of the verifier alone. Nobody proves what others add, and some clients have read checksums
   * from it (CVE-2026-56864).
   */
  readonly bare: string;
}

/**
 * Opens a signed note. Signatures of others are passed over.
 * @throws ProofError when it is no note, or has no valid signature of `verifier`
 */
export function openNote(note: Uint8Array, verifier: NoteVerifier): SignedNote {
  if (note.length > LARGEST_PROOF) throw new MalformedProofError('the signed note is too large');
  const whole = decodeUtf8(note);
  // oxlint-disable-next-line no-control-regex -- what a note may not hold
  if (whole === undefined || /[\u0000-\u0009\u000b-\u001f]/.test(whole))
    throw new MalformedProofError('malformed note');
  const split = whole.lastIndexOf('\n\n');
  if (split === -1 || !whole.endsWith('\n')) throw new MalformedProofError('malformed note');
  const text = whole.slice(0, split + 1);
  const lines = whole.slice(split + 2, -1).split('\n');
  if (lines.length > MOST_SIGNATURES) throw new MalformedProofError('the note has too many signatures');
  const own: string[] = [];
  for (const line of lines) {
    const match = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    if (match === null) throw new MalformedProofError('malformed note: expected signature lines at its end');
    const signature = Buffer.from(match[2] as string, 'base64');
    if (signature.length < 5) throw new MalformedProofError('malformed note: a signature is too short');
    if (match[1] !== verifier.name || signature.toString('hex', 0, 4) !== verifier.hash) continue;
    if (!verify(null, Buffer.from(text), verifier.key, signature.subarray(4))) {
      throw new ProofError(`invalid signature for key ${verifier.name}+${verifier.hash}`);
    }
    own.push(line);
  }
  if (own.length === 0) throw new ProofError(`the note has no signature of ${verifier.name}+${verifier.hash}`);
  return { text, bare: `${text}\n${own.join('\n')}\n` };
}

/** A record of the tree. */
export interface LookupRecord {
  readonly id: number;
  /** The record: what its hash in the tree is made of. */
  readonly text: string;
}

/** A reply to a lookup: `id\ntext\n\nnote` (golang.org/x/mod/sumdb, "lookup"). */
export interface LookupReply extends LookupRecord {
  /** A signed tree head that has the record. */
  readonly note: string;
}

/**
 * Reads a lookup reply.
 * @throws ProofError
 */
export function parseLookup(bytes: Uint8Array): LookupReply {
  const whole = decodeUtf8(bytes) ?? '';
  const first = whole.indexOf('\n');
  const id = whole.slice(0, Math.max(first, 0));
  const rest = whole.slice(first + 1);
  const end = rest.indexOf('\n\n');
  const text = rest.slice(0, end + 1);
  if (!/^(?:0|[1-9][0-9]{0,14})$/.test(id) || end < 1 || text.startsWith('\n')) {
    throw new MalformedProofError('malformed record: expected an id, the record, an empty line and a signed note');
  }
  return { id: Number(id), text, note: rest.slice(end + 2) };
}

/**
 * The `h1:` hash that the record promises for `version` (or `version/go.mod`) of `path`: only a line of exactly that
 * form counts, and only from the part that the tree authenticates.
 * @throws ProofError when there is none, or two: never a reason to go on without
 */
export function hashInRecord(text: string, path: string, version: string): string {
  const prefix = `${path} ${version} h1:`;
  const found = text.split('\n').filter((line) => line.startsWith(prefix));
  const [line] = found;
  if (found.length !== 1 || line === undefined || !/ h1:[A-Za-z0-9+/]{43}=$/.test(line)) {
    throw new ProofError(`the record has no checksum of ${path} ${version}`);
  }
  return line.slice(path.length + version.length + 2);
}

/** `undefined` where the bytes are not UTF-8. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
