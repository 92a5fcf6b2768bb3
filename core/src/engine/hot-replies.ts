import type { Entry } from '../api/entry-index.js';
import type { EngineReply, EngineRequest } from './repository.js';
import { ByteLru } from './byte-lru.js';

/** How many replies are kept ready, over all of a repository. They hold no bodies of their own. */
const MAX_REPLIES = 4_096;

interface HotReply {
  readonly entry: Entry;
  readonly revision: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly reply: EngineReply;
}

/**
 * Replies to plain GETs of what is in memory, ready to be sent: the same headers and the same bytes for everybody within one
 * second. A reply is as good as its entry, the policy's revision and the second in which it was made (its `Age` counts
 * seconds), so none of it is decided anew for the thousands that ask meanwhile.
 */
export class HotReplies {
  readonly #replies = new ByteLru<HotReply>(MAX_REPLIES, () => 1);

  /** Whether `request` can be answered from here: it asks for the whole, whatever it has already. */
  static suits(request: EngineRequest): boolean {
    return (
      request.method === 'GET' &&
      request.header('if-none-match') === undefined &&
      request.header('range') === undefined &&
      request.header('if-modified-since') === undefined
    );
  }

  get(key: string, entry: Entry, revision: string, now: number): EngineReply | undefined {
    const hot = this.#replies.get(key);
    // The entry itself, not one like it: whatever changes an entry makes another object.
    return hot?.entry === entry && hot.revision === revision && now < hot.until ? hot.reply : undefined;
  }

  /** Keeps `reply` ready until the second is over, or until `freshUntil`. Only bodies that are in memory anyway. */
  set(key: string, entry: Entry, revision: string, now: number, freshUntil: number, reply: EngineReply): void {
    if (reply.status !== 200 || !Buffer.isBuffer(reply.body)) return;
    const until = Math.min(now - (now % 1000) + 1000, freshUntil);
    this.#replies.set(key, { entry, revision, until, reply });
  }
}
