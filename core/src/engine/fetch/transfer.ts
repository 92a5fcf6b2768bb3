import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError, printableUrl } from '../../api/errors.js';
import type { Integrity } from '../../api/integrity.js';
import { Spool } from '../store/spool.js';
import { drain } from '../upstream/upstream-reply.js';
import { backOff, placeOf, type QueryPlace, type UpstreamReply } from '../upstream/query.js';
import { askingHeaders } from './asking.js';
import { BodyBounds } from './body-bounds.js';
import type { UpstreamLocation } from '../request/resource.js';
import type { FlightContext, Stored } from './shared-flight.js';
import { mismatchOf, Summing, type Sums } from './sums.js';

/** The number of times that a broken body is resumed without any progress in between. */
const MAX_IDLE_RESUMES = 3;
/** The number of times that a body is read anew whose upstream sends no part of it. */
const MAX_ANEW = 2;

/** The resource that a transfer brings, as far as it has to know it. */
export type Transferred = UpstreamLocation &
  Pick<Stored, 'key' | 'accept' | 'askedWith' | 'isRendered'> &
  Pick<Partial<Stored>, 'maxBytes' | 'sumHeaders'>;

/** A body that is coming. */
export interface ComingBody {
  readonly reply: UpstreamReply;
  /** The content coding that is undone on the way in. */
  readonly undo: string | undefined;
  /** Bytes, where the upstream says that. */
  readonly size: number | undefined;
  readonly promised: readonly Integrity[];
  readonly spool: Spool;
}

/** Others who may have the rest of a body that broke off. */
export interface OtherSource {
  /** The bytes from `from` on. `undefined`: the upstream is to be asked. */
  rest(from: number): Promise<Readable | undefined>;
}

/** A request that was sent before it was known whether its reply is wanted. */
export interface EarlyRequest {
  take(): Promise<UpstreamReply>;
  /** Looks at the reply, which is not taken yet. */
  head(): Promise<Pick<UpstreamReply, 'headers'>>;
  /** Lets go of a reply that was not taken. */
  abandon(): void;
}

/** The exchange with the upstream for one resource: the request, its resumption, the body into the spool, its digests. */
export class Transfer {
  readonly bounds: BodyBounds;
  /** The source of the body. */
  place: QueryPlace;
  readonly #context: FlightContext;
  readonly #resource: Transferred;
  readonly #kept: Entry | undefined;
  readonly #signal: AbortSignal;
  /** The number of times that a whole body was read anew. */
  #anew = 0;
  readonly #others: OtherSource | undefined;

  /**
   * @param kept the copy that can be served instead
   * @param others who are asked first for the rest of a body. Absent: there are none.
   */
  constructor(
    context: FlightContext,
    resource: Transferred,
    kept: Entry | undefined,
    signal: AbortSignal,
    others?: OtherSource,
  ) {
    this.#others = others;
    this.#context = context;
    this.#resource = resource;
    this.#kept = kept;
    this.#signal = signal;
    this.place = placeOf(resource);
    this.bounds = new BodyBounds(context.definition.limits, resource);
  }

