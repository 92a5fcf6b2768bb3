import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError } from '../../api/errors.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { ArtifactResource } from '../request/resource.js';
import { factsOf } from '../policy/facts.js';
import { askingHeaders } from './asking.js';
import type { ContentFlights } from './content-flights.js';
import { isBlobMissing } from '../store/blob-missing.js';
import { contentOf } from '../store/content.js';
import { shuttingDown, type FlightHead, type FlightResult, type SharedFlight } from './shared-flight.js';
import { startFetch, type FetchContext } from './stored-fetch.js';
import { keptHeaders } from './kept-headers.js';
import { isPage } from './login-page.js';
import { settledMediaType } from './media-type.js';
import { putEntry } from './publish.js';
import { untilAborted } from '../../formats/until-aborted.js';
import { drain, isHeadRefused } from '../upstream/upstream-reply.js';
import { placeOf, withoutQuery, type UpstreamReply } from '../upstream/query.js';

/** Bytes that an addressed flight brings. */
export interface AddressedPlan {
  readonly resource: ArtifactResource;
  /** Names the bytes. */
  readonly digest: Digest;
  /** Flights of the same repository that bring content under other names. */
  readonly coming: ContentFlights;
}

/**
 * A flight for bytes that are named by their digest. Where another name or repository has brought them, or another name
 * of this one is bringing them, the upstream is only asked by HEAD whether this name has them too: no client gets bytes
 * by their digest that its upstream would refuse. Where the upstream cannot tell, they are fetched here as well. A
 * flight of another repository is not followed: its upstream may be slow, or send other bytes.
 */
export class AddressedFlight implements SharedFlight {
  readonly head: Promise<FlightHead | undefined>;
  readonly done: Promise<FlightResult>;
  readonly #context: FetchContext;
  readonly #plan: AddressedPlan;
  readonly #abort = new AbortController();
  /** The flight that brings the bytes. */
  #carrier: SharedFlight | undefined;
  #ownsCarrier = false;
  #description: ArtifactDescription | undefined;
  /** The flight itself, and every request that works with it. */
  #users = 1;
  #resolveHead: (head: FlightHead | undefined) => void = () => {};
  #rejectHead: (error: unknown) => void = () => {};

