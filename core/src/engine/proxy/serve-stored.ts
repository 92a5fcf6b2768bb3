import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { ArtifactResource, DocumentResource } from '../../api/resource.js';
import type { TransportReply } from '../../api/transport.js';
import type { Judgement } from '../policy/judgement.js';
import { isJudgedByName, type Admission } from '../policy/admission.js';
import { askingHeaders, isForOthers } from '../fetch/asking.js';
import { drain, isHeadRefused } from '../upstream/upstream-reply.js';
import type { Upstreams } from '../upstream/upstreams.js';
import { planCoding } from '../fetch/content-coding.js';
import { contentDigest } from '../fetch/content-flights.js';
import { describedPlace } from '../fetch/described-place.js';
import { abandoned, type FlightHead, type FlightResult, type SharedFlight } from '../fetch/flight.js';
import type { Flights } from '../fetch/flights.js';
import { standing, type Standing } from '../fetch/freshness.js';
import { HotReplies, plainHotKey, type JudgedReply } from '../reply/hot-replies.js';
import { isJudgedUnscanned, judgeKept } from '../fetch/judge-kept.js';
import { keptHeaders } from '../fetch/kept-headers.js';
import { isPage, namesFile } from '../fetch/login-page.js';
import { isUnsettled } from '../fetch/media-type.js';
import type { NegativeCache } from '../store/negative-cache.js';
import type { CacheFacts } from '../reply/outcome.js';
import type { Waiting } from '../fetch/patience.js';
import { isPinned } from '../store/pinned-name.js';
import { parseRange } from '../reply/range.js';
import { HELD_TAIL } from '../store/spool.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import { acceptsGzip, type Representations } from '../reply/representations.js';
import { respond, type Representation } from '../reply/respond.js';

/** A changed body up to this size is awaited before a word is said, so that a kept copy can stand in when it breaks off. */
const AWAITED_BYTES = 4 * 1024 * 1024;
/** A document up to this size is awaited, so that a client is told when it turns out to be no such document. */
const SMALL_DOCUMENT = 1024 * 1024;
/** From this size on, a range far ahead of a flight is not waited for (`coldRange: auto`). */
const LARGE_ARTIFACT = 64 * 1024 * 1024;
/** "Far ahead": more than this many bytes are still to come before it. */
const FAR_AHEAD = 16 * 1024 * 1024;

/** Of an upstream that answers, but not this. */
const REFUSALS = new Set(['UPSTREAM_FORBIDDEN', 'UPSTREAM_REFUSED']);

type Stored = ArtifactResource | DocumentResource;

/** What serving works with. */
export interface ServingContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly upstreams: Upstreams;
  readonly flights: Flights;
  readonly admission: Admission;
  readonly negative: NegativeCache;
  readonly representations: Representations;
}

/** Serves artifacts and documents of a proxy: from the copy that is kept, or through a flight. */
export class StoredServing {
  readonly #context: ServingContext;
  readonly #hot = new HotReplies();

  constructor(context: ServingContext) {
    this.#context = context;
  }

