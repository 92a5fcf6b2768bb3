import { randomUUID } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { ByteRange } from '../../api/blob-store.js';
import type { Content } from '../../api/content.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import { contentOf } from './content.js';

/** The last bytes of a body are withheld until all of it is verified, so that a wrong one never looks complete. */
export const HELD_TAIL = 64 * 1024;

/** A body up to this size is kept in memory alone: most are over before a file would be open. */
const IN_MEMORY = 512 * 1024;
/** What stays in memory behind the newest byte: followers at the head share it instead of reading the file. */
const RECENT_BYTES = 1024 * 1024;
/** The same where there is no disk behind it: the fastest follower is at most this far ahead of the slowest. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** How long a follower may hold up the others where there is no disk to read behind them from. */
const STALL_TIMEOUT = 30_000;
const READ_BYTES = 128 * 1024;
/** How many bodies clients may have got that are still being kept: each may be in memory. */
const MOST_AHEAD = 64;

/** A body may grow to so many times what it leaves free: however many large ones are under way, the next one finds room. */
const MOST_OF_FREE = 2;

/** The disk that spools share: one directory, a bound on all of them together and on each beside the others. */
export class SpoolSpace {
  readonly directory: string;
  readonly #maxBytes: number;
  #used = 0;
  #ahead = 0;

