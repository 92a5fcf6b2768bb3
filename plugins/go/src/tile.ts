import { createHash, hash } from 'node:crypto';
import { MalformedProofError } from './note.js';

/** Hashes in a full tile: 2 to the height of 8 (golang.org/x/mod/sumdb/tlog). */
export const TILE_WIDTH = 256;
export const HASH_BYTES = 32;
/** The largest tile of records, in bytes. */
export const LARGEST_TILE = 4 * 1024 * 1024;
const INNER_NODE = Buffer.of(1);

/** A tile of a transparency log: `width` hashes of subtrees of 256^level leaves, from `index` * 256 on. */
export interface Tile {
  /** -1 for the records themselves. */
  readonly level: number;
  readonly index: number;
  /** 1 to 256; below 256 it is partial: the right edge of a tree. */
  readonly width: number;
}

/** A signed tree head. */
export interface TreeHead {
  /** The number of its records. */
  readonly size: number;
  readonly root: Buffer;
}

/** The path of a tile below the database: `tile/8/0/x001/x234/067.p/1`. */
export function tilePath({ level, index, width }: Tile): string {
  let digits = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    digits = `x${String(rest % 1000).padStart(3, '0')}/${digits}`;
  }
  const partial = width === TILE_WIDTH ? '' : `.p/${width}`;
  return `tile/8/${level === -1 ? 'data' : level}/${digits}${partial}`;
}

/** The tile at `path`, which must be its only spelling; `undefined` when there is none. */
export function parseTilePath(path: string): Tile | undefined {
  const match =
    /^tile\/8\/(data|[0-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(path);
  if (match === null) return undefined;
  const [, level = '', digits = '', width] = match;
  const tile = {
    level: level === 'data' ? -1 : Number(level),
    index: Number(digits.replace(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  return tile.width <= TILE_WIDTH && tilePath(tile) === path ? tile : undefined;
}

/** Hashes a record (RFC 6962 §2.1). */
export function leafHash(record: string | Uint8Array): Buffer {
  return createHash('sha256').update(Buffer.of(0)).update(record).digest();
}

/** Hashes an inner node (RFC 6962 §2.1). */
function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  // In one call: a record takes hundreds of them.
  return hash('sha256', Buffer.concat([INNER_NODE, left, right]), 'buffer');
}

/** Counts the full subtrees of 256^level leaves of a tree. */
function countAt(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** The partial tiles at the right edge of a tree, lowest level first: together they hash to its root. */
export function edgeTiles(size: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0; countAt(size, level) > 0; level += 1) {
    const count = countAt(size, level);
    const width = count % TILE_WIDTH;
    if (width > 0) tiles.push({ level, index: Math.floor(count / TILE_WIDTH), width });
  }
  return tiles;
}

/** The tile of a tree of `size` that holds hash number `position` of `level`; as wide as that tree has it. */
export function tileOf(size: number, level: number, position: number): Tile {
  const index = Math.floor(position / TILE_WIDTH);
  return { level, index, width: Math.min(TILE_WIDTH, countAt(size, level) - index * TILE_WIDTH) };
}

/** The tile at the place of another one in a tree of `size`; less than one hash wide where that has none. */
export function placeIn(size: number, { level, index }: Tile): Tile {
  return tileOf(size, level, index * TILE_WIDTH);
}

/** Hash number `position` of a tile's bytes. */
export function hashAt(tile: Uint8Array, position: number): Buffer {
  const start = position * HASH_BYTES;
  if (start + HASH_BYTES > tile.length) throw new MalformedProofError('a tile is too short');
  return Buffer.from(tile.subarray(start, start + HASH_BYTES));
}

/** The hash of the subtree over `count` hashes (a power of two) from `start` on. */
export function subtreeHash(tile: Uint8Array, start: number, count: number): Buffer {
  if (count === 1) return hashAt(tile, start);
  const half = count / 2;
  return nodeHash(subtreeHash(tile, start, half), subtreeHash(tile, start + half, half));
}

/**
 * The root of a tree of `size` (RFC 6962 §2.1). Every hash of an edge tile of just that width goes into it.
 * @param edge the bytes of its `edgeTiles`, each at least as wide as the edge of the tree
 */
export function rootFromEdge(size: number, edge: readonly Uint8Array[]): Buffer {
  if (size === 0) return hash('sha256', '', 'buffer');
  // The full subtrees that the tree is made of, smallest first.
  let root: Buffer | undefined;
  for (const [at, { width }] of edgeTiles(size).entries()) {
    let end = width;
    for (let count = 1; count <= width; count *= 2) {
      if ((width & count) === 0) continue;
      const peak = subtreeHash(edge[at] as Uint8Array, end - count, count);
      end -= count;
      root = root === undefined ? peak : nodeHash(peak, root);
    }
  }
  return root as Buffer;
}

/**
 * Reads the text of a signed tree head: `go.sum database tree`, the size, the root; more lines are passed over.
 * @throws ProofError
 */
export function parseTreeHead(text: string): TreeHead {
  const [title, size = '', root = '', ...more] = text.split('\n');
  // Nothing that a client could take for a checksum (CVE-2026-56864).
  if (more.some((line) => line.includes('h1:'))) throw new MalformedProofError('a tree head that holds checksums');
  const bytes = Buffer.from(root, 'base64');
  const valid = title === 'go.sum database tree' && /^(?:0|[1-9][0-9]{0,14})$/.test(size);
  if (!valid || bytes.length !== HASH_BYTES || bytes.toString('base64') !== root)
    throw new MalformedProofError('malformed tree head');
  return { size: Number(size), root: bytes };
}
