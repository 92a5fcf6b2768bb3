import { isDeepStrictEqual } from 'node:util';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import type { Parsed } from '../../plugin/classes.js';
import type { DocumentResource } from '../request/resource.js';
import { Lru } from '../../formats/lru.js';
import { factsNow, factsOf, type DescriptionNow } from '../policy/facts.js';
import { untilAborted } from '../../formats/until-aborted.js';
import type { Descriptions } from './descriptions.js';
import type { Flights } from './flights.js';
import { freshnessRule } from './freshness.js';
import { isSource, sourceOf } from './known-descriptions.js';
import type { FlightContext, Stored } from './shared-flight.js';
import { LONGEST_TIMER } from './wait-limit.js';

/** After so long a document is asked for again for the sake of artifacts that are kept; milliseconds. */
const REFRESH_AFTER = 86_400_000;
const MAX_REFRESHED = 20_000;

/** The statement of a document about kept bytes. */
interface Statement {
  readonly isListed: boolean;
  readonly description: DescriptionNow;
  readonly factsFrom: string;
  /** Whether the document was read for it. */
  readonly wasRead: boolean;
}

/** Keeps the facts of kept bytes as their documents state them now. */
export class KeptFacts {
  readonly #context: FlightContext;
  readonly #flights: Flights;
  readonly #descriptions: Descriptions;
  /** When documents were last asked for, for the sake of what is kept. */
  readonly #refreshed = new Lru<number>(MAX_REFRESHED);

  constructor(context: FlightContext, flights: Flights, descriptions: Descriptions) {
    this.#context = context;
    this.#flights = flights;
    this.#descriptions = descriptions;
  }

  /** The digests of the documents that may describe `resource`, as far as memory knows. */
  documentOf(resource: Stored): Digest | undefined {
    const { definition, services } = this.#context;
    const digests = resource.describedBy.flatMap(
      ({ key }) => services.storage.entries.peek(definition.name, key)?.digest ?? [],
    );
    return digests.length === 0 ? undefined : (digests.join(' ') as Digest);
  }

  /**
   * Describes the kept bytes of `resource` by the document in force: from memory. It is read again only where nothing else
   * tells what policy wants to know. Changes are noted with the entry, for when memory has forgotten them.
   */
  async descriptionNow(resource: Stored, entry: Entry): Promise<DescriptionNow> {
    const { definition, services } = this.#context;
    const documents = resource.describedBy;
    if (documents.length === 0 || services.policy.needs().size === 0) return undefined;
    let isPartial = false;
    let absence: Statement | undefined;
    for (const document of documents) {
      try {
        const kept = await services.storage.entries.find(definition.name, document.key);
        if (kept === undefined) {
          isPartial = true;
          continue;
        }
        this.#refreshOld(document, kept);
        const statement = await this.#statement(document, kept, resource, entry);
        if (statement === undefined) return undefined;
        if (statement.isListed) return this.#noted(entry, statement);
        absence ??= statement;
      } catch (error) {
        services.logger.warn({ error, repository: definition.name, key: document.key }, 'a document cannot be read');
        return undefined;
      }
    }
    // A document that is not here could list it.
    if (isPartial || absence === undefined) return await this.#afterBrief(resource, entry);
    return this.#noted(entry, absence);
  }

