import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Digest } from '../../api/digest.js';
import type { JoinedPiece } from '../../api/protocol.js';
import type { BlobCache } from './blob-cache.js';
import { isBlobMissing } from './blob-missing.js';
import { deflatePiece, GZIP_HEADER, gzipTrailer, type DeflatedPiece } from '../../formats/gzip-pieces.js';
import { Lru } from '../../formats/lru.js';

/** The weight of a cached document besides its pieces, and of each piece; bytes, about. */
const PIECE_BYTES = 200;

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
  /** Compressed pieces, by digest. */
  readonly #deflated: Lru<DeflatedPiece>;
  readonly #gzips = new WeakMap<JoinedDocument, Promise<JoinedGzip>>();

  /** @param maxBytes of compressed pieces in memory; half of it for the lists of pieces besides */
  constructor(blobs: BlobCache, maxBytes: number) {
    this.#blobs = blobs;
    this.#deflated = new Lru(maxBytes, ({ blocks }) => blocks.length);
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
    for (const { digest, size, bytes } of pieces) {
      try {
        yield* bytes === undefined ? this.#blobs.bytes(digest, size, digest) : [bytes];
      } catch (error) {
        if (isBlobMissing(error)) {
          // The next request gets a document that is made anew without the piece.
          this.#blobs.forget(digest);
          this.#known.clear();
        }
        throw error;
      }
    }
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

  async #gzip({ etag, pieces }: JoinedDocument): Promise<JoinedGzip> {
    const sums: Omit<DeflatedPiece, 'blocks'>[] = [];
    let compressed = 0;
    for (const piece of pieces) {
      const { blocks, ...sum } = await this.#deflate(piece);
      sums.push(sum);
      compressed += blocks.length;
    }
    const trailer = gzipTrailer(sums);
    const deflated = (piece: Piece): Promise<DeflatedPiece> => this.#deflate(piece);
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield GZIP_HEADER;
      for (const piece of pieces) yield (await deflated(piece)).blocks;
      yield trailer;
    }
    return {
      etag: `${etag.slice(0, -1)}-gzip"`,
      size: GZIP_HEADER.length + compressed + trailer.length,
      open: () => Readable.from(bytes(), { objectMode: false }),
    };
  }

  async #deflate(piece: Piece): Promise<DeflatedPiece> {
    const known = this.#deflated.get(piece.digest);
    if (known !== undefined) return known;
    const parts: Uint8Array[] = [];
    for await (const part of this.#bytesOf([piece])) parts.push(part);
    const made = await deflatePiece(Buffer.concat(parts));
    this.#deflated.set(piece.digest, made);
    return made;
  }
}

function pieceOf(bytes: Uint8Array): Piece {
  const copy = Buffer.from(bytes);
  return { digest: `sha256:${createHash('sha256').update(copy).digest('hex')}`, size: copy.length, bytes: copy };
}
