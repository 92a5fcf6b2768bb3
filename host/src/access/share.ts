import { Lru } from '@entrepot/core/formats';
import type { ShareConfig } from '../config/schema.js';

/** The most callers of one share that are remembered. Who has not asked for the longest time is forgotten, and begins anew. */
const MAX_CALLERS = 10_000;
/** The burst where none is configured, in seconds of the rate. */
const USUAL_BURST = 10;

/**
 * The share that each caller has by itself, in requests and in bytes. Token buckets, each held as the time until which its caller has
 * taken tokens in advance (GCRA): a bucket is a number, and refills without being touched.
 */
export class Share {
  /** Milliseconds that one request, one byte takes of a share. 0: they are not counted. */
  readonly perRequest: number;
  readonly perByte: number;
  /** Milliseconds by which a caller may be ahead before a request is refused. */
  readonly requestsAhead: number;
  readonly bytesAhead: number;
  readonly #where: string;
  readonly #config: ShareConfig;
  readonly #uses = new Lru<Use>(MAX_CALLERS);

  /** @param where whose share it is, in messages */
  constructor(where: string, config: ShareConfig) {
    const { requests, burst, bytes, byteBurst } = config;
    this.#where = where;
    this.#config = config;
    this.perRequest = requests === undefined ? 0 : 1000 / requests;
    this.perByte = bytes === undefined ? 0 : 1000 / bytes;
    this.requestsAhead = this.perRequest * (Math.max(1, burst ?? (requests ?? 0) * USUAL_BURST) - 1);
    this.bytesAhead = byteBurst === undefined ? USUAL_BURST * 1000 : this.perByte * byteBurst;
  }

  /** The part of it that `caller` has used. */
  of(caller: string): Use {
    let use = this.#uses.get(caller);
    if (use === undefined) {
      use = new Use(this, caller);
      this.#uses.set(caller, use);
    }
    return use;
  }

  /** Says that `caller` has had it. */
  refusal(caller: string, counted: 'requests' | 'bytes'): string {
    const most = counted === 'requests' ? this.#config.requests : this.#config.bytes;
    return `Too many ${counted} of ${caller}: ${this.#where} lets one caller have ${most} a second`;
  }
}

/** The use that one caller makes of a share. Changed in place: nothing is allocated for a request. Times are of the monotonic clock. */
export class Use {
  readonly #share: Share;
  readonly #caller: string;
  #requestsUntil = 0;
  #bytesUntil = 0;

  constructor(share: Share, caller: string) {
    this.#share = share;
    this.#caller = caller;
  }

  /** Milliseconds until another request is within the share. 0 or less: it is now. */
  wait(now: number): number {
    const { requestsAhead, bytesAhead } = this.#share;
    return Math.max(this.#requestsUntil - now - requestsAhead, this.#bytesUntil - now - bytesAhead);
  }

  take(now: number): void {
    this.#requestsUntil = Math.max(this.#requestsUntil, now) + this.#share.perRequest;
  }

  /** Counts bytes that were sent. They may be more than the share: then what follows waits for longer. */
  spend(bytes: number, now: number): void {
    this.#bytesUntil = Math.max(this.#bytesUntil, now) + this.#share.perByte * bytes;
  }

  /** Why a request is refused now. */
  refusal(now: number): string {
    const { requestsAhead, bytesAhead } = this.#share;
    const isByBytes = this.#bytesUntil - now - bytesAhead > this.#requestsUntil - now - requestsAhead;
    return this.#share.refusal(this.#caller, isByBytes ? 'bytes' : 'requests');
  }
}