  async serve(request: EngineRequest, resource: Stored): Promise<EngineReply> {
    const { definition, services, flights, admission } = this.#context;
    const ready = this.ready(request, resource);
    if (ready !== undefined) return ready;
    if (isJudgedByName(resource)) admission.requireName(resource);
    const rule = flights.rule(resource);
    if (rule.policy === 'bypass' && resource.keptOnly !== true) return await this.#serveAlone(request, resource);
    const entry = services.storage.entries.peek(definition.name, resource.key) ?? (await this.#find(resource));
    if (entry === undefined) return await this.#serveThroughFlight(request, resource, rule, undefined, undefined);
    const state = standing(entry, rule, services.clock.now());
    if (isForOthers(entry, resource)) return await this.#serveOther(request, resource, rule, entry, state);
    if (!state.fresh) {
      await judgeKept(this.#context, request, resource, entry);
      return await this.#serveThroughFlight(request, resource, rule, entry, state);
    }
    // Before the reply is made: what is kept meanwhile makes another one.
    const key = HotReplies.suits(request) ? this.#hotKey(request, resource) : undefined;
    const revision = services.policy.revision();
    const served = await this.#serveJudged(request, resource, entry, { name: 'hit', ttl: state.ttl });
    if (served === undefined) return await this.#serveThroughFlight(request, resource, rule, undefined, undefined);
    const now = services.clock.now();
    const until = Math.min(state.freshUntil, served.changesAt ?? Infinity);
    if (key !== undefined) this.#hot.set(key, entry, revision, { now, until }, served);
    return served.reply;
  }

  /** The kept copy. Where the index does not say, the upstream may still have it. */
  async #find(resource: Stored): Promise<Entry | undefined> {
    const { definition, services } = this.#context;
    try {
      return await services.storage.entries.find(definition.name, resource.key);
    } catch (error) {
      if (resource.keptOnly === true) throw error;
      services.logger.error({ error, repository: definition.name, key: resource.key }, 'the index cannot be read');
      return undefined;
    }
  }

  /** The reply that was given to others a moment ago. */
  ready(request: EngineRequest, resource: Stored): EngineReply | undefined {
    const { admission, definition, services } = this.#context;
    const entry = services.storage.entries.peek(definition.name, resource.key);
    if (entry === undefined || isForOthers(entry, resource) || !HotReplies.suits(request)) return undefined;
    const key = this.#hotKey(request, resource);
    if (key === undefined) return undefined;
    const hot = this.#hot.get(key, request, entry, services.policy.revision(), services.clock.now());
    if (hot === undefined) return undefined;
    services.storage.entries.accessed(entry);
    admission.record(request, resource, hot.judgement);
    return hot.reply;
  }

  /** What makes two replies of one entry differ; `undefined` where that would have to be looked up. */
  #hotKey(request: EngineRequest, resource: Stored): string | undefined {
    const { admission, definition, services } = this.#context;
    const { coordinates } = resource;
    if (!isRewritten(resource)) {
      const key = plainHotKey(resource, admission.callerOf(request));
      return resource.sidecar === true ? `${admission.contents.mark(coordinates)} ${key}` : key;
    }
    const { keptBelow, variant = '' } = resource;
    const kept = keptBelow === undefined ? undefined : services.storage.entries.keys.peek(definition.name, keptBelow);
    if (keptBelow !== undefined && kept === undefined) return undefined;
    const encoding = acceptsGzip(request) ? 'gzip' : 'identity';
    const found = admission.contents.mark(coordinates);
    return `${encoding} ${kept?.mark ?? ''} ${found} ${variant} ${request.baseUrl} ${resource.key}`;
  }

