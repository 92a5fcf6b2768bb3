import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';
import type { Digest } from '../../api/digest.js';
import { EntrepotError } from '../../api/errors.js';
import type { JoinedPiece } from '../../api/protocol.js';
import { SMALL_BLOB, type BlobCache } from './blob-cache.js';
import { Lru } from '../../formats/lru.js';
import { combineCrc32 } from './crc32.js';

const deflate = promisify(deflateRaw);

/** The weight of a cached document besides its pieces, and of each piece; bytes, about. */
const PIECE_BYTES = 200;
/** A gzip header (RFC 1952 §2.3): deflate, no flags, no time, an unknown system. */
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** The last block of a deflate stream, with nothing in it (RFC 1951 §3.2.3). */
const LAST_BLOCK = Buffer.from([3, 0]);
const GZIP_TRAILER_BYTES = 8;

interface Piece {
  readonly digest: Digest;
  readonly size: number;
  /** Absent: those of the blob. */
  readonly bytes?: Buffer | undefined;
}

/** A document in pieces that are not joined yet. */
export interface JoinedDocument {
  /** Strong; the same after a restart and on every replica. */
  readonly etag: string;
  /** Bytes. */
  readonly size: number;
  /** When policy can change it by time alone; milliseconds since the epoch. */
  readonly changesAt: number | undefined;
  readonly pieces: readonly Piece[];
  /** Its sources, where its key does not name them. */
  readonly stamp: string;
}

/** The same document, compressed. */
export interface JoinedGzip {
  readonly etag: string;
  /** Bytes as sent. */
  readonly size: number;
  open(): Readable;
}

/**
 * Documents that are kept in pieces. A change of one piece costs what that piece costs: the others are sent as they are, and
 * also compressed they are kept by their digest.
 */
export class JoinedDocuments {
  readonly #blobs: BlobCache;
  readonly #known: Lru<JoinedDocument>;
  /** Pieces as blocks of a deflate stream that begin and end at a byte and refer to nothing before them, by digest. */
  readonly #deflated: Lru<Buffer>;
  readonly #gzips = new WeakMap<JoinedDocument, Promise<JoinedGzip>>();