  async request(conditional?: Entry): Promise<UpstreamReply> {
    return await this.#context.upstreams.fetch({
      method: 'GET',
      ...this.place,
      headers: this.#headers(),
      conditional,
      signal: this.#signal,
      skipUnhealthy: this.#kept !== undefined,
    });
  }

  /** Asks for the bytes by their name alone. None of them is read before it is known what is promised of them. */
  requestEarly(): EarlyRequest {
    const reply = this.request();
    reply.catch(() => {});
    let taken = false;
    return {
      take() {
        taken = true;
        return reply;
      },
      head: () => reply,
      abandon() {
        if (!taken) reply.then(drain, () => {});
      },
    };
  }

  #headers(): Record<string, string> {
    const resource = this.#resource;
    return {
      ...askingHeaders(resource),
      // Bytes that are passed on must be the wire's own; a document to render is decoded while it is spooled.
      'accept-encoding': resource.isRendered ? 'gzip' : 'identity',
    };
  }

  /** Writes the body to its spool while its digests are computed. A body that breaks off is resumed where that is safe. */
  async fill(body: ComingBody): Promise<Sums> {
    const { reply: first, size, promised, spool } = body;
    const wanted = Object.keys(this.#resource.sumHeaders ?? {});
    let summing = new Summing(promised, wanted);
    let reply = first;
    let idleResumes = 0;
    for (;;) {
      const before = spool.size;
      try {
        await this.#take(reply, body, summing);
        return summing.sums();
      } catch (error) {
        const failure = asEntrepotError(
          error,
          'upstream-unavailable',
          `The body of ${printableUrl(first.url)} is broken`,
        );
        idleResumes = spool.size > before ? 0 : idleResumes + 1;
        const isFinal = failure.kind !== 'upstream-unavailable' || failure.code === 'UPSTREAM_TOO_LARGE';
        const isTooLong = size !== undefined && spool.size > size;
        if (this.#signal.aborted || isFinal || isTooLong || idleResumes >= MAX_IDLE_RESUMES) throw failure;
        await backOff(idleResumes, this.#signal);
        const rest = await this.#elsewhere(body, failure);
        if (rest !== undefined) {
          reply = { ...first, body: rest };
        } else if (body.undo === undefined && first.isDecoded !== true && spool.size > 0) {
          reply = await this.#resume(body, failure);
        } else if (spool.followed || idleResumes > 0) {
          throw failure;
        } else {
          // Nobody has seen a byte yet: the whole may be asked for again.
          await spool.rewind();
          summing = new Summing(promised, wanted);
          reply = await this.#restart(body, failure);
          idleResumes += 1;
        }
      }
    }
  }

  /** The rest of a body by others. Theirs may be of another time: where nothing is promised of it, it has to begin with the same bytes. */
  async #elsewhere({ spool, promised }: ComingBody, failure: EntrepotError): Promise<Readable | undefined> {
    if (promised.length > 0 || spool.size === 0) return await this.#others?.rest(spool.size);
    const whole = await this.#others?.rest(0);
    return whole && Readable.from(behind(spool, whole, failure), { objectMode: false });
  }

  async #take(reply: UpstreamReply, { undo, size, spool }: ComingBody, summing: Summing): Promise<void> {
    const body = reply.body as AsyncIterable<Buffer>;
    for await (const bytes of undo === undefined ? body : this.bounds.decoded(body, undo)) {
      this.#signal.throwIfAborted();
      this.bounds.check(spool.size + bytes.length);
      summing.update(bytes);
      await spool.append(bytes);
    }
    if (size !== undefined && spool.size !== size) throw wrongLength(reply, size, spool.size);
    await spool.finish();
  }

  /**
   * Asks for the rest of a body by `Range`, on condition that it is still the same one (RFC 9110 §14.2, §13.1.5). An upstream that
   * sends all of it is read anew, as far as it begins with the same bytes.
   */
  async #resume({ reply: first, size, spool }: ComingBody, failure: EntrepotError): Promise<UpstreamReply> {
    const from = spool.size;
    const validator = strongValidator(first);
    const condition = validator === undefined ? {} : { range: `bytes=${from}-`, 'if-range': validator };
    const reply = await this.#ask(first, condition, failure);
    // Each time that it breaks off, all that came is sent again: not without an end.
    if (reply.status === 200 && contentLength(reply) === size && this.#anew < MAX_ANEW) {
      this.#anew += 1;
      return { ...reply, body: Readable.from(behind(spool, reply.body, failure), { objectMode: false }) };
    }
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(reply.headers['content-range'] ?? '');
    const sameSize = size === undefined || range?.[2] === '*' || Number(range?.[2]) === size;
    if (reply.status === 206 && Number(range?.[1]) === from && sameSize) return reply;
    drain(reply);
    throw failure;
  }

  async #restart({ reply: first, size }: ComingBody, failure: EntrepotError): Promise<UpstreamReply> {
    const reply = await this.#ask(first, {}, failure);
    // Clients may have been told this size with the head.
    if (reply.status === 200 && (size === undefined || contentLength(reply) === size)) return reply;
    drain(reply);
    throw failure;
  }

  async #ask(first: UpstreamReply, headers: Record<string, string>, failure: EntrepotError): Promise<UpstreamReply> {
    try {
      return await this.#context.upstreams.fetch({
        method: 'GET',
        ...this.place,
        location: first.url,
        namedBy: first.namedBy,
        headers: { ...this.#headers(), ...headers },
        signal: this.#signal,
        skipUnhealthy: false,
      });
    } catch (error) {
      this.#signal.throwIfAborted();
      throw new EntrepotError(failure.kind, failure.message, {
        code: failure.code,
        status: failure.status,
        cause: error,
      });
    }
  }

  /** Undoes the coding of bytes that are here, where the decoded ones are what was promised. The caller releases both spools. */
  async withoutCoding(
    { spool, promised }: ComingBody,
    coding: string,
    sums: Sums,
  ): Promise<{ readonly spool: Spool; readonly sums: Sums } | undefined> {
    if (mismatchOf(promised, sums) === undefined) return undefined;
    const plain = new Spool(this.#context.services.storage.spools);
    let isRight = false;
    try {
      const summing = new Summing(promised, Object.keys(this.#resource.sumHeaders ?? {}));
      for await (const bytes of this.bounds.decoded(spool.content('').stream() as AsyncIterable<Buffer>, coding)) {
        this.#signal.throwIfAborted();
        summing.update(bytes);
        await plain.append(bytes);
      }
      await plain.finish();
      const found = summing.sums();
      isRight = mismatchOf(promised, found) === undefined;
      if (isRight) return { spool: plain, sums: found };
    } catch (error) {
      this.#signal.throwIfAborted();
      if (error instanceof EntrepotError && error.code === 'UPSTREAM_TOO_LARGE') throw error;
      // A label that lies: what came is held against what was promised.
    } finally {
      if (!isRight) await plain.release();
    }
    return undefined;
  }
}

/** What follows the bytes that `spool` has in `body`. @throws `failure` where that does not begin with them */
async function* behind(spool: Spool, body: Readable, failure: EntrepotError): AsyncGenerator<Buffer> {
  const from = spool.size;
  const had = createHash('sha256');
  const found = createHash('sha256');
  let position = 0;
  let isSame = false;
  try {
    for await (const bytes of spool.followToVerify(0, from) as AsyncIterable<Buffer>) had.update(bytes);
    for await (const bytes of body as AsyncIterable<Buffer>) {
      const again = bytes.subarray(0, Math.max(0, from - position));
      position += bytes.length;
      if (!isSame) found.update(again);
      if (position < from) continue;
      isSame ||= found.digest().equals(had.digest());
      if (!isSame) throw failure;
      if (again.length < bytes.length) yield bytes.subarray(again.length);
    }
    if (!isSame) throw failure;
  } finally {
    body.destroy();
  }
}

/** The bytes of the body by its header. */
export function contentLength(reply: UpstreamReply): number | undefined {
  const header = reply.headers['content-length'];
  return header !== undefined && /^\d+$/.test(header) ? Number(header) : undefined;
}

/** A validator that `If-Range` takes: a strong tag, else a date. */
function strongValidator(reply: UpstreamReply): string | undefined {
  const etag = reply.headers['etag'];
  return etag?.startsWith('"') ? etag : reply.headers['last-modified'];
}

function wrongLength(reply: UpstreamReply, expected: number, found: number): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `${printableUrl(reply.url)} announced ${expected} bytes and sent ${found}`,
    { code: 'UPSTREAM_TRUNCATED' },
  );
}
