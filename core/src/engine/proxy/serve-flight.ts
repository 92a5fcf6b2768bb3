import type { Readable } from 'node:stream';
import type { DocumentResource } from '../request/resource.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import { askingHeaders } from '../fetch/asking.js';
import {
  abandoned,
  type FlightHead,
  type FlightResult,
  type SharedFlight,
  type Stored,
} from '../fetch/shared-flight.js';
import { judgeKept } from '../fetch/judge-kept.js';
import type { Waiting } from '../fetch/wait-limit.js';
import type { Judgement } from '../policy/judgement.js';
import { isJudgedUnscanned } from '../policy/subject.js';
import { requireAllowed } from '../policy/verdict.js';
import { renderArriving } from '../reply/arriving.js';
import type { CacheFacts } from '../reply/outcome.js';
import { parseRange } from '../reply/range.js';
import { respond } from '../reply/respond.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply } from '../request/request.js';
import { isPinned } from '../store/pinned-name.js';
import { HELD_TAIL } from '../store/spool.js';
import { drain } from '../upstream/upstream-reply.js';
import { headOfUpstream } from './head-of-upstream.js';
import type { KeptServing } from './serve-kept.js';
import { fliesAlone, type ServingParts } from './serving.js';

/** A changed body up to this size is awaited before a word is said, so that a kept copy can stand in when it breaks off. */
const AWAITED_BYTES = 4 * 1024 * 1024;
/**
 * A document up to this size is received whole before the reply, so that a client gets an error when it turns out to be
 * no such document.
 */
const SMALL_DOCUMENT = 1024 * 1024;
/** From this size on, a range far ahead of a flight is not waited for (`coldRange: auto`). */
const LARGE_ARTIFACT = 64 * 1024 * 1024;
/** "Far ahead": more than this many bytes are still to come before it. */
const FAR_AHEAD = 16 * 1024 * 1024;

/** Serves bytes while they come from an upstream. */
export class FlightServing {
  readonly #parts: ServingParts;
  readonly #kept: KeptServing;

  constructor(parts: ServingParts, kept: KeptServing) {
    this.#parts = parts;
    this.#kept = kept;
  }

