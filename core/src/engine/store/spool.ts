import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { ByteRange } from '../../api/blob-store.js';
import type { Content } from '../../api/content.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import { ChangeSignal } from './change-signal.js';
import { contentOf } from './content.js';
import { inTime, LATE } from './in-time.js';
import { RecentBytes } from './recent-bytes.js';
import { SpoolFile } from './spool-file.js';
import type { SpoolSpace } from './spool-space.js';

/** The last bytes of a body are withheld until all of it is verified, so that a wrong one never looks complete. */
export const HELD_TAIL = 64 * 1024;

/** A body up to this size is kept in memory alone: most are over before a file would be open. */
const IN_MEMORY = 512 * 1024;
/** Bytes in memory behind the newest one. Followers at the head share them instead of reading the file. */
const RECENT_BYTES = 1024 * 1024;
/** The same where there is no disk behind it: the fastest follower is at most this far ahead of the slowest. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** The time for which a follower may hold up the others where there is no disk to read behind them from; milliseconds. */
const STALL_TIMEOUT = 30_000;
const READ_BYTES = 128 * 1024;
/** Bytes that are written to the file at once. Followers read them from memory until then. */
const WRITE_BYTES = 256 * 1024;

interface Follower {
  position: number;
  /** Whether it reads the held tail, too: it verifies the bytes. */
  readonly isVerifying: boolean;
  readonly stream: Readable;
}

/**
 * A growing body, in memory while it is small and then in a temp file: one writer, any number of followers, each from byte 0
 * (or a range) at its own speed, late joiners too. When the disk has no room, it goes on in memory: then followers move
 * together, and nobody can join from behind.
 *
 * Bytes become readable as they come, but for the held tail; `seal` releases that, `fail` ends every follower with an error.
 */
export class Spool {
  readonly #file: SpoolFile;
  /** Settles when the file has what it was given last. */
  #writing: Promise<void> | undefined;
  #written = 0;
  #sealed = false;
  #finished = false;
  /** The number of times that it began anew. */
  rewinds = 0;
  #failure: EntrepotError | undefined;
  /** Bytes that the file has, or is being given. */
  #handedOver = 0;
  readonly #recent = new RecentBytes();
  readonly #followers = new Set<Follower>();
  #followed = false;
  #released = false;
  readonly #change = new ChangeSignal();

  /** The end of the body before its held tail. Absent: it is not known. */
  readonly #heldFrom: number | undefined;

  /** @param size that the body is said to have, in bytes. Absent: it is not known, and the tail of all that came so far is held. */
  constructor(space: SpoolSpace, size?: number) {
    this.#file = new SpoolFile(space);
    this.#heldFrom = size === undefined ? undefined : Math.max(0, size - HELD_TAIL);
  }

  get path(): string {
    return this.#file.path;
  }

  /** Bytes written. */
  get size(): number {
    return this.#written;
  }

  /** Whether the whole can be read again: from memory while it is small, else from the file at `path`. */
  get isWhole(): boolean {
    return this.#file.hasRoom;
  }

  /** The whole, where it is in memory alone. */
  get bytes(): Buffer | undefined {
    return this.#isSmall ? this.#recent.joined() : undefined;
  }

