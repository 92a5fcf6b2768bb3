import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import type { Judgement } from '../policy/judgement.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import { Lru } from '../../formats/lru.js';
import { noneMatch } from './range.js';

/** The bound on the bodies of ready replies of one repository, in bytes: they outlive what other caches drop. */
const MAX_BYTES = 16 * 1024 * 1024;
/** The weight of a reply besides its body, in bytes. */
const HEAD_BYTES = 1024;

interface HotReply {
  readonly entry: Entry;
  readonly revision: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
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

/** When a reply was made, and until when it is right; milliseconds since the epoch. */
export interface HotTime {
  readonly now: number;
  readonly until: number;
}

/** Names the replies of one entry that are equal, where it is sent as it is kept. */
export function plainHotKey({ key, replyHeaders }: ArtifactResource | DocumentResource, caller = ''): string {
  if (replyHeaders === undefined && caller === '') return key;
  return `${key}\n${caller}\n${JSON.stringify(replyHeaders ?? {})}`;
}

/**
 * Replies to plain GETs of what is in memory, ready to be sent: the same headers and the same bytes for everybody within one
 * second. A reply is as good as its entry, the policy's revision and the second in which it was made (its `Age` counts
 * seconds), so none of it is decided anew for the thousands that ask meanwhile.
 */
export class HotReplies {
  readonly #replies = new Lru<HotReply>(MAX_BYTES, ({ size }) => size);

  /** Whether `request` can be answered from here: it asks for the whole, perhaps only if it does not have that already. */
  static suits(request: EngineRequest): boolean {
    if (request.method !== 'GET' || request.header('range') !== undefined) return false;
    // A date is looked at only where there is no tag (RFC 9110 §13.1.3).
    return request.header('if-none-match') !== undefined || request.header('if-modified-since') === undefined;
  }

  get(key: string, request: EngineRequest, entry: Entry, revision: string, now: number): JudgedReply | undefined {
    const hot = this.#replies.get(key);
    // The entry itself, not one like it: whatever changes an entry makes another object.
    if (hot?.entry !== entry || hot.revision !== revision || now < hot.since || now >= hot.until) return undefined;
    const wanted = request.header('if-none-match');
    const etag = hot.notModified.headers['ETag'];
    const has = wanted !== undefined && etag !== undefined && noneMatch(wanted, etag);
    const reply = has ? hot.notModified : hot.reply;
    return reply && { reply, judgement: hot.judgement };
  }

  /** Keeps `reply` ready until the second is over, or it is no longer right. Only bodies that are in memory anyway. */
  set(key: string, entry: Entry, revision: string, time: HotTime, { reply, judgement }: JudgedReply): void {
    const whole = reply.status === 200 && Buffer.isBuffer(reply.body) ? reply.body : undefined;
    if (whole === undefined && (reply.status !== 304 || reply.headers['ETag'] === undefined)) return;
    const changesAt = judgement?.decision.nextChangeAt ?? Infinity;
    const until = Math.min(time.now - (time.now % 1000) + 1000, time.until, changesAt);
    const { 'Content-Length': _length, ...headers } = reply.headers;
    const notModified: EngineReply = { status: 304, headers, outcome: reply.outcome };
    const size = (whole?.length ?? 0) + HEAD_BYTES;
    const ready = whole === undefined ? undefined : reply;
    this.#replies.set(key, { entry, revision, since: time.now, until, size, reply: ready, notModified, judgement });
  }
}
