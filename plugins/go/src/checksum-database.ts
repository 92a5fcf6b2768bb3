import { hash } from 'node:crypto';
import { EntrepotError, type Logger, type Resource, type VerifyContext } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import { failure, proofFailure } from './errors.js';
import { hashInRecord, LARGEST_PROOF, MalformedProofError, openNote, parseLookup, ProofError } from './note.js';
import type { LookupRecord, NoteVerifier } from './note.js';
import { edgeTiles, HASH_BYTES, hashAt, leafHash, parseTreeHead, rootFromEdge, subtreeHash } from './tile.js';
import { placeIn, TILE_WIDTH, tileOf, tilePath, type Tile, type TreeHead } from './tile.js';

/** Verified tiles that are kept in memory: 8 KiB each at the most. */
const TILES_IN_MEMORY = 1024;
/** Signed trees that tiles may be verified against. */
const TREES_IN_MEMORY = 64;

type Read = VerifyContext['read'];

/** A tree head with the note that signs it. */
interface SignedTree extends TreeHead {
  readonly note: string;
}

/** The tiles at the right edge of one tree, by level, while their flights wait for each other. */
interface EdgeProof {
  readonly parts: ReadonlyMap<number, PromiseWithResolvers<Uint8Array>>;
  readonly done: Promise<void>;
}

/** Names resources of the database. */
export interface DatabaseResources {
  tile(tile: Tile): Resource;
  /** @param anyAge whether a cached one does, however old */
  head(anyAge?: boolean): Resource;
}

/**
 * Verifies what a checksum database says (golang.org/design/25530-sumdb) before it is kept: signatures, that records and
 * tiles belong to one tree, and that this tree only grows. Knows the newest tree that was proven; lookups are answered
 * with its head, so that clients need only tiles that are kept, also when the database is out of reach.
 */
export class ChecksumDatabase {
  readonly name: string;
  readonly #verifier: NoteVerifier;
  readonly #resources: DatabaseResources;
  readonly #logger: Logger;
  /** The newest tree whose edge was verified and that all earlier ones are part of. */
  #head: SignedTree | undefined;
  /** Signed trees by size, proven or about to be. */
  readonly #trees = new Map<number, SignedTree>();
  readonly #edges = new Map<number, EdgeProof>();
  /** Trees that were proven to be part of the newest one: as that only grows, they stay so. */
  readonly #proven = new WeakSet<SignedTree>();
  /** The hashes that full tiles come to, by the digests of their bytes: each is wanted as it comes, and for records. */
  readonly #sums = new Lru<Buffer>(TILES_IN_MEMORY);
  /** Notes whose signature was found right, by their digests: most lookups come with the same few. */
  readonly #notes = new Lru<SignedTree>(TREES_IN_MEMORY);
  /** The tiles in which the edge of the newest tree was last found right. */
  #edge: { readonly tree: SignedTree; readonly bytes: readonly Uint8Array[] } | undefined;
  readonly #tiles = new Lru<Uint8Array>(TILES_IN_MEMORY);
  /** Settled once another signed tree is known. */
  #registered = Promise.withResolvers<void>();

  constructor(verifier: NoteVerifier, resources: DatabaseResources, logger: Logger) {
    this.name = verifier.name;
    this.#verifier = verifier;
    this.#resources = resources;
    this.#logger = logger;
  }