  /** `undefined` when the copy turns out to be damaged: then there is none. */
  async #serveKept(
    request: EngineRequest,
    resource: Stored,
    entry: Entry,
    facts: CacheFacts,
    warning?: string,
  ): Promise<EngineReply | undefined> {
    return (await this.#serveJudged(request, resource, entry, facts, warning))?.reply;
  }

  async #serveJudged(
    request: EngineRequest,
    resource: Stored,
    entry: Entry,
    facts: CacheFacts,
    warning?: string,
  ): Promise<(JudgedReply & { readonly changesAt: number | undefined }) | undefined> {
    const { admission, representations } = this.#context;
    const judgement = await judgeKept(this.#context, request, resource, entry);
    const shown = await representations.kept(request, resource, entry, facts, judgement);
    if (shown === undefined) return undefined;
    let reply: EngineReply;
    try {
      reply = await respond(request, { ...shown, warning });
    } catch (error) {
      // It has gone, or changed its size, since it was last looked at.
      if (error instanceof EntrepotError && error.code === 'BLOB_MISSING') return representations.missing(entry);
      throw error;
    }
    admission.record(request, resource, judgement);
    return { reply, judgement, changesAt: shown.changesAt };
  }

  async #serveThroughFlight(
    request: EngineRequest,
    resource: Stored,
    rule: FreshnessRule,
    kept: Entry | undefined,
    state: Standing | undefined,
  ): Promise<EngineReply> {
    if (resource.keptOnly === true) return await this.#serveOnlyKept(request, resource, kept, state);
    const { admission, flights, negative } = this.#context;
    const running = flights.running(resource);
    if (running?.isAhead === true) {
      // Others have the whole already: for this client it is a hit as soon as it is kept.
      await running.done.catch(() => {});
      return await this.serve(request, resource);
    }
    if (kept !== undefined && state !== undefined) {
      const stale: CacheFacts = { name: 'stale', ttl: state.ttl, detail: 'refreshing' };
      if (state.whileRevalidating || (running !== undefined && rule.busy === 'stale')) {
        this.#refresh(resource, kept);
        const reply = await this.#serveKept(request, resource, kept, stale);
        if (reply !== undefined) return reply;
      }
    }
    const staleAfter = kept !== undefined && state?.ifError === true ? rule.staleAfter : Infinity;
    const waiting: Waiting = { key: resource.key, staleAfter };
    try {
      if (running !== undefined && kept !== undefined && rule.busy === 'bypass')
        return await this.#serveAlone(request, resource, waiting);
      // Nobody is asked for what is under a name that policy refuses.
      if (kept === undefined) admission.requireName(resource);
      await negative.check(resource.key);
      if (kept === undefined && !fliesAlone(resource)) await flights.judged(resource, request);
      if (
        request.method === 'HEAD' &&
        running === undefined &&
        kept === undefined &&
        !isRewritten(resource) &&
        !isPinned(resource) &&
        fliesAlone(resource)
      ) {
        const reply = await this.#headOfUpstream(request, resource);
        if (reply !== undefined) return reply;
      }
      const flight = flights.join(resource, kept);
      return await this.#serveFlight(request, resource, kept, flight, running !== undefined, waiting);
    } catch (error) {
      return await this.#serveInstead(request, resource, rule, kept, state, error);
    }
  }

  /** The kept copy however old it is, or nothing: the upstream is not asked. */
  async #serveOnlyKept(
    request: EngineRequest,
    resource: Stored,
    kept: Entry | undefined,
    state: Standing | undefined,
  ): Promise<EngineReply> {
    const facts: CacheFacts = { name: 'stale', ttl: state?.ttl, detail: 'kept only' };
    const own = kept && (await this.#serveKept(request, resource, kept, facts));
    const reply = own ?? (await this.#serveFromKeys(request, resource, facts));
    if (reply !== undefined) return reply;
    throw new EntrepotError('not-found', 'temporarily unavailable: only what is kept was asked for', {
      code: 'NOT_KEPT',
    });
  }

  /** The document as far as what is kept below it tells; `undefined` where that is nothing. */
  async #serveFromKeys(request: EngineRequest, resource: Stored, facts: CacheFacts): Promise<EngineReply | undefined> {
    const { definition, representations, services } = this.#context;
    if (!isRewritten(resource) || resource.keptBelow === undefined) return undefined;
    const { keys } = await services.storage.entries.keys.find(definition.name, resource.keptBelow);
    if (keys.length === 0) return undefined;
    try {
      return await respond(request, await representations.rewritten(request, resource, undefined, undefined, facts));
    } catch (error) {
      if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
      throw error;
    }
  }

  /** A refresh that nobody waits for. */
  #refresh(resource: Stored, kept: Entry): void {
    const { definition, flights, services } = this.#context;
    flights.join(resource, kept).done.catch((error: unknown) => {
      services.logger.warn({ error, repository: definition.name, key: resource.key }, 'a background refresh failed');
    });
  }

  async #serveFlight(
    request: EngineRequest,
    resource: Stored,
    kept: Entry | undefined,
    flight: SharedFlight,
    collapsed: boolean,
    waiting: Waiting = { key: resource.key, staleAfter: Infinity },
  ): Promise<EngineReply> {
    const { patience } = this.#context.flights;
    const landed = (): Promise<FlightResult> => patience.within(flight, flight.done, waiting);
    flight.retain();
    try {
      if (isRewritten(resource)) return await this.#serveResult(request, resource, await landed(), collapsed);
      const head = await patience.within(flight, flight.head, waiting);
      const judgement = head && this.#judgeComing(request, resource, head);
      const waits = judgement?.decision.pending === true && !isJudgedUnscanned(resource);
      const awaited = head === undefined || waits || mustBeAwaited(resource, kept, head);
      // From the first byte on there is no way back to the kept copy, and none to tell why it breaks off.
      if (!awaited) await patience.within(flight, head.spool.flowing(awaitedBytes(resource, head)), waiting);
      if (awaited || head.spool.size <= awaitedBytes(resource, head) || !head.spool.canFollow(0)) {
        const ahead = awaited ? undefined : await this.#serveAhead(request, resource, head, collapsed);
        if (ahead !== undefined) return ahead;
        return await this.#serveResult(request, resource, await landed(), collapsed, head);
      }
      const reply = await this.#serveComing(request, resource, head, { name: 'miss', collapsed, stored: true });
      this.#context.admission.record(request, resource, judgement);
      return reply;
    } finally {
      await flight.release();
    }
  }

  /**
   * Serves a small artifact whose bytes are verified, while they are being kept. `undefined` where somebody scans what is kept,
   * for then its reports come first.
   */
  async #serveAhead(
    request: EngineRequest,
    resource: Stored,
    head: FlightHead,
    collapsed: boolean,
  ): Promise<EngineReply | undefined> {
    const { admission, representations, services } = this.#context;
    if (resource.kind !== 'artifact' || services.scanDesk !== undefined) return undefined;
    const entry = await head.ahead;
    if (entry === undefined) return undefined;
    const judgement = await judgeKept(this.#context, request, resource, entry);
    const facts: CacheFacts = { name: 'miss', collapsed, stored: true };
    const reply = await respond(request, representations.ahead(resource, entry, head, facts, judgement));
    admission.record(request, resource, judgement);
    return reply;
  }

  async #serveResult(
    request: EngineRequest,
    resource: Stored,
    result: FlightResult,
    collapsed: boolean,
    head?: FlightHead,
  ): Promise<EngineReply> {
    const { admission, representations } = this.#context;
    if (result.kind === 'unstored') {
      const facts: CacheFacts = { name: 'miss', collapsed };
      if (isRewritten(resource)) {
        return await respond(
          request,
          await representations.rewritten(request, resource, result.entry, result.content, facts),
        );
      }
      if (head?.spool.canFollow(0) !== true) return await this.#serveAlone(request, resource);
      const judgement = this.#judgeComing(request, resource, head);
      if (judgement !== undefined && !isJudgedUnscanned(resource)) admission.withoutScan(judgement);
      admission.record(request, resource, judgement);
      return await this.#serveComing(request, resource, head, facts);
    }
    const facts: CacheFacts = {
      name: result.kind === 'renewed' ? 'revalidated' : 'miss',
      collapsed,
      stored: result.kind === 'stored',
    };
    const reply = await this.#serveKept(request, resource, result.entry, facts);
    if (reply !== undefined) return reply;
    // The copy was right, but its bytes have gone: it is a miss.
    if (result.kind === 'renewed') {
      const flight = this.#context.flights.join(resource, undefined);
      return await this.#serveFlight(request, resource, undefined, flight, false);
    }
    throw new EntrepotError('storage', `The blob of ${resource.key} is missing`, { code: 'BLOB_MISSING' });
  }

  /** What policy says of bytes that are coming to this client: it may have changed since the flight that is joined began. */
  #judgeComing(
    request: EngineRequest,
    resource: Stored,
    { coordinates, description, digest }: FlightHead,
  ): Judgement | undefined {
    return coordinates && this.#context.admission.require(resource, coordinates, description, request, digest);
  }

  async #serveComing(
    request: EngineRequest,
    resource: Stored,
    head: FlightHead,
    facts: CacheFacts,
  ): Promise<EngineReply> {
    const far = await this.#farRange(request, resource, head);
    return far ?? (await respond(request, this.#context.representations.coming(resource, head, facts)));
  }

  /** A range far ahead of the flight goes upstream by itself, unstored, while the flight runs on (architecture §12). */
  async #farRange(request: EngineRequest, resource: Stored, head: FlightHead): Promise<EngineReply | undefined> {
    const { definition, upstreams, representations } = this.#context;
    const header = request.method === 'GET' ? request.header('range') : undefined;
    if (header === undefined || request.header('if-range') !== undefined) return undefined;
    if (definition.coldRange === 'wait' || head.size === undefined || head.size < LARGE_ARTIFACT) return undefined;
    const range = parseRange(header, head.size);
    if (range === undefined || range === 'unsatisfiable' || range.start < head.spool.size + FAR_AHEAD) return undefined;
    const reply = await upstreams.fetch({
      method: 'GET',
      ...head.place,
      headers: {
        ...askingHeaders(resource),
        'accept-encoding': 'identity',
        range: `bytes=${range.start}-${range.end}`,
      },
      signal: request.signal,
      skipUnhealthy: false,
    });
    if (reply.status !== 206 || reply.headers['content-range'] !== `bytes ${range.start}-${range.end}/${head.size}`) {
      drain(reply);
      return undefined;
    }
    const shown = representations.coming(resource, head, { name: 'bypass', detail: 'far range of a cold artifact' });
    return await respond(request, { ...shown, open: () => reply.body });
  }

  /**
   * Serves the variant that the upstream chooses for this client, where the cached copy was chosen for others. Serves the
   * cached copy while the upstream is down.
   */
  async #serveOther(
    request: EngineRequest,
    resource: Stored,
    rule: FreshnessRule,
    kept: Entry,
    state: Standing,
  ): Promise<EngineReply> {
    if (resource.keptOnly === true) return await this.#serveOnlyKept(request, resource, kept, state);
    try {
      return await this.#serveAlone(request, resource);
    } catch (error) {
      return await this.#serveInstead(request, resource, rule, kept, state, error);
    }
  }

  /** A flight of its own: verified, not kept. */
  async #serveAlone(
    request: EngineRequest,
    resource: Stored,
    waiting: Waiting = { key: resource.key, staleAfter: Infinity },
  ): Promise<EngineReply> {
    const { admission, flights, representations } = this.#context;
    if (!fliesAlone(resource)) {
      const flight = flights.join(resource, undefined);
      return await this.#serveFlight(request, resource, undefined, flight, false, waiting);
    }
    if (request.method === 'HEAD' && !isRewritten(resource) && waiting.staleAfter === Infinity) {
      const reply = await this.#headOfUpstream(request, resource);
      if (reply !== undefined) return reply;
    }
    const flight = flights.alone(resource);
    const facts: CacheFacts = { name: 'bypass' };
    const { patience } = flights;
    flight.retain();
    try {
      if (isRewritten(resource)) {
        const result = await patience.within(flight, flight.done, waiting);
        const content = result.kind === 'unstored' ? result.content : undefined;
        return await respond(request, await representations.rewritten(request, resource, result.entry, content, facts));
      }
      const head = await patience.within(flight, flight.head, waiting);
      if (head === undefined)
        throw new EntrepotError('upstream-unavailable', 'The upstream sent no body', { code: 'UPSTREAM_PROTOCOL' });
      const judgement = this.#judgeComing(request, resource, head);
      if (judgement !== undefined && !isJudgedUnscanned(resource)) admission.withoutScan(judgement);
      admission.record(request, resource, judgement);
      await patience.within(flight, head.spool.flowing(awaitedBytes(resource, head)), waiting);
      return await this.#serveComing(request, resource, head, facts);
    } catch (error) {
      // Nobody else can join it.
      flight.abort(abandoned(resource));
      throw error;
    } finally {
      await flight.release();
    }
  }

  /**
   * HEAD of something that is not kept: asked of the upstream, so that a question does not fetch a large body.
   * `undefined` when the upstream does not answer HEAD; then a flight finds out.
   */
  async #headOfUpstream(request: EngineRequest, resource: Stored): Promise<EngineReply | undefined> {
    const { admission, definition, flights, upstreams } = this.#context;
    const { description, judgement } = await flights.judged(resource, request);
    const promised = resource.kind === 'artifact' ? description : undefined;
    const described = await describedPlace(upstreams, resource, promised, request.signal);
    admission.record(request, resource, judgement);
    try {
      const reply = await upstreams.fetch({
        method: 'HEAD',
        ...described.place,
        headers: { ...askingHeaders(resource), 'accept-encoding': 'identity' },
        signal: request.signal,
        skipUnhealthy: false,
      });
      drain(reply);
      const said = reply.headers['content-type'];
      // A page in place of a file is no answer to keep to, and where it is all that there is, a flight says so.
      if (isUnsettled(definition, resource, said) || (isPage(said ?? '') && namesFile(resource))) return undefined;
      return await respond(request, this.#headAlone(resource, reply));
    } catch (error) {
      if (!isHeadRefused(error)) throw error;
      // Where it refuses HEAD for everything, what a manifest says of the size is as good.
      const isThere = error instanceof EntrepotError && REFUSALS.has(error.code);
      const size = (resource.kind === 'artifact' ? resource.size : undefined) ?? described.size;
      if (!isThere || size === undefined) return undefined;
      return await respond(request, this.#headAlone(resource, { headers: { 'content-length': String(size) } }));
    }
  }

  /** What is known from a head without a body. */
  #headAlone(resource: Stored, reply: Pick<TransportReply, 'headers'>): Representation {
    const { definition, representations } = this.#context;
    const { headers } = reply;
    const coding = planCoding(resource, { headers }, []);
    // Of what is undone nobody knows the size.
    const size = coding.kind === 'undo' ? undefined : headers['content-length'];
    const digest = contentDigest(resource);
    const mediaType = headers['content-type'] ?? resource.fallbackMediaType ?? 'application/octet-stream';
    const passed = coding.kind === 'pass' && { 'content-encoding': coding.coding };
    const stored = { mediaType, headers: { ...keptHeaders(definition, resource, headers), ...passed }, digest };
    return {
      ...representations.base(resource, stored, { name: 'bypass' }),
      size: size === undefined ? undefined : Number(size),
      etag: digest && `"${digest}"`,
      lastModified: headers['last-modified'],
      ranges: true,
      open: () => Buffer.alloc(0),
    };
  }

  /** Stale beats an outage; a kept artifact also outlives its upstream (architecture §6.6, §12). */
  async #serveInstead(
    request: EngineRequest,
    resource: Stored,
    rule: FreshnessRule,
    kept: Entry | undefined,
    state: Standing | undefined,
    error: unknown,
  ): Promise<EngineReply> {
    const { negative } = this.#context;
    const failure = asEntrepotError(error, 'plugin', `Serving ${resource.key} failed`);
    const gone = failure.kind === 'not-found';
    if (gone) await negative.remember(resource.key, failure, rule);
    else await negative.rememberFault(resource.key, failure);
    // An outage of our own is no better reason to withhold it than one of the upstream.
    const outage = failure.staleAllowed || failure.kind === 'storage';
    const usable = gone ? rule.onGone === 'keep' : outage && state?.ifError === true;
    if (kept !== undefined && usable) {
      const facts: CacheFacts = { name: 'stale', ttl: state?.ttl, detail: failure.code };
      const warning =
        this.#context.definition.plugin.warnsStale === true
          ? `This copy may be out of date: ${failure.message}`
          : undefined;
      const reply = await this.#serveKept(request, resource, kept, facts, warning);
      if (reply !== undefined) return reply;
    }
    // The bytes of the copy are lost: there is nothing but what the flight brings.
    if (failure.code === 'UPSTREAM_SLOW') {
      const flight = this.#context.flights.join(resource, undefined);
      return await this.#serveFlight(request, resource, undefined, flight, true);
    }
    if (gone || failure.staleAllowed) {
      const reply = await this.#serveFromKeys(request, resource, { name: 'stale', detail: failure.code });
      if (reply !== undefined) return reply;
    }
    if (failure.staleAllowed && kept === undefined) await negative.standIn(resource.key);
    throw failure;
  }
}

