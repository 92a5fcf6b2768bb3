import { addAbortSignal, Readable } from 'node:stream';
import type { ByteRange } from '../api/blob-store.js';
import { EntrepotError, messageOf } from '../api/errors.js';

/** A body that breaks off is resumed so often. */
const RESUMPTIONS = 2;

/** The head of a reply with bytes of an object, and its body. */
export interface ObjectReply {
  readonly body: Readable;
  /** The first byte of the body, and the last; one before `start`: the body is empty. */
  readonly start: number;
  readonly end: number;
  /** The size of the whole object in bytes. */
  readonly total: number;
  /** Differs between two objects that one key has had. */
  readonly etag: string;
}

/** The fields of a reply with bytes, as a store gives them. */
export interface ReplyFields {
  /** Absent: it is no reply of the store. */
  readonly etag: string | undefined;
  /** Its `Content-Length`. Absent: it is none of the store. */
  readonly length: string | number | undefined;
  /** Its `Content-Range`. */
  readonly range: string | undefined;
  /** Absent: the client of the store hides it, and checks it. */
  readonly status?: number | undefined;
}

/**
 * Reads the head of a reply with bytes.
 * @param wanted the range that was asked for. Absent: all
 * @returns `undefined` for what is no reply of a store, such as the page of a captive portal, or one to another question
 */
export function readObjectHead(
  { etag, length, range, status }: ReplyFields,
  wanted: ByteRange | undefined,
): Omit<ObjectReply, 'body'> | undefined {
  const size = Number(length ?? NaN);
  const isAsked = status === undefined || status === (wanted === undefined ? 200 : 206);
  if (etag === undefined || !isAsked || !Number.isSafeInteger(size)) return undefined;
  if (wanted === undefined) return { start: 0, end: size - 1, total: size, etag };
  const [, start, end, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range ?? '') ?? [];
  const head = { start: Number(start), end: Number(end), total: Number(total), etag };
  const fits = head.start === wanted.start && head.end <= wanted.end && size === head.end - head.start + 1;
  return fits ? head : undefined;
}

export interface ObjectReaderOptions {
  /** The object, for messages. */
  readonly where: string;
  /** The longest pause within the body, in milliseconds. */
  readonly idleTimeout: number;
  /** Sends the request again, for the bytes from `start` on. `undefined`: the object is gone. */
  readonly again: (start: number, signal: AbortSignal) => Promise<ObjectReply | undefined>;
  readonly signal?: AbortSignal | undefined;
}

/** Reads the body of a reply; resumes it where it breaks off. It ends cleanly only after the last byte. */
export class ObjectReader extends Readable {
  readonly #options: ObjectReaderOptions;
  /** Ends the request that resumes the body. Made with it: an abort is dear, and most bodies come whole. */
  #ending: AbortController | undefined;
  readonly #end: number;
  readonly #etag: string;
  /** The byte that is read next. */
  #at: number;
  #body: Readable;
  #resumed = 0;
  /** Whether bytes are wanted: a pause of the reader is none of the server. */
  #isWanting = false;
  readonly #timer: NodeJS.Timeout;

  constructor(reply: ObjectReply, options: ObjectReaderOptions) {
    super({ highWaterMark: 256 * 1024 });
    this.#options = options;
    this.#at = reply.start;
    this.#end = reply.end;
    this.#etag = reply.etag;
    this.#body = reply.body;
    const { idleTimeout, signal } = options;
    this.#timer = setTimeout(() => {
      if (this.#isWanting) this.#body.destroy(new Error(`no byte came for ${idleTimeout} ms`));
    }, idleTimeout);
    this.#attach(reply.body);
    if (signal !== undefined) addAbortSignal(signal, this);
  }

  override _read(): void {
    this.#want();
    this.#body.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#ending?.abort();
    // One that was read to its end leaves its connection for the next request.
    if (!this.#body.readableEnded) this.#body.destroy();
    done(error);
  }

  #want(): void {
    if (this.#isWanting) return;
    this.#isWanting = true;
    this.#timer.refresh();
  }

  #attach(body: Readable): void {
    let isOver = false;
    const once = (work: () => void) => () => {
      if (isOver || this.destroyed) return;
      isOver = true;
      work();
    };
    body.on('data', (chunk: Buffer) => {
      if (isOver || this.destroyed) return;
      this.#at += chunk.length;
      this.#timer.refresh();
      if (this.push(chunk)) return;
      this.#isWanting = false;
      body.pause();
    });
    body.on(
      'end',
      once(() => {
        if (this.#at > this.#end) this.push(null);
        else void this.#resume(new Error('the body ended early'));
      }),
    );
    let reason: Error | undefined;
    body.on('error', (error) => {
      reason = error;
    });
    body.on(
      'close',
      once(() => void this.#resume(reason ?? new Error('the connection was closed'))),
    );
    if (!this.#isWanting) body.pause();
  }

  async #resume(reason: Error): Promise<void> {
    this.#isWanting = false;
    try {
      if (this.#resumed >= RESUMPTIONS) throw reason;
      this.#resumed += 1;
      this.#ending ??= new AbortController();
      const reply = await this.#options.again(this.#at, this.#ending.signal);
      if (this.destroyed) return void reply?.body.destroy();
      // Some servers overlook that they were asked for the same object.
      const isSame = reply?.etag === this.#etag && reply.start === this.#at && reply.end === this.#end;
      if (reply === undefined || !isSame) {
        reply?.body.destroy();
        throw reason;
      }
      this.#body = reply.body;
      this.#want();
      this.#attach(reply.body);
    } catch (error) {
      if (this.destroyed) return;
      const message = `${this.#options.where} broke off before byte ${this.#at}, expected all to byte ${this.#end}: ${messageOf(error)}`;
      this.destroy(new EntrepotError('storage', message, { cause: error }));
    }
  }
}
