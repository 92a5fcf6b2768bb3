import { EntrepotError } from '../../api/errors.js';
import { isPinned } from '../store/pinned-name.js';
import { HELD_TAIL } from '../store/spool.js';
import type { UpstreamReply } from '../upstream/query.js';
import { drain } from '../upstream/upstream-reply.js';
import type { Flight } from './flight.js';
import type { FlightContext, Stored } from './shared-flight.js';
import { contentLength, type Transfer } from './transfer.js';

/** Codes of bodies that are not what was asked for, besides broken promises. */
const WRONG: ReadonlySet<string> = new Set(['UPSTREAM_MALFORMED', 'UPSTREAM_MEDIA_TYPE', 'UPSTREAM_PAGE']);

/** The mirrors that are asked after one has sent wrong bytes. */
export class OtherMirrors {
  readonly #context: FlightContext;
  readonly #resource: Stored;
  readonly #transfer: Transfer;
  readonly #tried = new Set<string>();

  constructor(context: FlightContext, resource: Stored, transfer: Transfer) {
    this.#context = context;
    this.#resource = resource;
    this.#transfer = transfer;
  }

  /**
   * Asks the next mirror for a body, unless a client has seen bytes of this one. Whoever asks again gets it from there in any case.
   * @param error what is wrong with the body of `reply`
   * @returns `undefined`: there is no other one
   */
  async after(reply: UpstreamReply, error: unknown, flight: Flight): Promise<UpstreamReply | undefined> {
    const { upstreams } = this.#context;
    const { spool } = flight;
    const mirrors = upstreams.mirrors(this.#transfer.place);
    if (!isWrong(error) || flight.signal.aborted || mirrors < 2) return undefined;
    upstreams.distrust(reply.url);
    this.#tried.add(reply.url);
    if (this.#tried.size >= mirrors || spool === undefined || spool.followed || isPinned(this.#resource))
      return undefined;
    const other = await this.#transfer.request().catch(() => undefined);
    if (other === undefined) return undefined;
    // Clients may have been told the size of a large body.
    const isAsTold = contentLength(other) === contentLength(reply) || [other, reply].every(isSmall);
    if (this.#tried.has(other.url) || other.status !== 200 || !isAsTold) {
      drain(other);
      return undefined;
    }
    await spool.rewind();
    return other;
  }
}

function isSmall(reply: UpstreamReply): boolean {
  return (contentLength(reply) ?? Infinity) <= HELD_TAIL;
}

function isWrong(error: unknown): boolean {
  return error instanceof EntrepotError && (error.kind === 'integrity' || WRONG.has(error.code));
}