  /** @param maxBytes of compressed pieces in memory; half of it for the lists of pieces besides */
  constructor(blobs: BlobCache, maxBytes: number) {
    this.#blobs = blobs;
    this.#deflated = new Lru(maxBytes, (bytes) => bytes.length);
    this.#known = new Lru(maxBytes / 2, ({ pieces }) =>
      pieces.reduce((sum, { bytes }) => sum + PIECE_BYTES + (bytes?.length ?? 0), PIECE_BYTES),
    );
  }

  /** Bytes in memory. */
  get memoryBytes(): number {
    return this.#known.weight + this.#deflated.weight;
  }

  /** The document under `key`, if it was made from what `stamp` stands for and is still right at `now`. */
  peek(key: string, stamp: string, now: number): JoinedDocument | undefined {
    const known = this.#known.get(key);
    if (known?.stamp !== stamp || (known.changesAt !== undefined && known.changesAt <= now)) return undefined;
    return known;
  }

  /** Puts a document together from `parts`, without reading them. */
  join(parts: readonly JoinedPiece[], mediaType: string, stamp: string, changesAt: number | undefined): JoinedDocument {
    const hash = createHash('sha256').update(`${mediaType}\n`);
    const pieces: Piece[] = [];
    let size = 0;
    for (const part of parts) {
      const piece = part instanceof Uint8Array ? pieceOf(part) : { digest: part.digest, size: part.size };
      if (piece.size === 0) continue;
      hash.update(`${piece.digest}\n`);
      size += piece.size;
      pieces.push(piece);
    }
    return { etag: `"${hash.digest('base64url').slice(0, 32)}"`, size, changesAt, pieces, stamp };
  }

  /** Whether the bytes of all pieces are there, and right. Each blob is read for it once. */
  async isWhole({ pieces }: JoinedDocument): Promise<boolean> {
    for (const { digest, size, bytes } of pieces) {
      if (bytes === undefined && !(await this.#blobs.confirmBytes(digest, size))) return false;
    }
    return true;
  }

  /** Keeps `made` for those who ask for the same. */
  remember(key: string, made: JoinedDocument): void {
    this.#known.set(key, made);
  }

  /** The bytes. Reading fails with `storage` when a blob is missing. */
  open({ pieces }: JoinedDocument): Readable {
    return Readable.from(this.#bytesOf(pieces), { objectMode: false });
  }

  async *#bytesOf(pieces: readonly Piece[]): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) {
      if (piece.size <= SMALL_BLOB) yield await this.#read(piece);
      else yield* (await this.#blobs.open(piece.digest, piece.size)) ?? this.#lost(piece);
    }
  }

  async #read({ digest, size, bytes }: Piece): Promise<Buffer> {
    return bytes ?? this.#blobs.peek(digest) ?? (await this.#blobs.read(digest, size)) ?? this.#lost({ digest });
  }

  /** Forgets a lost piece, so that the next request gets a document that is made anew without it. */
  #lost({ digest }: Pick<Piece, 'digest'>): never {
    this.#blobs.forget(digest);
    this.#known.clear();
    throw new EntrepotError('storage', `The blob ${digest} is missing`, { code: 'BLOB_MISSING' });
  }

  /** The document as one gzip member (RFC 1952): each piece is compressed once, whatever documents it comes in. */
  gzip(joined: JoinedDocument): Promise<JoinedGzip> {
    const known = this.#gzips.get(joined);
    if (known !== undefined) return known;
    const making = this.#gzip(joined);
    this.#gzips.set(joined, making);
    making.catch(() => this.#gzips.delete(joined));
    return making;
  }

  async #gzip({ etag, size, pieces }: JoinedDocument): Promise<JoinedGzip> {
    let sum = 0;
    let length = GZIP_HEADER.length + LAST_BLOCK.length + GZIP_TRAILER_BYTES;
    for (const piece of pieces) {
      // The sum stands before the compressed bytes, so that no piece is read again for it.
      const block = await this.#deflate(piece);
      sum = combineCrc32(sum, block.readUInt32LE(), piece.size);
      length += block.length - SUM_BYTES;
    }
    const trailer = Buffer.alloc(GZIP_TRAILER_BYTES);
    trailer.writeUInt32LE(sum);
    trailer.writeUInt32LE(size % 2 ** 32, 4);
    const deflated = (piece: Piece): Promise<Buffer> => this.#deflate(piece);
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield GZIP_HEADER;
      for (const piece of pieces) yield (await deflated(piece)).subarray(SUM_BYTES);
      yield Buffer.concat([LAST_BLOCK, trailer]);
    }
    return {
      etag: `${etag.slice(0, -1)}-gzip"`,
      size: length,
      open: () => Readable.from(bytes(), { objectMode: false }),
    };
  }

  /** The CRC-32 of the piece, then its blocks. */
  async #deflate(piece: Piece): Promise<Buffer> {
    const known = this.#deflated.get(piece.digest);
    if (known !== undefined) return known;
    const parts: Uint8Array[] = [];
    for await (const part of this.#bytesOf([piece])) parts.push(part);
    const bytes = Buffer.concat(parts);
    const sum = Buffer.alloc(SUM_BYTES);
    sum.writeUInt32LE(crc32(bytes));
    const block = Buffer.concat([sum, await deflate(bytes, { finishFlush: constants.Z_FULL_FLUSH })]);
    this.#deflated.set(piece.digest, block);
    return block;
  }
}

const SUM_BYTES = 4;

function pieceOf(bytes: Uint8Array): Piece {
  const copy = Buffer.from(bytes);
  return { digest: `sha256:${createHash('sha256').update(copy).digest('hex')}`, size: copy.length, bytes: copy };
}