  /** Finds the statement of `document`. `undefined`: the facts in the entry are from it. */
  async #statement(
    document: DocumentResource,
    kept: Entry,
    resource: Stored,
    entry: Entry,
  ): Promise<Statement | undefined> {
    const known = this.#descriptions.known(document, kept.digest);
    const isGone = kept.facts?.upstream === 'removed';
    const source: Digest = isGone ? `${kept.digest}-gone` : kept.digest;
    const needs = this.#context.services.policy.needs();
    if (known === undefined && isSource(entry.factsFrom, source, needs)) return undefined;
    const reading = known ?? (await this.#descriptions.reading(document, kept));
    const listed = reading.parsed.describe?.(resource.key);
    const found = listed ?? unlisted(resource, reading.parsed);
    return {
      isListed: listed !== undefined,
      description: isGone ? goneWith(found) : found,
      factsFrom: sourceOf(source, reading),
      wasRead: known === undefined,
    };
  }

  #noted(entry: Entry, { description, factsFrom, wasRead }: Statement): DescriptionNow {
    // Its document says more than nothing: it is not read again for that.
    this.#note(entry, description, factsFrom, wasRead);
    return description;
  }

  /**
   * Refreshes a document that was not requested for a long time, since clients with a lockfile only request its
   * artifacts: it tells which were taken down. In the background.
   */
  #refreshOld(document: DocumentResource, kept: Entry): void {
    const { definition, services } = this.#context;
    if (!services.policy.needs().has('upstream')) return;
    if (freshnessRule(this.#context, document).policy !== 'revalidate') return;
    const now = services.clock.now();
    if (now - Math.max(kept.checkedAt, this.#refreshed.get(document.key) ?? 0) < REFRESH_AFTER) return;
    this.#refreshed.set(document.key, now);
    this.#flights.join(document, kept).done.catch((error: unknown) => {
      services.logger.warn({ error, repository: definition.name, key: document.key }, 'a document cannot be refreshed');
    });
  }

  /** Describes bytes that came while no rule looked at facts: now one does, and the whole document is fetched. */
  async #afterBrief(resource: Stored, entry: Entry): Promise<DescriptionNow> {
    if (resource.describedBrieflyBy === undefined || resource.kind !== 'artifact' || entry.factsFrom !== undefined)
      return undefined;
    // The cached copy is served without waiting longer: the fetch goes on for later requests.
    const { staleAfter } = freshnessRule(this.#context, resource);
    const late = AbortSignal.timeout(Math.min(staleAfter, LONGEST_TIMER));
    try {
      const found = await untilAborted(this.#descriptions.describe(resource), late);
      if (found?.factsFrom !== undefined) this.#note(entry, found, found.factsFrom, true);
      return found;
    } catch (error) {
      const { logger } = this.#context.services;
      logger.warn({ error, repository: entry.repository, key: entry.key }, 'a kept copy cannot be described');
      return undefined;
    }
  }

  /**
   * Stores the current facts of a document, in the background.
   * @param wasRead whether the document was read for this, which is not to happen again for the same
   */
  #note(entry: Entry, description: DescriptionNow, factsFrom: string, wasRead: boolean): void {
    const facts =
      description === undefined
        ? entry.facts
        : 'unlisted' in description
          ? factsNow(entry, description)
          : factsOf(description);
    if (!wasRead && isDeepStrictEqual(facts ?? {}, entry.facts ?? {})) return;
    const { logger, storage } = this.#context.services;
    storage.entries
      .touch(entry, { checkedAt: entry.checkedAt, facts: facts ?? {}, factsFrom })
      .catch((error: unknown) => {
        logger.warn(
          { error, repository: entry.repository, key: entry.key },
          'facts from a document could not be stored',
        );
      });
  }
}

/** The same of a document that its upstream has no more: what it listed is gone with it. */
function goneWith(description: DescriptionNow): DescriptionNow {
  if (description === undefined) return { unlisted: { upstream: 'removed' } };
  if ('unlisted' in description) return description;
  return { ...description, upstream: description.upstream ?? 'removed' };
}

/** Gives the facts about kept bytes that their document does not list. */
function unlisted(resource: Stored, { unlisted: upstream }: Pick<Parsed, 'unlisted'>): DescriptionNow {
  if (upstream !== undefined) return { unlisted: upstream };
  const mustBeListed = resource.kind === 'artifact' && resource.descriptionOptional !== true;
  return mustBeListed ? { unlisted: { upstream: 'removed' } } : undefined;
}
