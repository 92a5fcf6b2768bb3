import { createHash, randomUUID, type Hash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { ByteRange } from '../../api/blob-store.js';
import type { DocumentBytes } from '../../api/protocol.js';
import { Lru } from '../../formats/lru.js';
import { EntrepotError } from '../../api/errors.js';
import { headerIn, withoutHeaders } from '../request/merge-headers.js';

/** Renditions up to this size are kept in memory, larger ones in files. Bytes. */
export const SMALL_RENDITION = 512 * 1024;

/** Parts of a document are hashed, compressed and written in pieces of this size, at the least; bytes. */
const PIECE = 16 * 1024;

/** A content coding that renditions are made in. */
export type Encoding = 'identity' | 'gzip';

/** A rewritten document as it goes out: one variant, one base URL, one coding. */
export interface Rendition {
  /** Strong, of these very bytes; the same after a restart and on every replica. */
  readonly etag: string;
  readonly encoding: Encoding;
  /** Bytes as sent. */
  readonly size: number;
  /** The bytes of a small one. */
  readonly bytes?: Buffer | undefined;
  /** The file of a large one. */
  readonly path?: string | undefined;
  /** As the protocol says it, an HTTP date. */
  readonly lastModified?: string | undefined;
  /** When policy can change it by time alone; milliseconds since the epoch. */
  readonly changesAt?: number | undefined;
  /** Headers that the protocol gave with it, as they are sent, without the validators. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Its sources, where its key does not name them. */
  readonly stamp: string;
}

/** The source of a rendition. */
export interface RenditionSource {
  readonly bytes: DocumentBytes;
  /** Two representations with the same bytes and different types have different tags. */
  readonly mediaType: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Called when all bytes were made. */
  changesAt(): number | undefined;
  /** Whether any other process would make the same of the same. Called when all bytes were made. */
  isShareable(): boolean;
}

/** The place of a rendition that processes share. Neither method throws. */
export interface SharedRendition {
  /** Finds one that is still right. */
  find(): Promise<Rendition | undefined>;
  /** Shares one for a while, if it is small. Nobody waits for that. */
  keep(rendition: Rendition): void;
}

/**
 * The memo of rewritten documents: small ones in memory, large ones as files within a bound. What
 * leaves it is made again. A file that goes while it is being read is read to its end.
 */
export class Renditions {
  readonly #directory: string;
  readonly #small: Lru<Rendition>;
  readonly #large: Lru<Rendition>;
  readonly #making = new Map<string, Promise<Rendition>>();
  #owners = 0;

  /** @param directory exists, and belongs to this process */
  constructor(directory: string, maxMemoryBytes: number, maxFileBytes: number) {
    this.#directory = directory;
    this.#small = new Lru(maxMemoryBytes, ({ size }) => size + 512);
    this.#large = new Lru(
      maxFileBytes,
      ({ size }) => size,
      ({ path }) => void rm(path as string, { force: true }),
    );
  }

  /** Bytes in memory. */
  get memoryBytes(): number {
    return this.#small.weight;
  }

  /**
   * A word for the keys of one repository as it is configured now. Under another configuration it has another word, and so does not find
   * what was made under this one.
   */
  newOwner(): string {
    return String((this.#owners += 1));
  }

  /** The rendition under `key` if it is still right at `now`, and was made from what `stamp` stands for. */
  peek(key: string, now: number, stamp = ''): Rendition | undefined {
    const rendition = this.#small.get(key) ?? this.#large.get(key);
    if (rendition?.stamp !== stamp) return undefined;
    if (rendition.changesAt !== undefined && rendition.changesAt <= now) return undefined;
    return rendition;
  }

  /**
   * Makes the rendition under `key`, once for all who ask meanwhile.
   * @param stamp what it is made from, where `key` does not say that: the new one takes the place of the old one
   * @param shared where another process may have put it already. Absent: it is not shared
   */
  make(
    key: string,
    encoding: Encoding,
    source: () => Promise<RenditionSource>,
    { stamp = '', shared }: { readonly stamp?: string | undefined; readonly shared?: SharedRendition | undefined } = {},
  ): Promise<Rendition> {
    const name = `${stamp} ${key}`;
    const running = this.#making.get(name);
    if (running !== undefined) return running;
    const making = this.#takeOrMake(key, encoding, source, stamp, shared).finally(() => this.#making.delete(name));
    this.#making.set(name, making);
    return making;
  }

  async #takeOrMake(
    key: string,
    encoding: Encoding,
    source: () => Promise<RenditionSource>,
    stamp: string,
    shared: SharedRendition | undefined,
  ): Promise<Rendition> {
    const found = await shared?.find();
    if (found !== undefined) {
      this.#remember(key, found);
      return found;
    }
    const { rendition, isShareable } = await this.#make(encoding, source, stamp);
    this.#remember(key, rendition);
    if (isShareable) shared?.keep(rendition);
    return rendition;
  }

  #remember(key: string, rendition: Rendition): void {
    this.forget(key);
    (rendition.bytes === undefined ? this.#large : this.#small).set(key, rendition);
  }

  async #make(
    encoding: Encoding,
    source: () => Promise<RenditionSource>,
    stamp: string,
  ): Promise<{ readonly rendition: Rendition; readonly isShareable: boolean }> {
    const { bytes, mediaType, headers, changesAt, isShareable } = await source();
    const hash = createHash('sha256').update(`${mediaType}\n`);
    const sink = new RenditionSink(join(this.#directory, randomUUID()));
    try {
      const hashed = hashing(bytes, hash);
      const drainTo = async (parts: AsyncIterable<Buffer>): Promise<void> => {
        for await (const part of parts) await sink.write(part);
      };
      if (encoding === 'gzip') await pipeline(hashed, createGzip(), drainTo);
      else await drainTo(hashed);
      const body = await sink.close();
      const rendition: Rendition = {
        ...validatorsOf(headers, hash, encoding),
        encoding,
        size: sink.size,
        changesAt: changesAt(),
        headers: headers && withoutHeaders(headers, VALIDATORS),
        stamp,
        ...body,
      };
      return { rendition, isShareable: isShareable() };
    } catch (error) {
      await sink.discard();
      throw error;
    }
  }

  /** Opens the file of a large rendition. From then on it can be read to its end, whoever drops it. */
  async read(rendition: Rendition, range?: ByteRange): Promise<Readable> {
    const file = await open(rendition.path as string, 'r');
    return file.createReadStream({ highWaterMark: 128 * 1024, ...range });
  }

  /** Drops what will not be asked for again. */
  forget(key: string): void {
    this.#small.delete(key);
    this.#large.delete(key);
  }
}

export const VALIDATORS: ReadonlySet<string> = new Set(['etag', 'last-modified']);
/** An entity tag (RFC 9110 §8.8.3). */
const TAG = /^(W\/)?"([\u0021\u0023-\u007e]*)"$/;

/**
 * The validators that the protocol gave, or a tag of the bytes. Bytes of another coding have another strong tag (RFC 9110 §8.8.3.3): the
 * protocol's own, which clients may compute themselves, becomes weak there.
 */
function validatorsOf(
  headers: Readonly<Record<string, string>> | undefined,
  hash: Hash,
  encoding: Encoding,
): Pick<Rendition, 'etag' | 'lastModified'> {
  const given = headerIn(headers, 'etag');
  const found = given === undefined ? undefined : TAG.exec(given);
  if (found === null)
    throw new EntrepotError(
      'plugin',
      `The protocol gave the ETag ${given?.slice(0, 100)}; expected an entity tag in quotes`,
    );
  const lastModified = headerIn(headers, 'last-modified');
  if (found !== undefined) {
    const weak = encoding === 'identity' ? (found[1] ?? '') : 'W/';
    return { etag: `${weak}"${found[2]}"`, lastModified };
  }
  const suffix = encoding === 'identity' ? '' : `-${encoding}`;
  return { etag: `"${hash.digest('base64url').slice(0, 32)}${suffix}"`, lastModified };
}

/** Collects bytes in memory, and moves to a file when they become many. */
class RenditionSink {
  readonly #path: string;
  #parts: Buffer[] = [];
  #file: FileHandle | undefined;
  size = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async write(bytes: Buffer): Promise<void> {
    this.size += bytes.length;
    if (this.#file === undefined) {
      this.#parts.push(bytes);
      if (this.size <= SMALL_RENDITION) return;
      this.#file = await open(this.#path, 'wx', 0o600);
      await this.#file.appendFile(Buffer.concat(this.#parts));
      this.#parts = [];
      return;
    }
    await this.#file.appendFile(bytes);
  }

  async close(): Promise<{ bytes?: Buffer; path?: string }> {
    if (this.#file === undefined) return { bytes: Buffer.concat(this.#parts) };
    await this.#file.close();
    return { path: this.#path };
  }

  async discard(): Promise<void> {
    await this.#file?.close().catch(() => {});
    await rm(this.#path, { force: true });
  }
}

/** Hashes parts, and puts small ones together: lines of a long document would each go to the compressor, or into a file, by themselves. */
async function* hashing(parts: DocumentBytes, hash: { update(bytes: Uint8Array): unknown }): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const part of parts) {
    const bytes =
      typeof part === 'string' ? Buffer.from(part) : Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    waiting.push(bytes);
    size += bytes.length;
    if (size < PIECE) continue;
    const piece = joined(waiting);
    hash.update(piece);
    yield piece;
    waiting = [];
    size = 0;
  }
  const rest = joined(waiting);
  hash.update(rest);
  if (rest.length > 0) yield rest;
}

function joined(parts: readonly Buffer[]): Buffer {
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}