  constructor(context: FetchContext, plan: AddressedPlan) {
    this.#context = context;
    this.#plan = plan;
    this.head = new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
    });
    this.head.catch(() => {});
    this.done = this.#run();
    this.done.catch(() => {});
  }

  get wanted(): boolean {
    return true;
  }

  get isAhead(): boolean {
    return this.#ownsCarrier && this.#carrier?.isAhead === true;
  }

  retain(): void {
    this.#users += 1;
  }

  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await this.#carrier?.release();
  }

  /** Bytes that are named by their digest stay what they are: only a fetch of its own may bring others. */
  outdate(): void {
    if (this.#ownsCarrier) this.#carrier?.outdate?.();
  }

  abort(reason = shuttingDown()): void {
    // Another one's fetch goes on for whoever else follows it.
    if (this.#ownsCarrier) this.#carrier?.abort(reason);
    this.#abort.abort(reason);
  }

  async #run(): Promise<FlightResult> {
    try {
      return await this.#bring(this.#abort.signal);
    } catch (error) {
      const failure = asEntrepotError(error, 'upstream-unavailable', `Fetching ${this.#plan.resource.key} failed`);
      this.#rejectHead(failure);
      throw failure;
    } finally {
      // Nobody has to wait for a file to be closed.
      this.release().catch(() => {});
    }
  }

  async #bring(signal: AbortSignal): Promise<FlightResult> {
    const { storage } = this.#context.services;
    const { digest, resource } = this.#plan;
    this.#description = await this.#context.policy.admitted(resource);
    const stored = await storage.blobs.store.stat(digest);
    signal.throwIfAborted();
    const running = this.#plan.coming.get(digest);
    if (stored === undefined && running === undefined) return await this.#fetch();
    if (stored === undefined) this.#carryBy(running as SharedFlight);
    const proof = await this.#prove(signal);
    if (proof === undefined) return await this.#fetch();
    if (stored === undefined) return await this.#follow(running as SharedFlight, proof, signal);
    try {
      return await this.#adopt(proof, stored.size);
    } catch (error) {
      // Deleted while the upstream was asked.
      if (isBlobMissing(error)) return await this.#fetch();
      throw error;
    }
  }

  /** Its bytes stay readable as long as this flight is in use. */
  #carryBy(carrier: SharedFlight): void {
    carrier.retain();
    this.#carrier = carrier;
  }

  async #fetch(): Promise<FlightResult> {
    const left = this.#carrier;
    const flight = startFetch(this.#context, { resource: this.#plan.resource, keep: 'entry' });
    this.#carryBy(flight);
    this.#ownsCarrier = true;
    // Before anything is awaited: whoever looks next must find it.
    this.#plan.coming.offer(this.#plan.digest, flight);
    flight.head.then(this.#resolveHead, this.#rejectHead);
    await left?.release();
    return await flight.done;
  }

  /** That this name has the bytes, too; `undefined` when the upstream does not answer HEAD. */
  async #prove(signal: AbortSignal): Promise<UpstreamReply | undefined> {
    const { resource } = this.#plan;
    try {
      const reply = await this.#context.upstreams.fetch({
        method: 'HEAD',
        ...placeOf(resource),
        headers: { ...askingHeaders(resource), 'accept-encoding': 'identity' },
        signal,
        skipUnhealthy: false,
      });
      drain(reply);
      // A page, as networks send it that want a login, says nothing of the bytes.
      return isPage(reply.headers['content-type'] ?? '') ? undefined : reply;
    } catch (error) {
      signal.throwIfAborted();
      if (isHeadRefused(error)) return undefined;
      throw error;
    }
  }

  async #follow(carrier: SharedFlight, proof: UpstreamReply, signal: AbortSignal): Promise<FlightResult> {
    const { resource } = this.#plan;
    let head: FlightHead | undefined;
    try {
      head = await untilAborted(carrier.head, signal);
    } catch {
      signal.throwIfAborted();
      // Its upstream failed; this one has just answered.
      return await this.#fetch();
    }
    this.#resolveHead(
      head && {
        ...head,
        mediaType: typeOf(proof) ?? head.mediaType,
        headers: keptHeaders(resource, proof.headers),
        lastModified: proof.headers['last-modified'],
        place: { ...placeOf(resource), location: proof.url },
        coordinates: this.#coordinates,
        description: this.#description,
        // That entry has another name.
        ahead: Promise.resolve(undefined),
      },
    );
    const result = await untilAborted(carrier.done, signal);
    if (result.kind !== 'unstored') return await this.#adopt(proof, result.entry.size);
    const entry = this.#entry(proof, result.entry.size, typeOf(proof) ?? result.entry.mediaType);
    return { kind: 'unstored', entry, content: result.content };
  }

  /** Gives the kept bytes this name as well. */
  async #adopt(proof: UpstreamReply, size: number): Promise<FlightResult> {
    const { services } = this.#context;
    const { resource, digest } = this.#plan;
    const said = typeOf(proof);
    const content = contentOf(size, said ?? '', async function* read() {
      yield* ((await services.storage.blobs.open(digest, size)) ?? []) as AsyncIterable<Uint8Array>;
    });
    const mediaType = await settledMediaType(resource, said, content);
    const entry = await putEntry(services, resource, this.#entry(proof, size, mediaType), undefined);
    this.#resolveHead(undefined);
    return { kind: 'stored', entry };
  }

  #entry(proof: UpstreamReply, size: number, mediaType: string): Entry {
    const { definition, services } = this.#context;
    const { resource, digest } = this.#plan;
    const now = services.clock.now();
    return {
      repository: definition.name,
      key: resource.key,
      digest,
      size,
      mediaType,
      headers: keptHeaders(resource, proof.headers),
      etag: proof.headers['etag'],
      lastModified: proof.headers['last-modified'],
      upstreamUrl: withoutQuery(proof.url),
      fetchedAt: now,
      checkedAt: now,
      integrity: [{ algorithm: 'sha256', hex: digest.slice('sha256:'.length) }],
      coordinates: this.#coordinates,
      facts: factsOf(this.#description),
    };
  }

  get #coordinates(): PackageCoordinates | undefined {
    return this.#description?.coordinates ?? this.#plan.resource.coordinates;
  }
}

function typeOf(reply: UpstreamReply): string | undefined {
  return reply.headers['content-type'];
}
