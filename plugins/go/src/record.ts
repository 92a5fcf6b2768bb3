import { decodeUtf8, MalformedProofError, ProofError } from './note.js';

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
