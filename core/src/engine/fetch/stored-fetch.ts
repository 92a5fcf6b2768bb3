import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError, printableUrl } from '../../api/errors.js';
import { agreed, type Integrity } from '../../api/integrity.js';
import type { VerifyContext } from '../../plugin/classes.js';
import { factsOf } from '../policy/facts.js';
import { isPinned, nameOf, type PinnedDocument } from '../store/pinned-name.js';
import type { Spool } from '../store/spool.js';
import { drain } from '../upstream/upstream-reply.js';
import type { UpstreamReply } from '../upstream/query.js';
import { describedPlace, type LocatedDescription } from './described-place.js';
import type { Descriptions } from './descriptions.js';
import { readEarly } from './early-reading.js';
import { classifyFailure } from './classify-failure.js';
import { ClusterPart, isLeaseLost } from './cluster-part.js';
import type { FetchPolicy } from './fetch-policy.js';
import { Flight } from './flight.js';
import { planIncoming } from './incoming.js';
import { sumHeaders, verifiedHeaders } from './kept-headers.js';
import type { Reading } from './known-descriptions.js';
import { settledMediaType } from './media-type.js';
import { OtherMirrors } from './other-mirrors.js';
import { keptByDigest, namedNow, placeByDigest, promisedBy } from './pinned-document.js';
import { Publication, type FetchPlan } from './publication.js';
import { HookReads, type ResourceReader } from './resource-reader.js';
import { tookTooLong, type FlightContext, type FlightResult } from './shared-flight.js';
import { isPromised, type Sums } from './sums.js';
import { Transfer, type ComingBody, type EarlyRequest } from './transfer.js';
import { sentPage, Verification } from './verification.js';

/** Services of a fetch. */
export interface FetchContext extends FlightContext {
  readonly reader: ResourceReader;
  readonly descriptions: Descriptions;
  readonly policy: FetchPolicy;
}

/** Starts the fetch of one resource. */
export function startFetch(context: FetchContext, plan: FetchPlan): Flight {
  const flight = new Flight(context.services.storage.spools);
  flight.endWith(new StoredFetch(context, plan, flight).run());
  return flight;
}

/** The steps of one fetch: description, transfer, verification, publication. Its flight tells how far it has come. */
class StoredFetch {
  readonly #context: FetchContext;
  readonly #plan: FetchPlan;
  readonly #flight: Flight;
  /** `undefined`: nobody else fetches it. */
  readonly #part: ClusterPart | undefined;
  readonly #transfer: Transfer;
  readonly #verification: Verification;
  readonly #publication: Publication;
  readonly #reads: HookReads;

  constructor(context: FetchContext, plan: FetchPlan, flight: Flight) {
    this.#context = context;
    this.#plan = plan;
    this.#flight = flight;
    const { resource, kept, keep } = plan;
    const isShared = context.services.cluster !== undefined && keep === 'entry';
    this.#part = isShared ? new ClusterPart(context, resource, kept, flight.signal) : undefined;
    // Whoever asks next, here or elsewhere, gets what the upstream has then.
    flight.whenOutdated = () => this.#part?.end();
    this.#transfer = new Transfer(context, resource, kept, flight.signal, this.#part);
    this.#verification = new Verification(context, plan.resource);
    this.#publication = new Publication(context, plan);
    this.#reads = new HookReads(context.reader, plan.resource);
  }