  /** Serves the bytes that a shared flight brings. */
  async serve(
    context: RequestContext,
    resource: Stored,
    kept: Entry | undefined,
    flight: SharedFlight,
    collapsed: boolean,
    waiting: Waiting = { key: resource.key, staleAfter: Infinity },
  ): Promise<EngineReply> {
    const { waits } = this.#parts.fetching.flights;
    const ended = (): Promise<FlightResult> => waits.within(flight, flight.done, waiting);
    flight.retain();
    try {
      if (resource.isRendered) {
        const early = kept === undefined ? await this.#serveEarly(context, resource, flight, collapsed) : undefined;
        return early ?? (await this.#serveResult(context, resource, await ended(), collapsed));
      }
      const head = await waits.within(flight, flight.head, waiting);
      const judgement = head && this.#judgeComing(context, resource, head);
      const isPending = judgement?.decision.pending === true && !isJudgedUnscanned(resource);
      const awaited =
        head === undefined || isPending || asksForSeveral(context, resource) || mustBeAwaited(resource, kept, head);
      // From the first byte on there is no way back to the kept copy, and none to tell why it breaks off.
      const first = awaited ? 0 : awaitedBytes(resource, head, kept);
      if (!awaited) await waits.within(flight, head.spool.flowing(first), waiting);
      if (awaited || head.spool.size <= first || !head.spool.canFollow(0)) {
        const ahead = awaited ? undefined : await this.#serveAhead(context, resource, head, collapsed);
        if (ahead !== undefined) return ahead;
        return await this.#serveResult(context, resource, await ended(), collapsed, head);
      }
      const reply = await this.#serveComing(context, resource, head, { name: 'miss', collapsed, stored: true });
      this.#parts.decisions.record(context, resource, judgement);
      return reply;
    } finally {
      await flight.release();
    }
  }

  /** Serves a new document before it is kept. `undefined` where that comes first. */
  async #serveEarly(
    context: RequestContext,
    resource: DocumentResource,
    flight: SharedFlight,
    collapsed: boolean,
  ): Promise<EngineReply | undefined> {
    const arriving = await this.#serveArriving(context, resource, flight, collapsed);
    if (arriving !== undefined) return arriving;
    const head = await flight.head;
    const entry = await head?.ahead;
    if (head === undefined || entry === undefined) return undefined;
    const { decisions, representations } = this.#parts;
    const judgement = await judgeKept(this.#parts, context, resource, entry);
    const facts: CacheFacts = { name: 'miss', collapsed, stored: true };
    const content = head.spool.content(entry.mediaType);
    const shown = await representations.rewritten(context.request, resource, entry, content, facts);
    const reply = await respond(context.request, { ...shown, age: 0 });
    decisions.record(context, resource, judgement);
    return reply;
  }

  /**
   * Serves a large document while it arrives. `undefined` where it has to be whole first: policy could refuse part of it, or the
   * client has a copy that may still be right.
   */
  async #serveArriving(
    context: RequestContext,
    resource: DocumentResource,
    flight: SharedFlight,
    collapsed: boolean,
  ): Promise<EngineReply | undefined> {
    const { contents, services } = this.#parts;
    const { request } = context;
    const isWaiting = request.method !== 'GET' || request.header('if-none-match') !== undefined;
    if (isWaiting || resource.keptBelow !== undefined || services.policy.enforces?.() !== false) return undefined;
    const head = await flight.head;
    const document = await head?.arriving;
    if (head === undefined || document === undefined || !head.spool.canFollow(0)) return undefined;
    if ((await contents.of(resource.coordinates)).size > 0) return undefined;
    const facts: CacheFacts = { name: 'miss', collapsed, stored: true };
    const arriving = { head, document, verified: flight.done };
    const shown = await renderArriving(this.#parts, request, resource, arriving, facts);
    const reply = await respond(request, shown);
    // Its bytes are read for as long as the client takes.
    flight.retain();
    (reply.body as Readable).once('close', () => void flight.release().catch(() => {}));
    return reply;
  }

  /** Serves through a flight of its own, whose bytes are verified but not kept. */
  async alone(
    context: RequestContext,
    resource: Stored,
    waiting: Waiting = { key: resource.key, staleAfter: Infinity },
  ): Promise<EngineReply> {
    const { decisions, fetching, representations } = this.#parts;
    const { flights, turns } = fetching;
    if (!fliesAlone(resource)) {
      const flight = turns.join(await turns.next(context, resource), resource);
      return await this.serve(context, resource, undefined, flight, false, waiting);
    }
    if (context.request.method === 'HEAD' && !resource.isRendered && waiting.staleAfter === Infinity) {
      const reply = await turns.run(context, () => headOfUpstream(this.#parts, context, resource));
      if (reply !== undefined) return reply;
    }
    const flight = await turns.alone(context, resource);
    const facts: CacheFacts = { name: 'bypass' };
    const { waits } = flights;
    flight.retain();
    try {
      if (resource.isRendered) {
        const result = await waits.within(flight, flight.done, waiting);
        const content = result.kind === 'unstored' ? result.content : undefined;
        return await respond(
          context.request,
          await representations.rewritten(context.request, resource, result.entry, content, facts),
        );
      }
      const head = await waits.within(flight, flight.head, waiting);
      if (head === undefined)
        throw new EntrepotError('upstream-unavailable', 'The upstream sent no body', { code: 'UPSTREAM_PROTOCOL' });
      decisions.record(context, resource, this.#judgeFetched(context, resource, head));
      await waits.within(flight, head.spool.flowing(awaitedBytes(resource, head)), waiting);
      return await this.#serveComing(context, resource, head, facts);
    } catch (error) {
      // Nobody else can join it.
      flight.abort(abandoned(resource));
      throw error;
    } finally {
      await flight.release();
    }
  }

  /**
   * Serves a small artifact with verified bytes while they are being stored. `undefined` where stored content is
   * scanned, whose reports come first.
   */
  async #serveAhead(
    context: RequestContext,
    resource: Stored,
    head: FlightHead,
    collapsed: boolean,
  ): Promise<EngineReply | undefined> {
    const { decisions, representations, services } = this.#parts;
    if (resource.kind !== 'artifact' || services.scanDesk !== undefined) return undefined;
    const entry = await head.ahead;
    if (entry === undefined) return undefined;
    const judgement = await judgeKept(this.#parts, context, resource, entry);
    const facts: CacheFacts = { name: 'miss', collapsed, stored: true };
    const reply = await respond(context.request, representations.ahead(resource, entry, head, facts, judgement));
    decisions.record(context, resource, judgement);
    return reply;
  }

  async #serveResult(
    context: RequestContext,
    resource: Stored,
    result: FlightResult,
    collapsed: boolean,
    head?: FlightHead,
  ): Promise<EngineReply> {
    const { decisions, representations } = this.#parts;
    if (result.kind === 'unstored') {
      const facts: CacheFacts = { name: 'miss', collapsed };
      if (resource.isRendered) {
        return await respond(
          context.request,
          await representations.rewritten(context.request, resource, result.entry, result.content, facts),
        );
      }
      if (head?.spool.canFollow(0) !== true) return await this.alone(context, resource);
      decisions.record(context, resource, this.#judgeFetched(context, resource, head));
      return await this.#serveComing(context, resource, head, facts);
    }
    const facts: CacheFacts = {
      name: result.kind === 'renewed' ? 'revalidated' : 'miss',
      collapsed,
      stored: result.kind === 'stored',
    };
    const reply = await this.#kept.serve(context, resource, result.entry, facts);
    if (reply !== undefined) return reply;
    // The copy was right, but its bytes have gone: it is a miss.
    if (result.kind === 'renewed') {
      const flight = this.#parts.fetching.flights.join(resource, undefined);
      return await this.serve(context, resource, undefined, flight, false);
    }
    throw new EntrepotError('storage', `The blob of ${resource.key} is missing`, { code: 'BLOB_MISSING' });
  }

  /** Judges bytes that will be kept before they are here. Policy may have changed since the flight that is joined began. */
  #judgeComing(
    context: RequestContext,
    resource: Stored,
    { coordinates, description, digest }: FlightHead,
  ): Judgement | undefined {
    if (coordinates === undefined) return undefined;
    return requireAllowed(this.#parts.judge(context, { kind: 'version', resource, coordinates, description, digest }));
  }

  /** Judges bytes that are passed on and not kept. */
  #judgeFetched(
    context: RequestContext,
    resource: Stored,
    { coordinates, description, digest }: FlightHead,
  ): Judgement | undefined {
    return requireAllowed(this.#parts.judge(context, { kind: 'fetched', resource, coordinates, description, digest }));
  }

  async #serveComing(
    context: RequestContext,
    resource: Stored,
    head: FlightHead,
    facts: CacheFacts,
  ): Promise<EngineReply> {
    const far = await this.#farRange(context, resource, head);
    return far ?? (await respond(context.request, this.#parts.representations.coming(resource, head, facts)));
  }

  /** A range far ahead of the flight goes upstream by itself, unstored, while the flight runs on (architecture §12). */
  async #farRange(context: RequestContext, resource: Stored, head: FlightHead): Promise<EngineReply | undefined> {
    const { definition, upstreams, representations } = this.#parts;
    const { request } = context;
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
}

/** Whether several ranges are asked for, which are read from what is stored. */
function asksForSeveral({ request }: RequestContext, { severalRanges }: Stored): boolean {
  return severalRanges === true && request.header('range')?.includes(',') === true;
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
 * The number of bytes that are awaited before a first one is let go: the held tail, unless the body is said to be longer; a document is
 * awaited whole unless it is said to be large. Where a kept copy can stand in, a few bytes do not show that the rest will come.
 */
function awaitedBytes({ kind }: Stored, { size = 0 }: FlightHead, kept?: Entry): number {
  if (kind === 'document' && size <= SMALL_DOCUMENT) return SMALL_DOCUMENT;
  return size > HELD_TAIL && kept === undefined ? 0 : HELD_TAIL;
}
