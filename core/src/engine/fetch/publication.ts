import type { Entry, EntryRenewal, Fence } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import { isPinned, nameOf } from '../store/pinned-name.js';
import type { Spool } from '../store/spool.js';
import { withoutQuery, type UpstreamReply } from '../upstream/query.js';
import { chosenBy } from './asking.js';
import { isLeaseLost } from './cluster-part.js';
import { forbidsStoring, freshnessRule } from './freshness.js';
import { keptHeaders } from './kept-headers.js';
import { bareMediaType } from '../store/content.js';
import { isUnsettled } from './media-type.js';
import { putBlob, putEntry } from './publish.js';
import type { FlightContext, FlightResult, Stored } from './shared-flight.js';

/** Resource that is fetched, and where it goes. */
export interface FetchPlan {
  readonly resource: Stored;
  /** The kept copy that is revalidated. */
  readonly kept?: Entry | undefined;
  /** Parts that are kept: blob and entry, the blob alone (its entry is published with others), or nothing. */
  readonly keep: 'entry' | 'blob' | 'nothing';
}

/** Puts fetched bytes into the stores, and renews what they have. */
export class Publication {
  readonly #context: FlightContext;
  readonly #plan: FetchPlan;

  constructor(context: FlightContext, plan: FetchPlan) {
    this.#context = context;
    this.#plan = plan;
  }

  /** Makes the entry of a body. */
  entry(
    reply: UpstreamReply,
    kept: Readonly<Record<string, string>>,
    known: Pick<Entry, 'digest' | 'size' | 'mediaType' | 'integrity' | 'coordinates' | 'facts' | 'factsFrom'>,
  ): Entry {
    const { definition, services } = this.#context;
    const { resource } = this.#plan;
    const now = services.clock.now();
    const chosen = chosenBy(resource, reply.headers['vary']);
    return {
      ...known,
      repository: definition.name,
      key: resource.key,
      headers: {
        ...kept,
        ...nameHeader(resource, known),
        ...(chosen && { vary: Object.keys(chosen).join(', ') }),
      },
      attributes: chosen && { chosenBy: chosen },
      etag: reply.headers['etag'],
      lastModified: reply.headers['last-modified'],
      // Relative links of a document are relative to where it was found (RFC 3986 §5.1.3), after any redirect.
      upstreamUrl: withoutQuery(resource.kind === 'document' ? reply.finalUrl.href : reply.url),
      fetchedAt: now,
      checkedAt: now,
      expiresAt: this.#expiry(now),
    };
  }

  /** When a copy that the upstream confirmed at `now` is too old. */
  #expiry(now: number): number | undefined {
    const { expireAfter } = freshnessRule(this.#context, this.#plan.resource);
    return expireAfter === Infinity ? undefined : now + expireAfter;
  }

  /**
   * Whether clients may have the whole before it is kept: an artifact where the ecosystem promised just these bytes, since no copy
   * that another replica keeps meanwhile can be a different one, and a new document, of which the last copy counts. Others are kept
   * first, for then the first copy stays.
   */
  mayGoAhead({ integrity }: Entry): boolean {
    const { keep, kept, resource } = this.#plan;
    if (keep !== 'entry' || kept !== undefined) return false;
    if (resource.kind === 'artifact') return integrity.length > 0;
    // Of several processes that fetch it, one alone says what is in force.
    return resource.isRendered && !isPinned(resource) && this.#context.services.cluster === undefined;
  }