  /** @param directory exists, and belongs to this process */
  constructor(directory: string, maxBytes: number) {
    this.directory = directory;
    this.#maxBytes = maxBytes;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /**
   * @param held what the same body has reserved before
   * @returns whether there was room.
   */
  reserve(bytes: number, held: number): boolean {
    const free = this.#maxBytes - this.#used - bytes;
    if (free < 0 || held + bytes > MOST_OF_FREE * free) return false;
    this.#used += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#used -= bytes;
  }

  /**
   * Counts a body that clients get before it is kept; `endAhead` when that is over.
   * @returns whether the store is close enough behind: else the client waits for it
   */
  beginAhead(): boolean {
    if (this.#ahead >= MOST_AHEAD) return false;
    this.#ahead += 1;
    return true;
  }

  endAhead(): void {
    this.#ahead -= 1;
  }

  /** A path for one file. */
  newPath(): string {
    return join(this.directory, randomUUID());
  }
}

interface Chunk {
  readonly start: number;
  readonly bytes: Buffer;
}

interface Follower {
  position: number;
  readonly stream: Readable;
}

/**
 * A growing body, in memory while it is small and then in a temp file: one writer, any number of followers, each from byte 0 (or a range) at its own speed, late joiners
 * too. When the disk has no room, it goes on in memory: then followers move together, and nobody can join from behind.
 *
 * Bytes become readable as they come, but for the held tail; `seal` releases that, `fail` ends every follower with an error.
 */
export class Spool {
  readonly path: string;
  readonly #space: SpoolSpace;
  #file: FileHandle | undefined;
  /** Bytes at the start that are in the file. */
  #disk = 0;
  /** Whether there has been room on the disk for what was written there. */
  #hasRoom = true;
  #written = 0;
  #sealed = false;
  #failure: EntrepotError | undefined;
  #recent: Chunk[] = [];
  #recentBytes = 0;
  readonly #followers = new Set<Follower>();
  #followed = false;
  #released = false;
  #wake: () => void = () => {};
  #change: Promise<void>;

  constructor(space: SpoolSpace) {
    this.#space = space;
    this.path = space.newPath();
    this.#change = this.#nextChange();
  }

  /** Bytes written. */
  get size(): number {
    return this.#written;
  }

  /** Whether the whole can be read again: from memory while it is small, else from the file at `path`. */
  get isWhole(): boolean {
    return this.#hasRoom;
  }

  /** The whole, where it is in memory alone. */
  get bytes(): Buffer | undefined {
    return this.#isSmall ? Buffer.concat(this.#recent.map(({ bytes }) => bytes)) : undefined;
  }

  /** Whether all bytes are in memory, and none has had to go to the file. */
  get #isSmall(): boolean {
    return this.#hasRoom && this.#disk === 0 && !this.#released;
  }

  /** Whether a follower has ever been there: from then on the bytes cannot be taken back. */
  get followed(): boolean {
    return this.#followed;
  }

  /** Whether a new follower can start at `position`. */
  canFollow(position: number): boolean {
    return position <= this.#disk || position >= (this.#recent[0]?.start ?? this.#written);
  }

  /** Appends `bytes`. Settles when the writer may go on: they are in the file, or followers have room for more. */
  async append(bytes: Buffer): Promise<void> {
    const start = this.#written;
    this.#recent.push({ start, bytes });
    this.#recentBytes += bytes.length;
    this.#written += bytes.length;
    this.#changed();
    if (this.#hasRoom && this.#written > IN_MEMORY) await this.toFile();
    this.#trim();
    if (!this.#hasRoom) await this.#waitForRoom();
  }

  /** Puts into the file what is in memory alone. Afterwards `isWhole` says whether there was room. */
  async toFile(): Promise<void> {
    for (const { start, bytes } of this.#recent) {
      if (start >= this.#disk && this.#hasRoom) await this.#write(bytes, start);
    }
  }

  async #write(bytes: Buffer, start: number): Promise<void> {
    if (!this.#space.reserve(bytes.length, this.#disk)) {
      this.#hasRoom = false;
      return;
    }
    try {
      this.#file ??= await open(this.path, 'wx+', 0o600);
      let done = 0;
      while (done < bytes.length) {
        done += (await this.#file.write(bytes, done, bytes.length - done, start + done)).bytesWritten;
      }
      this.#disk = start + bytes.length;
    } catch {
      // Disk full, quota, read-only: the clients still get their bytes, only nothing is kept.
      this.#space.release(bytes.length);
      this.#hasRoom = false;
    }
  }

  /** Drops what is in the file, or what every follower has passed, from memory. */
  #trim(): void {
    const bound = this.#hasRoom ? RECENT_BYTES : WINDOW_BYTES;
    while (this.#recentBytes > bound) {
      const oldest = this.#recent[0] as Chunk;
      const end = oldest.start + oldest.bytes.length;
      if (end > this.#disk && this.#slowest() < end) return;
      this.#recent.shift();
      this.#recentBytes -= oldest.bytes.length;
    }
  }

  #slowest(): number {
    let slowest = Infinity;
    for (const { position } of this.#followers) slowest = Math.min(slowest, position);
    return slowest;
  }

  async #waitForRoom(): Promise<void> {
    while (this.#recentBytes > WINDOW_BYTES) {
      const before = this.#slowest();
      const stalled = await changeOrTimeout(this.#change, STALL_TIMEOUT);
      if (stalled) this.#dropStalled(before);
      this.#trim();
    }
  }

  #dropStalled(position: number): void {
    for (const follower of this.#followers) {
      if (follower.position > position) continue;
      follower.stream.destroy(
        new EntrepotError('storage', 'The disk is full and this client reads too slowly to be served without it'),
      );
    }
  }

  /** Resolves when a first byte can be read, and there are more than `bytes` or all. @throws EntrepotError when none will come */
  async flowing(bytes = HELD_TAIL): Promise<void> {
    while (!this.#sealed && this.#written <= Math.max(bytes, HELD_TAIL)) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#change;
    }
  }

  /** Everything was verified: the held tail is released. */
  seal(): void {
    this.#sealed = true;
    this.#changed();
  }

  /** Ends every follower, present and future, with `error`. */
  fail(error: EntrepotError): void {
    this.#failure = error;
    this.#changed();
  }

  /** Forgets all bytes, to begin anew. Only before anybody followed. */
  async rewind(): Promise<void> {
    await this.#file?.truncate(0);
    this.#written = 0;
    this.#recent = [];
    this.#recentBytes = 0;
    this.#space.release(this.#disk);
    this.#disk = 0;
  }

  /**
   * The bytes written so far, also the held ones: for those who verify them. Reading throws `storage` when the disk is
   * full and memory no longer has the beginning.
   */
  content(mediaType: string): Content {
    const path = this.#hasRoom && this.#disk > 0 ? this.path : undefined;
    return contentOf(this.#written, mediaType, () => this.#readAll(), path);
  }

  #readAll(): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    if (this.#written === 0) return [];
    if (this.#isSmall) return this.#recent.map(({ bytes }) => bytes);
    if (this.#hasRoom) return createReadStream(this.path, { end: this.#written - 1, highWaterMark: READ_BYTES });
    if (this.#recent[0]?.start === 0) return this.#recent.map(({ bytes }) => bytes);
    throw new EntrepotError('storage', `The disk has no room for a document of ${this.#written} bytes`, {
      code: 'STORAGE_FULL',
    });
  }

  /**
   * The bytes, as they come. The stream fails when the spool fails; the caller destroys it.
   * @param range both ends must come to lie inside the body; absent: all of it
   */
  follow(range?: ByteRange): Readable {
    const end = range === undefined ? Infinity : range.end + 1;
    const stream = new Readable({
      highWaterMark: READ_BYTES,
      read: () => void this.#feed(follower, end),
      destroy: (error, done) => {
        this.#followers.delete(follower);
        this.#changed();
        this.#closeWhenUnused().then(() => done(error), done);
      },
    });
    const follower: Follower = { position: range?.start ?? 0, stream };
    this.#followers.add(follower);
    this.#followed = true;
    return stream;
  }

  async #feed(follower: Follower, end: number): Promise<void> {
    try {
      const bytes = await this.#next(follower.position, end);
      if (follower.stream.destroyed) return;
      if (bytes !== undefined) follower.position += bytes.length;
      // Without a disk the writer waits for its followers.
      if (!this.#hasRoom) this.#changed();
      follower.stream.push(bytes ?? null);
    } catch (error) {
      follower.stream.destroy(asEntrepotError(error, 'storage', 'A spool file could not be read'));
    }
  }

  /** The next bytes from `position`, or `undefined` at `end` or at the end of the body. */
  async #next(position: number, end: number): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const readable = Math.min(end, this.#sealed ? this.#written : this.#written - HELD_TAIL);
      if (position < readable)
        return this.#fromMemory(position, readable) ?? (await this.#fromFile(position, readable));
      if (position >= end || this.#sealed) return undefined;
      await this.#change;
    }
  }

  #fromMemory(position: number, readable: number): Buffer | undefined {
    for (let index = this.#recent.length - 1; index >= 0; index -= 1) {
      const { start, bytes } = this.#recent[index] as Chunk;
      if (position < start) continue;
      if (position >= start + bytes.length) return undefined;
      return bytes.subarray(position - start, Math.min(bytes.length, readable - start));
    }
    return undefined;
  }

  async #fromFile(position: number, readable: number): Promise<Buffer> {
    const length = Math.min(READ_BYTES, readable - position, this.#disk - position);
    if (this.#file === undefined || length <= 0) {
      throw new EntrepotError('storage', 'The disk is full and the beginning of this body is no longer in memory');
    }
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.read(buffer, 0, length, position);
    if (bytesRead === 0)
      throw new EntrepotError('storage', `The spool file ends at ${position}; expected ${this.#disk} bytes`);
    return buffer.subarray(0, bytesRead);
  }

  /** The writer needs the file no more; it goes when the last follower has. */
  async release(): Promise<void> {
    this.#released = true;
    await this.#closeWhenUnused();
  }

  async #closeWhenUnused(): Promise<void> {
    if (!this.#released || this.#followers.size > 0) return;
    const file = this.#file;
    this.#file = undefined;
    this.#recent = [];
    const disk = this.#disk;
    this.#disk = 0;
    this.#space.release(disk);
    if (file === undefined) return;
    await file.close();
    await rm(this.path, { force: true });
  }

  #changed(): void {
    const wake = this.#wake;
    this.#change = this.#nextChange();
    wake();
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** @returns whether `milliseconds` passed before `change`. */
function changeOrTimeout(change: Promise<void>, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), milliseconds);
    void change.then(() => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}
