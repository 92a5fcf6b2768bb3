import { createHash, type Hash } from 'node:crypto';
import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { Entry, EntryRenewal } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError, printableUrl } from '../../api/errors.js';
import type { FreshnessRule } from '../../api/freshness.js';
import { integrityMismatch, strongest, type Integrity } from '../../api/integrity.js';
import type { ArtifactDescription, VerifyContext } from '../../api/protocol.js';
import type { ArtifactResource, DocumentResource } from '../../api/resource.js';
import { noteParts } from '../policy/evaluation.js';
import { factsOf } from '../policy/facts.js';
import type { Judge } from '../policy/judge.js';
import { askingHeaders, chosenBy } from './asking.js';
import { keptHeaders, verifiedHeaders } from './kept-headers.js';
import { planCoding, undone } from './content-coding.js';
import { bareMediaType, isOfType } from '../store/content.js';
import { describedPlace, type LocatedDescription } from './described-place.js';
import { forbidsStoring } from './freshness.js';
import { readDescriptions, type Reading } from './known-descriptions.js';
import { beginsAsPage, pageDoubt } from './login-page.js';
import { isUnsettled, settledMediaType } from './media-type.js';
import { isPinned, nameOf, type PinnedDocument } from '../store/pinned-name.js';
import { keptByDigest, namedNow, placeByDigest, promisedBy } from './pinned-document.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import { Spool } from '../store/spool.js';
import { putBlob, putEntry } from './publish.js';
import { drain } from '../upstream/upstream-reply.js';
import {
  backOff,
  placeOf,
  withoutQuery,
  type QueryPlace,
  type UpstreamReply,
  type Upstreams,
} from '../upstream/upstreams.js';

/** How often a broken body is taken up again without any progress in between. */
const MAX_IDLE_RESUMES = 3;

/** Codes besides 404 of an upstream that does not know a kind of document. */
const SAYS_UNKNOWN = new Set(['UPSTREAM_REFUSED', 'UPSTREAM_501', 'UPSTREAM_MEDIA_TYPE', 'UPSTREAM_MALFORMED']);

/** A coded body may unfold to so many times its bytes, beyond the size of a document: what grows more was made to fill the disk. */
const MOST_GROWTH = 100;

/** What a flight is asked to bring. */
export interface FlightPlan {
  readonly resource: ArtifactResource | DocumentResource;
  readonly rule: FreshnessRule;
  /** The kept copy that is revalidated. */
  readonly kept?: Entry | undefined;
  /** What is kept of the bytes: blob and entry, the blob alone (its entry is published with others), or nothing. */
  readonly keep: 'entry' | 'blob' | 'nothing';
  /** Whether the bytes are asked for while `describe` is still under way. */
  readonly startsEarly: boolean;
  /** What the ecosystem says of the artifact; resolved inside the flight, so that all who join share it. */
  describe(): Promise<LocatedDescription | undefined>;
  /** The same from a document that the upstream has just confirmed or replaced. */
  describeAnew(): Promise<ArtifactDescription | undefined>;
  /** The bytes of another resource, for hooks that verify. */
  read: VerifyContext['read'];
  /** Ends the reads that a hook which has failed no longer waits for. */
  abandonReads(): void;
  /** Told when a document was read, with the digest that it will have. */
  described(digest: Digest, reading: Reading): void;
}

/** What is known when the head of the upstream's reply is here. */
export interface FlightHead {
  readonly spool: Spool;
  /** Bytes of the body; `undefined` when the upstream does not say. */
  readonly size: number | undefined;
  /** The digest, where the ecosystem promised just that. */
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  /** Whether the bytes may turn out to be of another media type. */
  readonly unsettled: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly lastModified: string | undefined;
  /** Where the body comes from: a part of it can be asked for there. */
  readonly place: QueryPlace;
  /** What the artifact is by its document, else by its request. */
  readonly coordinates: PackageCoordinates | undefined;
  /** What its document says of it. */
  readonly description?: ArtifactDescription | undefined;
  /** The entry of bytes that clients get before they are kept. `undefined`: they are kept first, or are not right. */
  readonly ahead: Promise<Entry | undefined>;
}

/** What a flight brought. */
export type FlightResult =
  /** The upstream confirmed the kept copy. */
  | { readonly kind: 'renewed'; readonly entry: Entry }
  /** New bytes, verified and kept. */
  | { readonly kind: 'stored'; readonly entry: Entry }
  /** New bytes, verified, but not kept: by rule, or for want of room. */
  | { readonly kind: 'unstored'; readonly entry: Entry; readonly content: Content };

