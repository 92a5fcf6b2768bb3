import type { Entry } from '../../api/entry-index.js';
import type { EntrepotError } from '../../api/errors.js';
import { Spool } from '../store/spool.js';
import type { SpoolSpace } from '../store/spool-space.js';
import {
  shuttingDown,
  type ArrivingDocument,
  type FlightHead,
  type FlightResult,
  type SharedFlight,
} from './shared-flight.js';

/**
 * The events of one shared fetch. It belongs to no client: it goes on when the first one hangs up, has its own time limit, and
 * ends by itself. `head` says that bytes are coming, `done` that they are verified and (if they may be) kept.
 */
export class Flight implements SharedFlight {
  readonly #spools: SpoolSpace;
  readonly #abort = new AbortController();
  readonly #head = Promise.withResolvers<FlightHead | undefined>();
  readonly #done = Promise.withResolvers<FlightResult>();
  readonly #ahead = Promise.withResolvers<Entry | undefined>();
  readonly #arriving = Promise.withResolvers<ArrivingDocument | undefined>();
  /** Called when nothing of it is to be kept any more. */
  whenOutdated: () => void = () => {};
  #endAhead: (() => void) | undefined;
  #isOutdated = false;
  #spool: Spool | undefined;
  /** The flight itself, and every request that works with it. */
  #users = 1;

  constructor(spools: SpoolSpace) {
    this.#spools = spools;
    // Whoever waits hears of it; a flight that nobody waits for any more must not end the process.
    this.head.catch(() => {});
    // Last of all: whoever hears of it and asks again starts a new flight.
    this.done.catch((failure: EntrepotError) => this.#spool?.fail(failure));
  }

  /** Resolves with `undefined` when there is no new body: the kept copy was confirmed. */
  get head(): Promise<FlightHead | undefined> {
    return this.#head.promise;
  }

  get done(): Promise<FlightResult> {
    return this.#done.promise;
  }

  /** Resolves with the entry of bytes that clients may have before they are kept. */
  get ahead(): Promise<Entry | undefined> {
    return this.#ahead.promise;
  }

  /** Resolves with a document that can be rendered although it is still arriving. */
  get arriving(): Promise<ArrivingDocument | undefined> {
    return this.#arriving.promise;
  }

  get isAhead(): boolean {
    return this.#endAhead !== undefined;
  }

  /** Whether nothing of it is to be kept. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  get wanted(): boolean {
    return this.#users > 1 || this.#spool?.followed === true;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  retain(): void {
    this.#users += 1;
  }

  /** The counterpart of `retain`. A stream that follows the spool needs no `retain` of its own. */
  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await this.#spool?.release();
  }

  outdate(): void {
    this.#isOutdated = true;
    this.whenOutdated();
  }

  abort(reason = shuttingDown()): void {
    this.#abort.abort(reason);
  }

  /** The spool of the body. Absent: none has begun. */
  get spool(): Spool | undefined {
    return this.#spool;
  }

  /** Makes the spool of the body. @param size that it is said to have, in bytes. Absent: it is not known */
  beginSpool(size?: number): Spool {
    return this.useSpool(new Spool(this.#spools, size));
  }

  /** Takes `spool` for the body, in place of the one before. */
  useSpool(spool: Spool): Spool {
    return (this.#spool = spool);
  }

  /** Tells the head. `undefined`: there is no body to follow. */
  announce(head: FlightHead | undefined): void {
    this.#head.resolve(head);
  }

  /** Lets clients have the whole body while it is being kept. Ignored where too much is being kept already. */
  letAhead(entry: Entry): void {
    this.#endAhead = this.#spools.beginAhead();
    if (this.#endAhead === undefined) return;
    this.#spool?.seal();
    this.#ahead.resolve(entry);
    // All of it is here.
    this.#arriving.resolve(undefined);
  }

  /** Lets clients have a document while it arrives. */
  letArrive(document: ArrivingDocument): void {
    this.#arriving.resolve(document);
  }

  /** Ends with the result of `steps`. */
  endWith(steps: Promise<FlightResult>): void {
    this.#closed(steps).then(this.#done.resolve, this.#done.reject);
  }

  async #closed(steps: Promise<FlightResult>): Promise<FlightResult> {
    try {
      return await steps;
    } catch (failure) {
      this.#head.reject(failure);
      throw failure;
    } finally {
      this.#ahead.resolve(undefined);
      this.#arriving.resolve(undefined);
      this.#endAhead?.();
      await this.release();
    }
  }
}
