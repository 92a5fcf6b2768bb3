import { Lru } from '../../formats/lru.js';
import type { DocumentResource, StoredResource } from '../request/resource.js';
import { contentOf } from '../store/content.js';
import { located, type LocatedDescription } from './described-place.js';
import { verifiedHeaders } from './kept-headers.js';
import type { FlightContext } from './shared-flight.js';
import { drain, readBody } from '../upstream/upstream-reply.js';
import { placeOf } from '../upstream/query.js';

/** The number of brief documents that are remembered. */
const MAX_BRIEFS = 10_000;
/** The time for which one is good: that of one installation; milliseconds. */
const GOOD_FOR = 60_000;
/** The largest brief document that is taken. Bytes. */
const MAX_BYTES = 1024 * 1024;
/** A brief document that takes longer than this is not waited for; milliseconds. */
const PATIENCE = 10_000;
/** The time for which an upstream that has no brief documents is not asked for them; milliseconds. */
const NOT_ASKED_FOR = 600_000;

type Described = Pick<StoredResource, 'key'> & Pick<Partial<StoredResource>, 'describedBrieflyBy'>;

interface Brief {
  readonly until: number;
  readonly description: Promise<LocatedDescription | undefined>;
}

/**
 * Descriptions from brief documents, which promise one artifact where the whole document is a hundred times as large. They
 * are asked for in its place while policy needs none of the facts that only the whole has. They are not kept: the promises
 * about an artifact are stored with its entry.
 */
export class BriefDescriptions {
  readonly #context: FlightContext;
  readonly #known = new Lru<Brief>(MAX_BRIEFS);
  /** When the upstreams of a scope may be asked again. */
  readonly #notAsked = new Map<string, number>();

  constructor(context: FlightContext) {
    this.#context = context;
  }

  /** Whether a brief document may say what `artifact` is. */
  suffices({ describedBrieflyBy: document }: Described): boolean {
    const { definition, services } = this.#context;
    if (document === undefined || services.policy.needs().size > 0) return false;
    if ((this.#notAsked.get(document.upstreamScope ?? '') ?? -Infinity) > services.clock.monotonic()) return false;
    // Of several upstreams one that has no such documents would lead on to the next, which may know other bytes by this name.
    return definition.upstreams.filter(({ scope }) => scope === document.upstreamScope).length === 1;
  }

  /**
   * Finds the description of `artifact` in its brief document. `undefined`: there is none, so the whole document has to be
   * asked.
   */
  async find(artifact: Described): Promise<LocatedDescription | undefined> {
    const { describedBrieflyBy: document, key } = artifact;
    if (document === undefined || !this.suffices(artifact)) return undefined;
    const now = this.#context.services.clock.monotonic();
    const known = this.#known.get(document.key);
    if (known !== undefined && known.until > now) return await known.description;
    const description = this.#fetch(document, key);
    this.#known.set(document.key, { until: now + GOOD_FOR, description });
    return await description;
  }

  /** The whole document had `version`: where the brief one of `artifact` is of just that, its upstream has none. */
  missed({ describedBrieflyBy: document }: Described, version: string | undefined): void {
    if (document === undefined || document.coordinates?.version !== version) return;
    this.#notAsked.set(document.upstreamScope ?? '', this.#context.services.clock.monotonic() + NOT_ASKED_FOR);
  }

  /** Asks for all of them anew. */
  forgetAll(): void {
    this.#known.clear();
    this.#notAsked.clear();
  }

  async #fetch(document: DocumentResource, key: string): Promise<LocatedDescription | undefined> {
    const { definition, services, upstreams } = this.#context;
    try {
      const reply = await upstreams.fetch({
        method: 'GET',
        ...placeOf(document),
        headers: { accept: document.accept ?? '*/*', 'accept-encoding': 'identity' },
        signal: AbortSignal.timeout(PATIENCE),
        skipUnhealthy: false,
      });
      if ((reply.headers['content-encoding'] ?? 'identity') !== 'identity') {
        drain(reply);
        return undefined;
      }
      const bytes = await readBody(reply, reply.url, MAX_BYTES);
      const content = contentOf(bytes.length, reply.headers['content-type'] ?? '', () => [bytes]);
      const headers = verifiedHeaders(document, reply.headers);
      const read = (): Promise<never> => Promise.reject(new Error('a brief document stands alone'));
      const parsed = await document.parse(content, { needs: new Set(), headers, read });
      return located(parsed.describe?.(key), reply.finalUrl.href);
    } catch (error) {
      services.logger.debug?.({ error, repository: definition.name, key: document.key }, 'no brief description');
      return undefined;
    }
  }
}