/** A fetch that several requests can share. */
export interface SharedFlight {
  /** Resolves with `undefined` when no body can be followed: wait for `done`. */
  readonly head: Promise<FlightHead | undefined>;
  readonly done: Promise<FlightResult>;
  /** Keeps what the flight brings readable until `release`. */
  retain(): void;
  release(): Promise<void>;
  /** Whether anybody but the flight itself works with it, or has seen its bytes. */
  readonly wanted: boolean;
  /** Whether clients have got the whole already, which is being kept. */
  readonly isAhead?: boolean | undefined;
  /** Ends the flight; all who follow it get an error: that the server is shutting down, unless there is another reason. */
  abort(reason?: EntrepotError): void;
}

/** What a flight works with. */
export interface FlightContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly upstreams: Upstreams;
  readonly judge: Judge;
}

/** The sums of a body by algorithm, in hex. */
type Sums = ReadonlyMap<string, string>;

/**
 * One shared fetch. It belongs to no client: it goes on when the first one hangs up, has its own time limit, and ends by
 * itself. `head` says that bytes are coming, `done` that they are verified and (if they may be) kept.
 */
export class Flight implements SharedFlight {
  /** Resolves with `undefined` when there is no new body: the kept copy was confirmed. */
  readonly head: Promise<FlightHead | undefined>;
  readonly done: Promise<FlightResult>;
  readonly #context: FlightContext;
  readonly #plan: FlightPlan;
  readonly #abort = new AbortController();
  /** Where the body is asked for. */
  #place: QueryPlace;
  #spool: Spool | undefined;
  /** The flight itself, and every request that works with it. */
  #users = 1;
  #resolveHead: (head: FlightHead | undefined) => void = () => {};
  #rejectHead: (error: unknown) => void = () => {};
  readonly #ahead: Promise<Entry | undefined>;
  #resolveAhead: (entry: Entry | undefined) => void = () => {};
  #isAhead = false;