/**
 * Whether nothing is said until the whole new body is there. A small one, so that the kept copy can stand in when it
 * breaks off; an artifact that nothing was promised for, since the first copy stays if these bytes are others.
 */
function mustBeAwaited(resource: Stored, kept: Entry | undefined, head: FlightHead): boolean {
  // Its digest, and what it is, are told with the head.
  if (isPinned(resource) || (head.unsettled && (head.size ?? 0) <= AWAITED_BYTES)) return true;
  if (kept === undefined) return false;
  return (resource.kind === 'artifact' && kept.integrity.length === 0) || (head.size ?? Infinity) <= AWAITED_BYTES;
}

/**
 * How many bytes are awaited before a first one is let go: none of the held tail can be; a document is awaited whole unless
 * it is said to be large.
 */
function awaitedBytes({ kind }: Stored, { size = 0 }: FlightHead): number {
  return kind === 'document' && size <= SMALL_DOCUMENT ? SMALL_DOCUMENT : HELD_TAIL;
}

/** Whether the upstream can be asked for it apart from the store: not for what is made here, or has to be kept with others first. */
function fliesAlone(resource: Stored): boolean {
  return resource.produced !== true && !(resource.kind === 'artifact' && resource.together !== undefined);
}

function isRewritten(resource: Stored): resource is DocumentResource {
  return resource.kind === 'document' && resource.rewritten === true;
}