  /**
   * Keeps a body, as far as rules and room let it.
   * @throws EntrepotError with the code `LEASE_LOST` when another process has the lease that `fence` names by now
   */
  async publish(
    reply: UpstreamReply,
    spool: Spool,
    entry: Entry,
    isForbidden: () => boolean,
    fence?: Fence,
  ): Promise<FlightResult> {
    const { definition, services } = this.#context;
    const { resource, keep, kept } = this.#plan;
    const { respectNoStore } = freshnessRule(this.#context, resource);
    const forbidden = isForbidden() || (respectNoStore && forbidsStoring(reply.headers['cache-control']));
    if (keep !== 'nothing' && !forbidden && spool.isWhole) {
      try {
        await putBlob(services, entry, spool);
        if (keep === 'blob') return { kind: 'stored', entry };
        // It may have been purged meanwhile.
        if (!isForbidden()) return { kind: 'stored', entry: await putEntry(services, resource, entry, kept, fence) };
      } catch (error) {
        if (isLeaseLost(error) || (error instanceof EntrepotError && error.kind === 'integrity')) throw error;
        // The clients have, or get, their verified bytes; that nothing was kept is the operator's concern. Of bounds they are told once.
        const isBounded = error instanceof EntrepotError && error.code === 'NO_ROOM';
        services.logger[isBounded ? 'debug' : 'error'](
          { error, repository: definition.name, key: resource.key },
          'a fetched body could not be stored',
        );
      }
    }
    return { kind: 'unstored', entry, content: spool.content(entry.mediaType) };
  }

  /** Renews the kept copy by a 304. */
  async renewBy(reply: UpstreamReply, kept: Entry): Promise<FlightResult> {
    return await this.renew(kept, {
      etag: reply.headers['etag'],
      lastModified: reply.headers['last-modified'],
      // Fields that it sends replace those that are kept, others stay (RFC 9111 §3.2).
      headers: { ...kept.headers, ...keptHeaders(this.#plan.resource, reply.headers) },
      mediaType: this.#confirmedMediaType(kept, reply),
    });
  }

  /** The media type by a 304. Servers that make their errors and pages by a default type send that here, too. */
  #confirmedMediaType(kept: Entry, reply: UpstreamReply): string {
    const { resource } = this.#plan;
    const said = reply.headers['content-type'];
    if (said === undefined || isUnsettled(resource, said)) return kept.mediaType;
    const type = bareMediaType(said);
    const isExpected = resource.expectedMediaTypes?.includes(type) ?? type !== 'text/html';
    return isExpected ? said : kept.mediaType;
  }

  /** Renews the kept copy: the upstream has just confirmed it. */
  async renew(kept: Entry, validators: Omit<EntryRenewal, 'checkedAt'> = {}): Promise<FlightResult> {
    const { storage, clock } = this.#context.services;
    const checkedAt = clock.now();
    const renewed = await storage.entries.touch(kept, {
      checkedAt,
      expiresAt: this.#expiry(checkedAt),
      ...validators,
      ...isBack(kept),
    });
    return { kind: 'renewed', entry: renewed ?? { ...kept, checkedAt } };
  }

  /** Lets the name stand for bytes that are kept already. */
  async rename(found: Entry): Promise<FlightResult> {
    const { services } = this.#context;
    const now = services.clock.now();
    const entry = { ...found, key: this.#plan.resource.key, fetchedAt: now, checkedAt: now };
    await services.storage.entries.replace(entry).catch((error: unknown) => {
      // The content that the name stands for now is stored, and is served.
      services.logger.error({ error, repository: entry.repository, key: entry.key }, 'a name could not be stored');
    });
    return { kind: 'stored', entry };
  }

  /** Notes that a cached document is gone from the upstream, and what it listed with it. In the background. */
  noteGone(): void {
    const { resource, kept } = this.#plan;
    if (resource.kind !== 'document' || kept === undefined || isPinned(resource)) return;
    if (kept.facts?.upstream === 'removed') return;
    const { logger, storage } = this.#context.services;
    storage.entries
      .touch(kept, { checkedAt: kept.checkedAt, facts: { ...kept.facts, upstream: 'removed' } })
      .catch((error: unknown) => {
        logger.warn(
          { error, repository: kept.repository, key: kept.key },
          'the removal of a document could not be noted',
        );
      });
  }
}

/** The facts of a document that the upstream had no more, and has again. */
function isBack({ facts }: Entry): Pick<EntryRenewal, 'facts'> {
  if (facts?.upstream !== 'removed') return {};
  const { upstream: _gone, ...others } = facts;
  return { facts: others };
}

/** The header that states the name of bytes whose digest is another one. */
function nameHeader({ digestHeader }: Stored, entry: Pick<Entry, 'digest' | 'integrity'>): Record<string, string> {
  const name = nameOf(entry);
  return digestHeader === undefined || name === entry.digest ? {} : { [digestHeader.toLowerCase()]: name };
}