  async run(): Promise<FlightResult> {
    const { totalTimeout } = this.#context.definition.limits;
    const timer = setTimeout(() => this.#flight.abort(tookTooLong(this.#plan.resource, totalTimeout)), totalTimeout);
    try {
      const result = await this.#fetchOnce();
      this.#part?.end();
      return result;
    } catch (error) {
      const failure = classifyFailure(error, this.#plan, this.#flight.signal);
      this.#part?.end(failure);
      if (failure.kind === 'not-found') this.#publication.noteGone();
      throw failure;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Fetches what no other process of the cluster brings. */
  async #fetchOnce(): Promise<FlightResult> {
    for (;;) {
      const brought = await this.#part?.begin();
      if (brought !== undefined) return await this.#withoutBody(Promise.resolve(brought));
      if (this.#part?.follows !== true) return await this.#fetch();
      const result = await this.#follow(this.#part);
      if (result !== undefined) return result;
    }
  }

  /** Takes in what another process receives. `undefined`: it has brought nothing. */
  async #follow(part: ClusterPart): Promise<FlightResult | undefined> {
    const { resource } = this.#plan;
    const description = await this.#context.policy.admitted(resource);
    this.#reads.begin();
    const promised = await this.#locate(description);
    const reply = await part.follow();
    if (reply !== undefined) return await this.#receive(reply, promised, description);
    const brought = await part.outcome();
    return brought && (await this.#withoutBody(Promise.resolve(brought)));
  }

  async #fetch(): Promise<FlightResult> {
    const { resource, kept, keep } = this.#plan;
    const { policy } = this.#context;
    const named = isPinned(resource) && kept !== undefined ? await this.#fetchByName(resource, kept) : undefined;
    if (named !== undefined) return named;
    const isEarly = keep !== 'blob' && kept === undefined && policy.startsEarly(resource);
    const early = isEarly ? this.#transfer.requestEarly() : undefined;
    try {
      // Each of a set is judged for the client that asks for it: one that is refused must not keep back the others.
      const stated = early && (await this.#stated(early));
      const description = await (keep === 'blob' ? policy.described(resource) : policy.admitted(resource, stated));
      // Of what policy refuses nothing is asked.
      this.#reads.begin();
      const promised = await this.#locate(description);
      // Most documents say of bytes that they are where their name is.
      const asked = this.#transfer.place.location === undefined ? early?.take() : undefined;
      const reply = await (asked ?? this.#requestNamed(kept));
      if (asked !== undefined && stated === undefined) this.#context.descriptions.stated.read(resource, reply);
      if (reply.status !== 304) return await this.#receive(reply, promised, description);
      drain(reply);
      return await this.#renew(reply, kept);
    } finally {
      early?.abandon();
    }
  }

  /** The description that stands in the headers of the reply, where it is likely to. `undefined`: a document has to be asked. */
  async #stated(early: EarlyRequest): Promise<LocatedDescription | undefined> {
    const { resource } = this.#plan;
    const { stated } = this.#context.descriptions;
    if (!stated.areExpected(resource)) return undefined;
    const integrity = stated.read(resource, await early.head());
    return integrity.length === 0 ? undefined : { integrity };
  }

  /** Finds the place of the bytes. @returns what is promised of them */
  async #locate(description: LocatedDescription | undefined): Promise<readonly Integrity[]> {
    const { resource } = this.#plan;
    const { definition } = this.#context;
    const { place, integrity } = await describedPlace(this.#context, resource, description, this.#flight.signal);
    const promised = this.#promised(integrity);
    if (resource.kind === 'artifact' && promised.length === 0 && definition.requireIntegrity) {
      throw new EntrepotError(
        'integrity',
        `Nothing promises an integrity for ${resource.key}, and this repository requires one`,
        { code: 'INTEGRITY_MISSING' },
      );
    }
    this.#transfer.place = place;
    return promised;
  }

  /** The promises of the bytes, by the request and by the document. @throws EntrepotError `integrity` where these name other bytes */
  #promised(described: readonly Integrity[]): readonly Integrity[] {
    const { resource } = this.#plan;
    return agreed(resource.key, resource.integrity ?? [], described);
  }

  /**
   * Fetches what the name stands for now by its digest: so it cannot move between two questions. `undefined` when the upstream
   * does not state it; then the name itself is fetched.
   */
  async #fetchByName(resource: PinnedDocument, kept: Entry): Promise<FlightResult | undefined> {
    const { definition, services, upstreams } = this.#context;
    const digest = await namedNow(upstreams, resource, this.#flight.signal);
    if (digest === undefined) return undefined;
    if (digest === nameOf(kept)) return await this.#withoutBody(this.#publication.renew(kept));
    const found = await keptByDigest(services, definition.name, resource, digest);
    if (found !== undefined && !this.#flight.isOutdated)
      return await this.#withoutBody(this.#publication.rename(found));
    this.#transfer.place = placeByDigest(resource, digest);
    try {
      return await this.#receive(await this.#transfer.request(), promisedBy(digest), undefined);
    } catch (error) {
      // It has moved on, and what it was has gone.
      if (error instanceof EntrepotError && error.code === 'UPSTREAM_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async #withoutBody(result: Promise<FlightResult>): Promise<FlightResult> {
    const known = await result;
    this.#flight.announce(undefined);
    return known;
  }

  /**
   * Asks for the bytes where a document says that they are. After a restart it is not known in which network that document's host
   * is, where a redirect led to it: then the document is asked for once more.
   */
  async #requestNamed(kept: Entry | undefined): Promise<UpstreamReply> {
    try {
      return await this.#transfer.request(kept);
    } catch (error) {
      const { descriptions, upstreams } = this.#context;
      const { namedBy } = this.#transfer.place;
      const isRefused = error instanceof EntrepotError && error.kind === 'forbidden';
      if (!isRefused || namedBy === undefined || upstreams.knowsZone(namedBy)) throw error;
      await descriptions.describeAnew(this.#plan.resource);
      if (!upstreams.knowsZone(namedBy)) throw error;
      return await this.#transfer.request(kept);
    }
  }

  async #renew(reply: UpstreamReply, kept: Entry | undefined): Promise<FlightResult> {
    if (kept !== undefined) return await this.#withoutBody(this.#publication.renewBy(reply, kept));
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(reply.url)} answered 304 to an unconditional request`,
      { code: 'UPSTREAM_PROTOCOL' },
    );
  }

  async #receive(
    reply: UpstreamReply,
    promised: readonly Integrity[],
    description: LocatedDescription | undefined,
  ): Promise<FlightResult> {
    const mirrors = new OtherMirrors(this.#context, this.#plan.resource, this.#transfer);
    for (let current = reply; ;) {
      try {
        return await this.#take(current, promised, description);
      } catch (error) {
        current.body.destroy();
        const other = await mirrors.after(current, error, this.#flight);
        if (other === undefined) throw error;
        current = other;
      }
    }
  }

  /** Takes a body in: announces it, verifies it, keeps it. */
  async #take(
    reply: UpstreamReply,
    asked: readonly Integrity[],
    description: LocatedDescription | undefined,
  ): Promise<FlightResult> {
    const { resource, kept } = this.#plan;
    const coordinates = description?.coordinates ?? resource.coordinates;
    const incoming = planIncoming(resource, kept, reply, asked);
    const { promised, said, provisional, unsettled, size, doubt, headers } = incoming;
    const spool = this.#flight.spool ?? this.#flight.beginSpool(size);
    if (!unsettled) this.#verification.requireMediaType(provisional, reply);
    this.#transfer.bounds.check(size ?? 0);
    const announce = (body: Spool): void =>
      this.#flight.announce({
        ...incoming,
        spool: body,
        size: body.size > 0 ? body.size : size,
        mediaType: provisional,
        lastModified: reply.headers['last-modified'],
        place: { ...this.#transfer.place, location: reply.url, namedBy: reply.namedBy },
        coordinates,
        description,
        ahead: this.#flight.ahead,
        arriving: this.#flight.arriving,
      });
    // The treatment of the body has to be decided before anybody gets a byte.
    const isUndecided = incoming.weighed !== undefined || doubt !== undefined;
    if (!isUndecided) announce(spool);
    const checked = this.#checkedWith(reply, description);
    const early = readEarly(this.#plan, this.#flight, { ...incoming, spool }, checked);
    const isDecoded = reply.isDecoded === true || incoming.undo !== undefined;
    this.#part?.offer({ reply, isDecoded, open: (from) => spool.followToVerify(from) });
    const taken = await this.#fill({ ...incoming, reply, spool }, incoming.weighed);
    const digest: Digest = `sha256:${taken.sums.get('sha256')}`;
    const integrity = await this.#checkIntegrity(promised, taken.sums, taken.spool.content(provisional));
    const isDoubtful = doubt !== undefined && (await this.#verification.isPage(reply, taken.spool.content('')));
    if (isDoubtful && doubt === 'refused') throw sentPage(reply);
    if (isUndecided) announce(taken.spool);
    const mediaType = await settledMediaType(resource, said, taken.spool.content(provisional));
    if (unsettled) this.#verification.requireMediaType(mediaType, reply);
    await this.#callHooks(digest, taken.spool.content(mediaType), checked, early);
    const facts = factsOf(description);
    const known = { digest, mediaType, integrity, coordinates, facts, factsFrom: description?.factsFrom };
    const withSums = { ...headers, ...sumHeaders(resource, taken.sums) };
    const entry = this.#publication.entry(reply, withSums, { ...known, size: taken.spool.size });
    if (!isDoubtful && this.#publication.mayGoAhead(entry)) this.#flight.letAhead(entry);
    const isForbidden = (): boolean => isDoubtful || this.#flight.isOutdated;
    const result = await this.#publish(reply, taken.spool, entry, isForbidden);
    taken.spool.seal();
    return result;
  }

  /** Publishes a body, unless another process has published it meanwhile, or is about to. */
  async #publish(reply: UpstreamReply, spool: Spool, entry: Entry, isForbidden: () => boolean): Promise<FlightResult> {
    let published = await this.#part?.published(entry);
    while (published === undefined) {
      try {
        return await this.#publication.publish(reply, spool, entry, isForbidden, this.#part?.fence);
      } catch (error) {
        if (!isLeaseLost(error)) throw error;
        published = await this.#part?.lost(entry);
      }
    }
    return { kind: 'stored', entry: published };
  }

  /** @param weighed the coding of which the promise tells whether it is undone */
  async #fill(body: ComingBody, weighed: string | undefined): Promise<{ readonly spool: Spool; readonly sums: Sums }> {
    const { clock, observer } = this.#context.services;
    const started = clock.monotonic();
    const sums = await this.#transfer.fill(body);
    // Bytes that another process receives are told by that one.
    if (this.#part?.follows !== true)
      observer?.received?.(this.#context.definition.name, body.spool.size, clock.monotonic() - started);
    const plain = weighed === undefined ? undefined : await this.#transfer.withoutCoding(body, weighed, sums);
    if (plain === undefined) return { spool: body.spool, sums };
    this.#flight.useSpool(plain.spool);
    await body.spool.release();
    return plain;
  }

  /**
   * Checks the bytes against their promises. A document that was kept for long may promise what an upstream has since
   * replaced (a list of sums beside its files), so a mismatch asks for it once more.
   * @returns the promises that they keep
   */
  async #checkIntegrity(promised: readonly Integrity[], sums: Sums, content: Content): Promise<readonly Integrity[]> {
    const mismatch = await this.#verification.mismatch(promised, sums, content);
    if (mismatch === undefined) return promised;
    const anew = await this.#context.descriptions.describeAnew(this.#plan.resource).catch(() => undefined);
    const renewed = this.#promised(anew?.integrity ?? []);
    if (renewed.length > 0 && (await isPromised(renewed, content.stream()))) return renewed;
    throw this.#verification.brokenPromise(promised, mismatch);
  }

  #checkedWith({ headers }: UpstreamReply, description: LocatedDescription | undefined): VerifyContext {
    const { services } = this.#context;
    return {
      needs: services.policy.needs(),
      description,
      headers: verifiedHeaders(this.#plan.resource, headers),
      read: (resource) => this.#reads.read(resource),
    };
  }

  async #callHooks(
    digest: Digest,
    content: Content,
    context: VerifyContext,
    early: Promise<Reading | undefined> | undefined,
  ): Promise<void> {
    try {
      const reading = (await early) ?? (await this.#verification.callHooks(digest, content, context));
      if (reading !== undefined) this.#context.descriptions.note(this.#plan.resource, digest, reading);
    } catch (error) {
      this.#reads.abandon();
      throw error;
    }
  }
}
