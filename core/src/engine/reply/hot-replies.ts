import type { Entry } from '../../api/entry-index.js';
import { Lru } from '../../formats/lru.js';
import { isForOthers } from '../fetch/asking.js';
import type { Judgement } from '../policy/judgement.js';
import type { RequestContext } from '../request/request-context.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import { acceptsGzip } from './encoding.js';
import { noneMatch } from './range.js';
import type { ReplyParts } from './reply-parts.js';

/** The bound on the bodies of ready replies of one repository, in bytes: they outlive what other caches drop. */
const MAX_BYTES = 16 * 1024 * 1024;
/** The weight of a reply besides its body, in bytes. */
const HEAD_BYTES = 1024;

interface HotReply extends Omit<HotPlace, 'key'> {
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Bytes. */
  readonly size: number;
  /** Absent: so far only those have asked who have it already. */
  readonly reply: EngineReply | undefined;
  /** The answer for those who have it already. */
  readonly notModified: EngineReply;
  readonly judgement: Judgement | undefined;
}

/** A reply, and the judgement that it was made after. */
export interface JudgedReply {
  readonly reply: EngineReply;
  readonly judgement: Judgement | undefined;
}

/** The place of a reply that is being made, and what it depends on. */
export interface HotPlace {
  readonly key: string;
  readonly entry: Entry;
  readonly revision: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/**
 * Replies to plain GETs of what is in memory, ready to be sent: the same headers and the same bytes for everybody within one
 * second. A reply is as good as its entry, the policy's revision and the second in which it was made (its `Age` counts
 * seconds), so none of it is decided anew for the thousands that ask meanwhile.
 */
export class HotReplies {
  readonly #parts: ReplyParts;
  readonly #replies = new Lru<HotReply>(MAX_BYTES, ({ size }) => size);

  constructor(parts: ReplyParts) {
    this.#parts = parts;
  }

  /** Finds the reply that was given to others a moment ago. */
  ready(context: RequestContext, resource: ArtifactResource | DocumentResource): EngineReply | undefined {
    const { decisions, definition, services } = this.#parts;
    const { request } = context;
    const entry = services.storage.entries.peek(definition.name, resource.key);
    if (entry === undefined || !isPlain(request)) return undefined;
    if (entry.attributes !== undefined && isForOthers(entry, resource)) return undefined;
    const key = this.#keyOf(context, resource, entry);
    const hot = key === undefined ? undefined : this.#replies.get(key);
    // The entry itself, not one like it: whatever changes an entry makes another object.
    if (hot?.entry !== entry || hot.revision !== services.policy.revision()) return undefined;
    const now = services.clock.now();
    if (now < hot.since || now >= hot.until) return undefined;
    const wanted = request.header('if-none-match');
    const etag = hot.notModified.headers['ETag'];
    const has = wanted !== undefined && etag !== undefined && noneMatch(wanted, etag);
    const reply = has ? hot.notModified : hot.reply;
    if (reply === undefined) return undefined;
    services.storage.entries.accessed(entry);
    decisions.record(context, resource, hot.judgement);
    return reply;
  }

  /** Finds the place of a reply before it is made: what is kept meanwhile makes another one. `undefined`: it is not kept ready. */
  placeOf(context: RequestContext, resource: ArtifactResource | DocumentResource, entry: Entry): HotPlace | undefined {
    const { clock, policy } = this.#parts.services;
    const key = isPlain(context.request) ? this.#keyOf(context, resource, entry) : undefined;
    return key === undefined ? undefined : { key, entry, revision: policy.revision(), since: clock.now() };
  }

  /**
   * Keeps a reply ready until its second is over, or it is no longer right. Only bodies that are in memory anyway.
   * @param validUntil milliseconds since the epoch
   */
  keep({ key, ...place }: HotPlace, validUntil: number, { reply, judgement }: JudgedReply): void {
    const whole = reply.status === 200 && Buffer.isBuffer(reply.body) ? reply.body : undefined;
    if (whole === undefined && (reply.status !== 304 || reply.headers['ETag'] === undefined)) return;
    const changesAt = judgement?.decision.nextChangeAt ?? Infinity;
    const until = Math.min(place.since - (place.since % 1000) + 1000, validUntil, changesAt);
    const { 'Content-Length': _length, ...headers } = reply.headers;
    const notModified: EngineReply = { status: 304, headers, outcome: reply.outcome };
    const size = (whole?.length ?? 0) + HEAD_BYTES;
    this.#replies.set(key, { ...place, until, size, reply: whole && reply, notModified, judgement });
  }

  /** Names the replies of one entry that are equal. `undefined`: it would have to be looked up. */
  #keyOf(
    { caller, request }: RequestContext,
    resource: ArtifactResource | DocumentResource,
    { coordinates = resource.coordinates }: Entry,
  ): string | undefined {
    const { contents, definition, services } = this.#parts;
    if (!resource.isRendered) {
      const key = plainKey(resource, caller.name);
      return resource.sidecar === true ? `${contents.mark(coordinates)} ${key}` : key;
    }
    const { keptBelow, variant = '' } = resource;
    const kept = keptBelow === undefined ? undefined : services.storage.entries.keys.peek(definition.name, keptBelow);
    if (keptBelow !== undefined && kept === undefined) return undefined;
    const encoding = acceptsGzip(request) ? 'gzip' : 'identity';
    const found = contents.mark(coordinates);
    return `${encoding} ${kept?.mark ?? ''} ${found} ${variant} ${request.baseUrl} ${resource.key}`;
  }
}

function plainKey({ key, replyHeaders }: ArtifactResource | DocumentResource, caller = ''): string {
  if (replyHeaders === undefined && caller === '') return key;
  return `${key}\n${caller}\n${JSON.stringify(replyHeaders ?? {})}`;
}

/** Whether `request` asks for the whole, perhaps only if it does not have that already. */
function isPlain(request: EngineRequest): boolean {
  if (request.method !== 'GET' || request.header('range') !== undefined) return false;
  // A date is looked at only where there is no tag (RFC 9110 §13.1.3).
  return request.header('if-none-match') !== undefined || request.header('if-modified-since') === undefined;
}