  /**
   * Checks a signed tree head that is to be the newest.
   * @returns the head without anything that is not signed by the database
   * @throws EntrepotError `integrity` for a forged one or a fork; `upstream-unavailable` for one that is older or malformed
   */
  async checkHead(note: Uint8Array, read: Read): Promise<string> {
    return await this.#guard('the tree head', () =>
      this.#withTree(note, async (tree) => {
        if (this.#head !== undefined && tree.size < this.#head.size) {
          throw new MalformedProofError(`a tree of ${tree.size} records, after one of ${this.#head.size}`);
        }
        await this.#prove(tree, read);
        return this.#opened(note).note;
      }),
    );
  }

  /**
   * Checks a lookup reply: the signature of its tree, that the tree belongs to ours, that the record is in it, and that
   * it has checksums of exactly this module version.
   * @throws EntrepotError
   */
  async checkLookup(bytes: Uint8Array, path: string, version: string, read: Read): Promise<LookupRecord> {
    return await this.#guard(`the record of ${path}@${version}`, async () => {
      const { id, text, note } = parseLookup(bytes);
      for (const name of [version, `${version}/go.mod`]) hashInRecord(text, path, name);
      await this.#withTree(Buffer.from(note), async (tree) => {
        if (id >= tree.size) throw new ProofError(`record ${id} cannot be in a tree of ${tree.size} records`);
        await this.#takeNewestHead(tree.size, read);
        await this.#prove(tree, read);
        const found = await this.#authenticatedHash(this.#head as SignedTree, id, read);
        if (!found.equals(leafHash(text))) throw new ProofError(`the record is not number ${id} of the signed tree`);
      });
      return { id, text };
    });
  }

  /**
   * Checks a tile against a signed tree that has it.
   * @throws EntrepotError
   */
  async checkTile(tile: Tile, bytes: Uint8Array, read: Read): Promise<void> {
    await this.#guard(tilePath(tile), async () => {
      if (tile.level === -1) return await this.#checkRecords(tile, bytes, read);
      const size = tile.width * HASH_BYTES;
      if (bytes.length !== size) throw new MalformedProofError(`expected ${size} bytes, found ${bytes.length}`);
      const tree = this.#treeWith(tile) ?? (await this.#newerTreeWith(tile, read));
      const widest = placeIn(tree.size, tile);
      if (widest.width !== tile.width) {
        const whole = await this.#tileBytes(widest, read);
        if (Buffer.compare(whole.subarray(0, bytes.length), bytes) !== 0) throw inconsistent();
      } else if (tile.width === TILE_WIDTH) {
        const parent = await this.#tileBytes(tileOf(tree.size, tile.level + 1, tile.index), read);
        this.#requireChild(bytes, parent, tile.index);
      } else {
        await this.#proveEdge(tree, tile, bytes, read);
      }
    });
  }

  /** Writes the reply to a lookup with the newest proven tree head in place of the one that it came with. */
  freshReply({ id, text }: LookupRecord): string {
    const head = this.#head;
    if (head === undefined || id >= head.size) throw new ProofError('the record was not verified');
    return `${id}\n${text}\n${head.note}`;
  }

  /** Opens a tree head for `check`; one that does not stand it is forgotten: nothing is to be measured by it. */
  async #withTree<Result>(note: Uint8Array, check: (tree: SignedTree) => Promise<Result>): Promise<Result> {
    const tree = this.#register(note);
    try {
      return await check(tree);
    } catch (error) {
      if (this.#trees.get(tree.size) === tree && this.#head !== tree) this.#trees.delete(tree.size);
      throw error;
    }
  }

  /** Opens a signed tree head, and lets tiles be verified against it. */
  #register(note: Uint8Array): SignedTree {
    const tree = this.#opened(note);
    const known = this.#trees.get(tree.size);
    if (known !== undefined && !known.root.equals(tree.root)) throw this.#fork(known, tree);
    if (known !== undefined) return known;
    this.#trees.set(tree.size, tree);
    const old = [...this.#trees.keys()].find((size) => size !== this.#head?.size && size !== tree.size);
    if (this.#trees.size > TREES_IN_MEMORY && old !== undefined) this.#trees.delete(old);
    this.#registered.resolve();
    this.#registered = Promise.withResolvers();
    return tree;
  }

  #opened(note: Uint8Array): SignedTree {
    return remembered(this.#notes, note, () => {
      const { text, bare } = openNote(note, this.#verifier);
      return { ...parseTreeHead(text), note: bare };
    });
  }

  /** Proves that `tree` and the newest one are one tree at two times, and takes the larger one for the newest. */
  async #prove(tree: SignedTree, read: Read): Promise<void> {
    for (;;) {
      const head = this.#head;
      if (head !== undefined && this.#proven.has(tree)) return;
      const larger = head === undefined || tree.size >= head.size ? tree : head;
      const smaller = larger === tree ? (head ?? tree) : tree;
      if (larger !== head) await this.#checkRoot(larger, larger, read);
      if (smaller !== larger) {
        await this.#checkRoot(smaller, larger, read).catch((error: unknown) => {
          throw error instanceof ProofError ? this.#fork(smaller, larger) : error;
        });
      }
      // Another one may have become the newest meanwhile.
      if (this.#head !== head) continue;
      this.#head = larger;
      this.#proven.add(smaller).add(larger);
      return;
    }
  }

  /** Proves the newest head that is kept or that the upstream gives, before one that a lookup brings: it is one for all. */
  async #takeNewestHead(size: number, read: Read): Promise<void> {
    try {
      // A kept one, however old, does as long as it has the record: so this needs no upstream.
      if (this.#head === undefined) await this.#prove(await this.#readHead(read, true), read);
      if (this.#head === undefined || this.#head.size < size) await this.#prove(await this.#readHead(read), read);
    } catch (error) {
      // Without it, the head that came with the lookup will do.
      const kind = error instanceof EntrepotError ? (error as EntrepotError).kind : undefined;
      if (kind !== 'not-found' && kind !== 'upstream-unavailable') throw error;
    }
  }

  /** Whether the tiles of `larger` give the root of `smaller`. */
  async #checkRoot(smaller: SignedTree, larger: SignedTree, read: Read): Promise<void> {
    const wanted = edgeTiles(smaller.size).map((tile) => placeIn(larger.size, tile));
    const bytes = await Promise.all(wanted.map((tile) => this.#tileBytes(tile, read)));
    const edge = this.#edge;
    if (smaller === larger && edge?.tree === larger && bytes.every((one, at) => one === edge.bytes[at])) return;
    requireRoot(smaller, bytes);
    if (smaller === larger) this.#edge = { tree: larger, bytes };
  }

  /** Checks that a full tile comes to its hash in the tile above it. */
  #requireChild(tile: Uint8Array, parent: Uint8Array, index: number): void {
    const sum = remembered(this.#sums, tile, () => subtreeHash(tile, 0, TILE_WIDTH));
    if (!sum.equals(hashAt(parent, index % TILE_WIDTH))) throw inconsistent();
  }

  /** Hash number `position` of the records, once the whole way from it to the signed root was computed. */
  async #authenticatedHash(tree: SignedTree, position: number, read: Read): Promise<Buffer> {
    const way: Tile[] = [];
    for (let level = 0, at = position; ; level += 1, at = Math.floor(at / TILE_WIDTH)) {
      const tile = tileOf(tree.size, level, at);
      way.push(tile);
      if (tile.width < TILE_WIDTH) break;
    }
    const [bytes] = await Promise.all([
      Promise.all(way.map((tile) => this.#tileBytes(tile, read))),
      this.#checkRoot(tree, tree, read),
    ]);
    for (const [at, parent] of bytes.slice(1).entries()) {
      this.#requireChild(bytes[at] as Uint8Array, parent, (way[at] as Tile).index);
    }
    return hashAt(bytes[0] as Uint8Array, position % TILE_WIDTH);
  }

  async #checkRecords(tile: Tile, bytes: Uint8Array, read: Read): Promise<void> {
    const hashes = await this.#tileBytes({ ...tile, level: 0 }, read);
    const records = Buffer.from(bytes).toString('latin1').split('\n\n');
    if (records.pop() !== '' || records.length !== tile.width)
      throw new MalformedProofError(`expected ${tile.width} records`);
    for (const [at, record] of records.entries()) {
      if (!leafHash(Buffer.from(`${record}\n`, 'latin1')).equals(hashAt(hashes, at))) throw inconsistent();
    }
  }

  /** The bytes of a verified tile. */
  async #tileBytes(tile: Tile, read: Read): Promise<Uint8Array> {
    const path = tilePath(tile);
    const known = this.#tiles.get(path);
    if (known !== undefined) return known;
    const bytes = await this.#readTile(tile, read);
    this.#tiles.set(path, bytes);
    return bytes;
  }

  async #readTile(tile: Tile, read: Read): Promise<Uint8Array> {
    try {
      return await (await read(this.#resources.tile(tile))).bytes(LARGEST_PROOF);
    } catch (error) {
      if (!(error instanceof EntrepotError) || (error as EntrepotError).kind !== 'not-found') throw error;
      // A database may drop a partial tile once the full one is there.
      if (tile.width < TILE_WIDTH) {
        return (await this.#readTile({ ...tile, width: TILE_WIDTH }, read)).subarray(0, tile.width * HASH_BYTES);
      }
      const message = `${this.name}: ${tilePath(tile)} is missing`;
      throw failure('upstream-unavailable', 'CHECKSUM_TILE_MISSING', message, { cause: error });
    }
  }

  /** A signed tree that has `tile`; one in which it is no part of a wider tile where there is one. */
  #treeWith(tile: Tile): SignedTree | undefined {
    const trees = [this.#head ?? [], ...this.#trees.values()].flat();
    const having = trees.filter(({ size }) => placeIn(size, tile).width >= tile.width);
    return having.find(({ size }) => placeIn(size, tile).width === tile.width) ?? having[0];
  }

  /** Asks for the newest head, since `tile` is of a tree that is not known yet. */
  async #newerTreeWith(tile: Tile, read: Read): Promise<SignedTree> {
    const asked = this.#readHead(read).then(() => true);
    // Not for the whole answer: to be proven, a new head may need the very tile that is waiting here.
    for (let isLast = false; !isLast;) {
      isLast = await Promise.race([this.#registered.promise.then(() => false), asked]);
      const tree = this.#treeWith(tile);
      if (tree !== undefined) return tree;
    }
    throw new EntrepotError('not-found', `${tilePath(tile)} is in no tree that ${this.name} has signed so far`);
  }

  /** The newest head, opened but not proven. @param anyAge whether a cached one does, however old */
  async #readHead(read: Read, anyAge = false): Promise<SignedTree> {
    const content = await read(this.#resources.head(anyAge));
    return this.#register(await content.bytes(LARGEST_PROOF));
  }

  /**
   * Verifies the right edge of a tree. Its tiles make the root only together, so the flight of each brings its own bytes
   * here, starts the others, and waits until all of them are here: not for their ends, which wait for this.
   */
  async #proveEdge(tree: SignedTree, { level }: Tile, bytes: Uint8Array, read: Read): Promise<void> {
    const proof = this.#edges.get(tree.size) ?? this.#beginEdge(tree, level, read);
    proof.parts.get(level)?.resolve(bytes);
    await proof.done;
  }

  #beginEdge(tree: SignedTree, own: number, read: Read): EdgeProof {
    const edge = edgeTiles(tree.size);
    const parts = new Map(edge.map(({ level }) => [level, Promise.withResolvers<Uint8Array>()]));
    const arrived = Promise.all(Array.from(parts.values(), ({ promise }) => promise));
    const done = arrived.then((bytes) => requireRoot(tree, bytes)).finally(() => this.#edges.delete(tree.size));
    this.#edges.set(tree.size, { parts, done });
    for (const tile of edge) {
      const part = parts.get(tile.level);
      if (tile.level !== own) this.#tileBytes(tile, read).then(part?.resolve, part?.reject);
    }
    return { parts, done };
  }

  #fork(one: SignedTree, other: SignedTree): ProofError {
    // The notes are the evidence: both are signed, and cannot both be right.
    this.#logger.error(
      { database: this.name, notes: [one.note, other.note] },
      'the checksum database has signed two trees that contradict each other',
    );
    return new ProofError(`${this.name} has signed two trees that contradict each other`);
  }

  async #guard<Result>(subject: string, check: () => Promise<Result>): Promise<Result> {
    try {
      return await check();
    } catch (error) {
      throw proofFailure(`${this.name}: ${subject}`, error);
    }
  }
}

/** The value that was made of the same bytes before, else a new one. */
function remembered<Value>(known: Lru<Value>, bytes: Uint8Array, make: () => Value): Value {
  const digest = hash('sha256', bytes);
  const value = known.get(digest) ?? make();
  known.set(digest, value);
  return value;
}

function inconsistent(): ProofError {
  return new ProofError('inconsistent with the signed tree');
}

/** @param edge the bytes of the tiles at its right edge */
function requireRoot({ size, root }: TreeHead, edge: readonly Uint8Array[]): void {
  if (!rootFromEdge(size, edge).equals(root)) throw inconsistent();
}