  constructor(context: FlightContext, plan: FlightPlan) {
    this.#context = context;
    this.#plan = plan;
    this.#place = placeOf(plan.resource);
    this.#ahead = new Promise((resolve) => {
      this.#resolveAhead = resolve;
    });
    this.head = new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
    });
    // Whoever waits hears of it; a flight that nobody waits for any more must not end the process.
    this.head.catch(() => {});
    this.done = this.#run();
    // Last of all: whoever hears of it and asks again starts a new flight.
    this.done.catch((failure: EntrepotError) => this.#spool?.fail(failure));
  }

  retain(): void {
    this.#users += 1;
  }

  /** The counterpart of `retain`. A stream that follows the spool needs no `retain` of its own. */
  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await this.#spool?.release();
  }

  get wanted(): boolean {
    return this.#users > 1 || this.#spool?.followed === true;
  }

  get isAhead(): boolean {
    return this.#isAhead;
  }

  abort(reason = shuttingDown()): void {
    this.#abort.abort(reason);
  }

  async #run(): Promise<FlightResult> {
    const { totalTimeout } = this.#context.definition.limits;
    const timer = setTimeout(() => this.#abort.abort(tookTooLong(this.#plan.resource, totalTimeout)), totalTimeout);
    try {
      return await this.#fly(this.#abort.signal);
    } catch (error) {
      const failure = this.#classify(error);
      if (failure.kind === 'not-found') this.#noteGone();
      this.#rejectHead(failure);
      throw failure;
    } finally {
      clearTimeout(timer);
      this.#resolveAhead(undefined);
      if (this.#isAhead) this.#context.services.storage.spools.endAhead();
      await this.release();
    }
  }

  /** Notes that the upstream has a kept document no more: what it listed is gone with it. Nobody waits for that. */
  #noteGone(): void {
    const { resource, kept } = this.#plan;
    if (resource.kind !== 'document' || kept === undefined || isPinned(resource)) return;
    if (kept.facts?.upstream === 'removed') return;
    const { logger, storage } = this.#context.services;
    storage.entries
      .touch(kept, { checkedAt: kept.checkedAt, facts: { ...kept.facts, upstream: 'removed' } })
      .catch((error: unknown) => {
        logger.warn(
          { error, repository: kept.repository, key: kept.key },
          'the removal of a document could not be noted',
        );
      });
  }

  #classify(error: unknown): EntrepotError {
    const { signal } = this.#abort;
    const { resource, kept } = this.#plan;
    const reason = signal.aborted ? signal.reason : error;
    const failure = asEntrepotError(reason, 'upstream-unavailable', `Fetching ${resource.key} failed`);
    // Of an upstream that had it before, a page of HTML is an outage.
    const mayBeUnknown = resource.kind === 'document' && resource.unknownToSome === true && kept === undefined;
    if (!mayBeUnknown || !SAYS_UNKNOWN.has(failure.code)) return failure;
    return new EntrepotError('not-found', failure.message, { code: 'UPSTREAM_NOT_FOUND', cause: failure });
  }

  async #fly(signal: AbortSignal): Promise<FlightResult> {
    const { resource, kept } = this.#plan;
    const named = isPinned(resource) && kept !== undefined ? await this.#ofName(resource, kept, signal) : undefined;
    if (named !== undefined) return named;
    const early = this.#plan.startsEarly ? this.#requestEarly(signal) : undefined;
    try {
      const description = await this.#plan.describe();
      const { place, integrity } = await describedPlace(this.#context.upstreams, resource, description, signal);
      const promised = this.#promised(integrity);
      if (resource.kind === 'artifact' && promised.length === 0 && this.#context.definition.requireIntegrity) {
        throw new EntrepotError(
          'integrity',
          `Nothing promises an integrity for ${resource.key}, and this repository requires one`,
          { code: 'INTEGRITY_MISSING' },
        );
      }
      this.#place = place;
      // Most documents say of bytes that they are where their name is.
      const asked = place.location === undefined ? early?.take() : undefined;
      const reply = await (asked ?? this.#requestNamed(kept, signal));
      if (reply.status === 304) {
        drain(reply);
        return await this.#renew(kept, reply);
      }
      return await this.#spooled(reply, promised, description, signal);
    } finally {
      early?.abandon();
    }
  }

  /**
   * What the name stands for now, by its digest: so it cannot move between two questions. `undefined` when the upstream does
   * not say; then the name itself is fetched.
   */
  async #ofName(resource: PinnedDocument, kept: Entry, signal: AbortSignal): Promise<FlightResult | undefined> {
    const { definition, services, upstreams } = this.#context;
    const digest = await namedNow(upstreams, resource, signal);
    if (digest === undefined) return undefined;
    if (digest === nameOf(kept)) return await this.#confirm(kept, {});
    const found = await keptByDigest(services, definition.name, resource, digest);
    if (found !== undefined) return await this.#rename(found);
    this.#place = placeByDigest(resource, digest);
    try {
      const reply = await this.#request(undefined, signal);
      return await this.#spooled(reply, promisedBy(digest), undefined, signal);
    } catch (error) {
      // It has moved on, and what it was has gone.
      if (error instanceof EntrepotError && error.code === 'UPSTREAM_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** The name stands for bytes that are kept already. */
  async #rename(found: Entry): Promise<FlightResult> {
    const { services } = this.#context;
    const now = services.clock.now();
    const entry = { ...found, key: this.#plan.resource.key, fetchedAt: now, checkedAt: now };
    await services.storage.entries.replace(entry).catch((error: unknown) => {
      // The content that the name stands for now is stored, and is served.
      services.logger.error({ error, repository: entry.repository, key: entry.key }, 'a name could not be stored');
    });
    this.#resolveHead(undefined);
    return { kind: 'stored', entry };
  }

  /** Asks for the bytes by their name alone. Nothing of them is read before it is known what is promised of them. */
  #requestEarly(signal: AbortSignal): { take(): Promise<UpstreamReply>; abandon(): void } {
    const reply = this.#request(undefined, signal);
    reply.catch(() => {});
    let taken = false;
    return {
      take() {
        taken = true;
        return reply;
      },
      abandon() {
        if (!taken) reply.then(drain, () => {});
      },
    };
  }

  /**
   * Asks for the bytes where a document says that they are. After a restart it is not known in which network that document's host
   * is, where a redirect led to it: then the document is asked for once more.
   */
  async #requestNamed(kept: Entry | undefined, signal: AbortSignal): Promise<UpstreamReply> {
    try {
      return await this.#request(kept, signal);
    } catch (error) {
      const { namedBy } = this.#place;
      const isRefused = error instanceof EntrepotError && error.kind === 'forbidden';
      if (!isRefused || namedBy === undefined || this.#context.upstreams.knowsZone(namedBy)) throw error;
      await this.#plan.describeAnew();
      if (!this.#context.upstreams.knowsZone(namedBy)) throw error;
      return await this.#request(kept, signal);
    }
  }

  async #request(conditional: Entry | undefined, signal: AbortSignal): Promise<UpstreamReply> {
    return await this.#context.upstreams.fetch({
      method: 'GET',
      ...this.#place,
      headers: this.#requestHeaders(),
      conditional,
      signal,
      skipUnhealthy: this.#plan.kept !== undefined,
    });
  }

  async #spooled(
    reply: UpstreamReply,
    promised: readonly Integrity[],
    description: LocatedDescription | undefined,
    signal: AbortSignal,
  ): Promise<FlightResult> {
    const spool = new Spool(this.#context.services.storage.spools);
    this.#spool = spool;
    try {
      return await this.#receive(reply, spool, promised, description, signal);
    } catch (error) {
      reply.body.destroy();
      throw error;
    }
  }

  #requestHeaders(): Record<string, string> {
    const { resource } = this.#plan;
    return {
      ...askingHeaders(resource),
      // What is passed on must be the wire's own bytes; what is rewritten is decoded while it is spooled.
      'accept-encoding': resource.kind === 'document' && resource.rewritten === true ? 'gzip' : 'identity',
    };
  }

  async #renew(kept: Entry | undefined, reply: UpstreamReply): Promise<FlightResult> {
    if (kept === undefined) {
      throw new EntrepotError(
        'upstream-unavailable',
        `${printableUrl(reply.url)} answered 304 to an unconditional request`,
        { code: 'UPSTREAM_PROTOCOL' },
      );
    }
    return await this.#confirm(kept, {
      etag: reply.headers['etag'],
      lastModified: reply.headers['last-modified'],
      // Fields that it sends replace those that are kept, others stay (RFC 9111 §3.2).
      headers: { ...kept.headers, ...this.#keptHeaders(reply) },
      mediaType: this.#confirmedMediaType(kept, reply),
    });
  }

  /** The media type by a 304. Servers that make their errors and pages by a default type send that here, too. */
  #confirmedMediaType(kept: Entry, reply: UpstreamReply): string {
    const { definition } = this.#context;
    const { resource } = this.#plan;
    const said = reply.headers['content-type'];
    if (said === undefined || isUnsettled(definition, resource, said)) return kept.mediaType;
    const type = bareMediaType(said);
    const isExpected = resource.expectedMediaTypes?.includes(type) ?? type !== 'text/html';
    return isExpected ? said : kept.mediaType;
  }

  async #confirm(kept: Entry, validators: Omit<EntryRenewal, 'checkedAt'>): Promise<FlightResult> {
    const { storage, clock } = this.#context.services;
    const checkedAt = clock.now();
    const renewed = await storage.entries.touch(kept, { checkedAt, ...validators, ...isBack(kept) });
    const entry = renewed ?? { ...kept, checkedAt };
    this.#resolveHead(undefined);
    return { kind: 'renewed', entry };
  }

  async #receive(
    reply: UpstreamReply,
    spool: Spool,
    asked: readonly Integrity[],
    description: LocatedDescription | undefined,
    signal: AbortSignal,
  ): Promise<FlightResult> {
    const { resource } = this.#plan;
    const { definition } = this.#context;
    const coordinates = description?.coordinates ?? resource.coordinates;
    const promised =
      isPinned(resource) && asked.length === 0 ? promisedBy(reply.headers[resource.pinned.digestHeader]) : asked;
    const said = reply.headers['content-type'];
    const provisional = said ?? resource.fallbackMediaType ?? 'application/octet-stream';
    const unsettled = isUnsettled(definition, resource, said);
    if (!unsettled) this.#checkMediaType(provisional, reply);
    const coding = planCoding(resource, reply, promised);
    const undo = coding.kind === 'undo' ? coding.coding : undefined;
    const size = undo === undefined ? contentLength(reply) : undefined;
    this.#checkSize(size ?? 0);
    const promisedDigest = promised.find(({ algorithm }) => algorithm === 'sha256');
    const headers = {
      ...this.#keptHeaders(reply),
      ...(coding.kind === 'pass' && { 'content-encoding': coding.coding }),
    };
    const headOf = (body: Spool): FlightHead => ({
      spool: body,
      size: body.size > 0 ? body.size : size,
      digest: promisedDigest === undefined ? undefined : `sha256:${promisedDigest.hex}`,
      mediaType: provisional,
      unsettled,
      headers,
      lastModified: reply.headers['last-modified'],
      place: { ...this.#place, location: reply.url, namedBy: reply.namedBy },
      coordinates,
      description,
      ahead: this.#ahead,
    });
    const doubt = pageDoubt(resource, provisional, this.#plan.kept, promised.length > 0);
    // The treatment of the body has to be decided before anybody gets a byte.
    const isUndecided = coding.kind === 'weigh' || doubt !== undefined;
    if (!isUndecided) this.#resolveHead(headOf(spool));
    let sums = await this.#fill(reply, undo, size, spool, promised, signal);
    if (coding.kind === 'weigh') {
      const plain = await this.#withoutCoding(spool, coding.coding, promised, sums, signal);
      sums = plain?.sums ?? sums;
      spool = plain?.spool ?? spool;
    }
    const digest: Digest = `sha256:${sums.get('sha256')}`;
    const integrity = await this.#checkIntegrity(promised, sums, spool.content(provisional));
    const isDoubtful = doubt !== undefined && (await this.#isPage(reply, spool));
    if (isDoubtful && doubt === 'refused') throw sentPage(reply);
    if (isUndecided) this.#resolveHead(headOf(spool));
    const mediaType = await settledMediaType(definition, resource, said, spool.content(provisional));
    if (unsettled) this.#checkMediaType(mediaType, reply);
    const checked = verifiedHeaders(definition, resource, reply.headers);
    await this.#checkContent(digest, spool.content(mediaType), { description, headers: checked });
    const facts = factsOf(description);
    const known = { digest, mediaType, integrity, coordinates, facts, factsFrom: description?.factsFrom };
    const entry = this.#entry(reply, headers, spool, known);
    if (!isDoubtful) this.#goAhead(entry, spool);
    const result = await this.#publish(reply, spool, entry, isDoubtful);
    spool.seal();
    return result;
  }

  /**
   * Lets go of the last bytes before they are kept, where the ecosystem promised just these: no copy that another replica
   * keeps meanwhile can be a different one. Others are kept first, for then the first copy stays.
   */
  #goAhead(entry: Entry, spool: Spool): void {
    const { keep, kept, resource } = this.#plan;
    const isPromised = resource.kind === 'artifact' && entry.integrity.length > 0;
    if (!isPromised || keep !== 'entry' || kept !== undefined) return;
    if (!this.#context.services.storage.spools.beginAhead()) return;
    this.#isAhead = true;
    spool.seal();
    this.#resolveAhead(entry);
  }

  async #isPage({ headers }: UpstreamReply, spool: Spool): Promise<boolean> {
    const bytes = spool.content('').stream() as AsyncIterable<Buffer>;
    // Also where its coding is passed on.
    return await beginsAsPage(undone(bytes, headers['content-encoding'] ?? ''));
  }

  /** The bytes without their coding, where those are what was promised, and not the bytes as they came. */
  async #withoutCoding(
    spool: Spool,
    coding: string,
    promised: readonly Integrity[],
    sums: Sums,
    signal: AbortSignal,
  ): Promise<{ readonly spool: Spool; readonly sums: Sums } | undefined> {
    if (mismatchOf(promised, sums) === undefined) return undefined;
    const plain = new Spool(this.#context.services.storage.spools);
    try {
      const hashes = newHashes(promised);
      for await (const bytes of this.#unfold(spool.content('').stream() as AsyncIterable<Buffer>, coding)) {
        signal.throwIfAborted();
        for (const hash of hashes.values()) hash.update(bytes);
        await plain.append(bytes);
      }
      await plain.finish();
      const found = sumsOf(hashes);
      if (mismatchOf(promised, found) === undefined) {
        this.#spool = plain;
        await spool.release();
        return { spool: plain, sums: found };
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EntrepotError && error.code === 'UPSTREAM_TOO_LARGE') throw error;
      // A label that lies: what came is held against what was promised.
    } finally {
      if (this.#spool !== plain) await plain.release();
    }
    return undefined;
  }

  #checkMediaType(mediaType: string, reply: UpstreamReply): void {
    const expected = this.#plan.resource.expectedMediaTypes;
    const found = bareMediaType(mediaType);
    if (expected === undefined || expected.some((type) => isOfType(found, type))) return;
    drain(reply);
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(reply.url)} sent ${found}; expected ${expected.join(' or ')}`,
      { code: 'UPSTREAM_MEDIA_TYPE' },
    );
  }

  /** @param raw the bytes of a coded body so far, which `size` was decoded from */
  #checkSize(size: number, raw = Infinity): void {
    const { resource } = this.#plan;
    const { maxArtifactBytes, maxDocumentBytes } = this.#context.definition.limits;
    // A document that is passed on as it is is never held whole either.
    const configured =
      resource.kind === 'document' && resource.rewritten === true ? maxDocumentBytes : maxArtifactBytes;
    const unfolded = Math.max(maxDocumentBytes, MOST_GROWTH * raw);
    const limit = Math.min(configured, resource.maxBytes ?? Infinity, unfolded);
    if (size <= limit) return;
    throw new EntrepotError(
      'upstream-unavailable',
      `${resource.key} has more than the ${limit} bytes that are taken of it`,
      { code: 'UPSTREAM_TOO_LARGE' },
    );
  }

  /** The bytes of `body` without its coding. They are bounded on both sides of the decoder: not all that comes becomes one of them. */
  async *#unfold(body: AsyncIterable<Buffer>, coding: string): AsyncGenerator<Buffer> {
    let raw = 0;
    let size = 0;
    const counted = async function* (check: (raw: number) => void): AsyncGenerator<Buffer> {
      for await (const bytes of body) {
        raw += bytes.length;
        check(raw);
        yield bytes;
      }
    };
    for await (const bytes of undone(
      counted((found) => this.#checkSize(found)),
      coding,
    )) {
      size += bytes.length;
      this.#checkSize(size, raw);
      yield bytes;
    }
  }

  /** Writes the body to the spool while it is summed up; a body that breaks off is taken up again where that is safe. */
  async #fill(
    first: UpstreamReply,
    undo: string | undefined,
    size: number | undefined,
    spool: Spool,
    promised: readonly Integrity[],
    signal: AbortSignal,
  ): Promise<Sums> {
    let hashes = newHashes(promised);
    let reply = first;
    let idleResumes = 0;
    for (;;) {
      const before = spool.size;
      try {
        const body = reply.body as AsyncIterable<Buffer>;
        for await (const bytes of undo === undefined ? body : this.#unfold(body, undo)) {
          signal.throwIfAborted();
          this.#checkSize(spool.size + bytes.length);
          for (const hash of hashes.values()) hash.update(bytes);
          await spool.append(bytes);
        }
        if (size !== undefined && spool.size !== size) throw wrongLength(reply, size, spool.size);
        await spool.finish();
        return sumsOf(hashes);
      } catch (error) {
        const failure = asEntrepotError(
          error,
          'upstream-unavailable',
          `The body of ${printableUrl(first.url)} is broken`,
        );
        idleResumes = spool.size > before ? 0 : idleResumes + 1;
        if (signal.aborted || failure.kind !== 'upstream-unavailable' || failure.code === 'UPSTREAM_TOO_LARGE')
          throw failure;
        if (idleResumes >= MAX_IDLE_RESUMES || (size !== undefined && spool.size > size)) throw failure;
        await backOff(idleResumes, signal);
        if (undo === undefined && spool.size > 0) {
          reply = await this.#resume(first, spool.size, size, failure, signal);
        } else if (spool.followed || idleResumes > 0) {
          throw failure;
        } else {
          // Nobody has seen a byte yet: the whole may be asked for again.
          await spool.rewind();
          hashes = newHashes(promised);
          reply = await this.#restart(first, size, failure, signal);
          idleResumes += 1;
        }
      }
    }
  }

  /** Asks for the rest of a body by `Range`, on condition that it is still the same one (RFC 9110 §14.2, §13.1.5). */
  async #resume(
    first: UpstreamReply,
    from: number,
    size: number | undefined,
    failure: EntrepotError,
    signal: AbortSignal,
  ): Promise<UpstreamReply> {
    const validator = strongValidator(first);
    if (validator === undefined) throw failure;
    const reply = await this.#ask(first, { range: `bytes=${from}-`, 'if-range': validator }, failure, signal);
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(reply.headers['content-range'] ?? '');
    const sameSize = size === undefined || range?.[2] === '*' || Number(range?.[2]) === size;
    if (reply.status === 206 && Number(range?.[1]) === from && sameSize) return reply;
    drain(reply);
    throw failure;
  }

  async #restart(
    first: UpstreamReply,
    size: number | undefined,
    failure: EntrepotError,
    signal: AbortSignal,
  ): Promise<UpstreamReply> {
    const reply = await this.#ask(first, {}, failure, signal);
    // Clients may have been told this size with the head.
    if (reply.status === 200 && (size === undefined || contentLength(reply) === size)) return reply;
    drain(reply);
    throw failure;
  }

  async #ask(
    first: UpstreamReply,
    headers: Record<string, string>,
    failure: EntrepotError,
    signal: AbortSignal,
  ): Promise<UpstreamReply> {
    try {
      return await this.#context.upstreams.fetch({
        method: 'GET',
        ...this.#place,
        location: first.url,
        namedBy: first.namedBy,
        headers: { ...this.#requestHeaders(), ...headers },
        signal,
        skipUnhealthy: false,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw new EntrepotError(failure.kind, failure.message, {
        code: failure.code,
        status: failure.status,
        cause: error,
      });
    }
  }

  /** What is promised of the bytes, by the request and by the document: only the strongest algorithm counts. */
  #promised(described: readonly Integrity[]): readonly Integrity[] {
    const { resource } = this.#plan;
    const requested = (resource.kind === 'artifact' && resource.integrity) || [];
    return strongest([...requested, ...described]);
  }

  /**
   * Holds the bytes against what was promised. A document that was kept for long may promise what an upstream has since
   * replaced (a list of sums beside its files), so a mismatch asks for it once more.
   * @returns the promise that they keep
   */
  async #checkIntegrity(promised: readonly Integrity[], sums: Sums, content: Content): Promise<readonly Integrity[]> {
    const mismatch = mismatchOf(promised, sums);
    if (mismatch === undefined || (await this.#isNamedByPart(promised, content))) return promised;
    const anew = await this.#plan.describeAnew().catch(() => undefined);
    const renewed = this.#promised(anew?.integrity ?? []);
    if (renewed.length > 0) {
      const hash = createHash((renewed[0] as Integrity).algorithm);
      for await (const bytes of content.stream()) hash.update(bytes);
      const hex = hash.digest('hex');
      if (mismatchOf(renewed, new Map([[(renewed[0] as Integrity).algorithm, hex]])) === undefined) return renewed;
    }
    const { definition, services } = this.#context;
    const error = integrityMismatch(this.#plan.resource.key, promised, mismatch);
    services.observer?.integrityFailed(definition.name);
    services.logger.error(
      { repository: definition.name, key: this.#plan.resource.key, reason: error.message },
      'integrity mismatch',
    );
    throw error;
  }

  /** Whether the promise is about a part of the bytes, and that part keeps it. */
  async #isNamedByPart(promised: readonly Integrity[], content: Content): Promise<boolean> {
    const { protocol, plugin } = this.#context.definition;
    if (protocol.namedPart === undefined) return false;
    try {
      const part = await protocol.namedPart(this.#plan.resource, content);
      if (part === undefined) return false;
      const hashes = newHashes(promised);
      for (const hash of hashes.values()) hash.update(part);
      return mismatchOf(promised, sumsOf(hashes)) === undefined;
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `namedPart of plugin ${plugin.id} failed`);
    }
  }

  async #checkContent(
    digest: Digest,
    content: Content,
    known: Pick<VerifyContext, 'description' | 'headers'>,
  ): Promise<void> {
    const { resource } = this.#plan;
    const { definition, services } = this.#context;
    const { protocol, plugin } = definition;
    const hook = resource.kind === 'artifact' ? 'verify' : 'describe';
    try {
      const needs = services.policy.needs();
      const context: VerifyContext = { ...known, needs, read: this.#plan.read };
      if (resource.kind === 'artifact') await protocol.verify?.(resource, content, context);
      else if (protocol.describe !== undefined)
        this.#plan.described(digest, await readDescriptions(protocol, resource, content, context));
      if (protocol.partsOf !== undefined && needs.has('publishedAt'))
        noteParts(definition, services, resource, digest, await protocol.partsOf(resource, content));
    } catch (error) {
      this.#plan.abandonReads();
      throw asEntrepotError(error, 'plugin', `${hook} of plugin ${plugin.id} failed`);
    }
  }

  #entry(
    reply: UpstreamReply,
    kept: Readonly<Record<string, string>>,
    { size }: Spool,
    known: Pick<Entry, 'digest' | 'mediaType' | 'integrity' | 'coordinates' | 'facts' | 'factsFrom'>,
  ): Entry {
    const { definition, services } = this.#context;
    const { resource } = this.#plan;
    const now = services.clock.now();
    const chosen = chosenBy(resource, reply.headers['vary']);
    return {
      ...known,
      repository: definition.name,
      key: resource.key,
      size,
      headers: {
        ...kept,
        ...nameHeader(resource, known),
        ...(chosen && { vary: Object.keys(chosen).join(', ') }),
      },
      attributes: chosen && { chosenBy: chosen },
      etag: reply.headers['etag'],
      lastModified: reply.headers['last-modified'],
      upstreamUrl: withoutQuery(this.#baseOf(reply)),
      fetchedAt: now,
      checkedAt: now,
    };
  }

  async #publish(reply: UpstreamReply, spool: Spool, entry: Entry, isDoubtful: boolean): Promise<FlightResult> {
    const { definition, services } = this.#context;
    const { resource, rule } = this.#plan;
    const forbidden = isDoubtful || (rule.respectNoStore && forbidsStoring(reply.headers['cache-control']));
    if (this.#plan.keep !== 'nothing' && !forbidden && spool.isWhole) {
      try {
        await putBlob(services, entry, spool);
        if (this.#plan.keep === 'blob') return { kind: 'stored', entry };
        return { kind: 'stored', entry: await putEntry(services, resource, entry, this.#plan.kept) };
      } catch (error) {
        if (error instanceof EntrepotError && error.kind === 'integrity') throw error;
        // The clients have, or get, their verified bytes; that nothing was kept is the operator's concern.
        services.logger.error(
          { error, repository: definition.name, key: resource.key },
          'a fetched body could not be stored',
        );
      }
    }
    return { kind: 'unstored', entry, content: spool.content(entry.mediaType) };
  }

  /** What a document's relative links stand below is where it was found (RFC 3986 §5.1.3), after any redirect. */
  #baseOf(reply: UpstreamReply): string {
    return this.#plan.resource.kind === 'document' ? reply.finalUrl.href : reply.url;
  }

  #keptHeaders(reply: UpstreamReply): Record<string, string> {
    return keptHeaders(this.#context.definition, this.#plan.resource, reply.headers);
  }
}

/** A document that the upstream had no more, and has again. */
function isBack({ facts }: Entry): Pick<EntryRenewal, 'facts'> {
  if (facts?.upstream !== 'removed') return {};
  const { upstream: _gone, ...others } = facts;
  return { facts: others };
}

/** The header that says the name of bytes whose digest is another one. */
function nameHeader(
  { digestHeader }: ArtifactResource | DocumentResource,
  entry: Pick<Entry, 'digest' | 'integrity'>,
): Record<string, string> {
  const name = nameOf(entry);
  return digestHeader === undefined || name === entry.digest ? {} : { [digestHeader.toLowerCase()]: name };
}

/** What was found instead, when the bytes keep none of the promises (all of one algorithm; any will do, W3C SRI §3.3.5). */
function mismatchOf(promised: readonly Integrity[], sums: Sums): Integrity | undefined {
  if (promised.length === 0) return undefined;
  const { algorithm } = promised[0] as Integrity;
  const hex = sums.get(algorithm) as string;
  return promised.some((promise) => promise.hex === hex) ? undefined : { algorithm, hex };
}

function newHashes(promised: readonly Integrity[]): ReadonlyMap<string, Hash> {
  const names = new Set(['sha256', ...promised.map(({ algorithm }) => algorithm)]);
  return new Map([...names].map((name) => [name, createHash(name)]));
}

function sumsOf(hashes: ReadonlyMap<string, Hash>): Sums {
  return new Map([...hashes].map(([name, hash]) => [name, hash.digest('hex')]));
}

function sentPage({ url, headers }: UpstreamReply): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `${printableUrl(url)} sent a page (${headers['content-type']}) in place of the file, as networks do that want a login`,
    { code: 'UPSTREAM_PAGE' },
  );
}

/** A validator that `If-Range` takes: a strong tag, else a date. */
function strongValidator(reply: UpstreamReply): string | undefined {
  const etag = reply.headers['etag'];
  return etag?.startsWith('"') ? etag : reply.headers['last-modified'];
}

function contentLength(reply: UpstreamReply): number | undefined {
  const header = reply.headers['content-length'];
  return header !== undefined && /^\d+$/.test(header) ? Number(header) : undefined;
}

function wrongLength(reply: UpstreamReply, expected: number, found: number): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `${printableUrl(reply.url)} announced ${expected} bytes and sent ${found}`,
    { code: 'UPSTREAM_TRUNCATED' },
  );
}

/** The error of a fetch that took longer than it may. */
export function tookTooLong({ key }: { readonly key: string }, milliseconds: number): EntrepotError {
  return new EntrepotError('upstream-unavailable', `Fetching ${key} took longer than ${milliseconds} ms`, {
    status: 504,
    code: 'UPSTREAM_TIMEOUT',
  });
}

/** The error of a fetch that was for a hook alone, which has failed meanwhile. */
export function abandoned({ key }: { readonly key: string }): EntrepotError {
  return new EntrepotError('upstream-unavailable', `Nobody waits for ${key} any more`, { code: 'ABANDONED' });
}

/** The error of a fetch that is ended with the server. */
export function shuttingDown(): EntrepotError {
  return new EntrepotError('upstream-unavailable', 'The server is shutting down', {
    status: 503,
    code: 'SHUTTING_DOWN',
  });
}