  /** Whether all bytes are in memory, and none has had to go to the file. */
  get #isSmall(): boolean {
    return this.#file.hasRoom && this.#file.size === 0 && !this.#released;
  }

  /** Whether a follower has ever been there: from then on the bytes cannot be taken back. */
  get followed(): boolean {
    return this.#followed;
  }

  /** Whether a new follower can start at `position`. */
  canFollow(position: number): boolean {
    return position <= this.#file.size || position >= (this.#recent.start ?? this.#written);
  }

  /** Appends `bytes`. Settles when the writer may go on: the file is close behind, or followers have room for more. */
  async append(bytes: Buffer): Promise<void> {
    this.#recent.push(this.#written, bytes);
    this.#written += bytes.length;
    this.#change.notify();
    const isDue = this.#written > IN_MEMORY && this.#written - this.#handedOver >= WRITE_BYTES;
    if (isDue && this.#file.hasRoom) {
      await this.#writing;
      // The next bytes come while these are written.
      this.#writing = this.#write();
    }
    this.#trim();
    if (!this.#file.hasRoom) await this.#waitForRoom();
  }

  /** Puts the end of a body that is over where its beginning is. Afterwards `isWhole` says whether there was room. */
  async finish(): Promise<void> {
    if (this.#written > IN_MEMORY) await this.toFile();
    this.#finished = true;
    this.#change.notify();
  }

  /** Puts into the file what is in memory alone. Afterwards `isWhole` says whether there was room. */
  async toFile(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    this.#handedOver = this.#written;
    await this.#file.append(this.#recent.from(this.#file.size));
  }

  /** Drops what is in the file, or what every follower has passed, from memory. */
  #trim(): void {
    const bound = this.#file.hasRoom ? RECENT_BYTES : WINDOW_BYTES;
    while (this.#recent.size > bound) {
      const end = this.#recent.oldestEnd;
      if (end > this.#file.size && (this.#file.hasRoom || this.#slowest() < end)) return;
      this.#recent.dropOldest();
    }
  }

  #slowest(): number {
    let slowest = Infinity;
    for (const { position } of this.#followers) slowest = Math.min(slowest, position);
    return slowest;
  }

  async #waitForRoom(): Promise<void> {
    while (this.#recent.size > WINDOW_BYTES) {
      const before = this.#slowest();
      const change = await inTime(this.#change.next, STALL_TIMEOUT);
      if (change === LATE) this.#dropStalled(before);
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
    while (!this.#sealed && (this.#written <= bytes || this.#readable <= 0)) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#change.next;
    }
  }

  /** The end of the bytes that clients may read. */
  get #readable(): number {
    if (this.#sealed) return this.#written;
    return this.#heldFrom === undefined ? this.#written - HELD_TAIL : Math.min(this.#written, this.#heldFrom);
  }

  /** Waits for more than `bytes`, verified or not. @returns whether the body has so many */
  async exceeds(bytes: number): Promise<boolean> {
    while (this.#written <= bytes && !this.#finished && this.#failure === undefined) await this.#change.next;
    return this.#written > bytes;
  }

  /** Everything was verified: the held tail is released. */
  seal(): void {
    this.#sealed = true;
    this.#change.notify();
  }

  /** Ends every follower, present and future, with `error`. */
  fail(error: EntrepotError): void {
    this.#failure = error;
    this.#change.notify();
  }

  /** Drops all bytes, to begin anew. Only before there are followers; verifiers of dropped bytes fail. */
  async rewind(): Promise<void> {
    this.rewinds += 1;
    this.#finished = false;
    for (const { stream } of this.#followers) stream.destroy(beganAnew());
    await this.#writing;
    await this.#file.clear();
    this.#written = this.#handedOver = 0;
    this.#recent.clear();
  }

  /**
   * The bytes of a body that is over, also the held ones: for those who verify them. Reading throws `storage` when the disk is
   * full and memory no longer has the beginning.
   */
  content(mediaType: string): Content {
    const path = this.#file.hasRoom && this.#file.size > 0 ? this.path : undefined;
    return contentOf(this.#written, mediaType, () => this.#readAll(), path);
  }

  #readAll(): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    if (this.#written === 0) return [];
    if (this.#isSmall) return this.#recent.from(0);
    if (this.#file.hasRoom) return createReadStream(this.path, { end: this.#written - 1, highWaterMark: READ_BYTES });
    if (this.#recent.start === 0) return this.#recent.from(0);
    throw new EntrepotError('storage', `The disk has no room for a document of ${this.#written} bytes`, {
      code: 'STORAGE_FULL',
    });
  }

  /**
   * The bytes, as they come. The stream fails when the spool fails; the caller destroys it.
   * @param range both ends must come to lie inside the body; absent: all of it
   */
  follow(range?: ByteRange): Readable {
    this.#followed = true;
    return this.#stream(range, false);
  }

  /**
   * The bytes from `start` on, as they come, also the held ones: for those who verify them. It ends before `end`, or when the body is
   * finished.
   */
  followToVerify(start = 0, end = Infinity): Readable {
    return this.#stream({ start, end: end - 1 }, true);
  }

  #stream(range: ByteRange | undefined, isVerifying: boolean): Readable {
    const end = range === undefined ? Infinity : range.end + 1;
    const stream = new Readable({
      highWaterMark: READ_BYTES,
      read: () => void this.#feed(follower, end),
      destroy: (error, done) => {
        this.#followers.delete(follower);
        this.#change.notify();
        this.#closeWhenUnused().then(() => done(error), done);
      },
    });
    const follower: Follower = { position: range?.start ?? 0, isVerifying, stream };
    this.#followers.add(follower);
    return stream;
  }

  async #feed(follower: Follower, end: number): Promise<void> {
    try {
      const bytes = await this.#next(follower, end);
      if (follower.stream.destroyed) return;
      if (bytes !== undefined) follower.position += bytes.length;
      // Without a disk the writer waits for its followers.
      if (!this.#file.hasRoom) this.#change.notify();
      follower.stream.push(bytes ?? null);
    } catch (error) {
      follower.stream.destroy(asEntrepotError(error, 'storage', 'A spool file could not be read'));
    }
  }

  /** The next bytes from `position`, or `undefined` at `end` or at the end of the body. */
  async #next({ position, isVerifying }: Follower, end: number): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const readable = Math.min(end, isVerifying ? this.#written : this.#readable);
      if (position < readable)
        return (
          this.#recent.read(position, readable) ??
          (await this.#file.read(position, Math.min(READ_BYTES, readable - position)))
        );
      if (position >= end || this.#sealed || (isVerifying && this.#finished)) return undefined;
      await this.#change.next;
    }
  }

  /** The writer needs the file no more; it goes when the last follower has. */
  async release(): Promise<void> {
    this.#released = true;
    await this.#closeWhenUnused();
  }

  async #closeWhenUnused(): Promise<void> {
    if (!this.#isUnused) return;
    if (this.#writing !== undefined) await this.#writing;
    if (!this.#isUnused) return;
    this.#recent.clear();
    await this.#file.remove();
  }

  get #isUnused(): boolean {
    return this.#released && this.#followers.size === 0;
  }
}

function beganAnew(): EntrepotError {
  return new EntrepotError('upstream-unavailable', 'The body broke off and is asked for anew', { code: 'BODY_ANEW' });
}
