import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import type { DocumentResource } from '../request/resource.js';
import { Lru } from '../../formats/lru.js';
import { WorkTurns } from '../../formats/work-turns.js';
import { requireAllowed, type Refusal } from '../policy/verdict.js';
import { nameOf } from '../store/pinned-name.js';
import type { Descriptions } from './descriptions.js';
import type { FlightContext, Stored } from './shared-flight.js';

/** The number of names of bytes that are looked at. */
const MAX_NAMES = 500;
/** The number of names that are remembered for when the index is out of reach. */
const MAX_LAST_NAMES = 20_000;

/** The kept names of bytes that are asked for by digest: policy judges these by them. */
export class ContentNames {
  readonly #context: FlightContext;
  readonly #descriptions: Descriptions;
  readonly #lastNames = new Lru<readonly Entry[]>(MAX_LAST_NAMES, (names) => names.length + 1);

  constructor(context: FlightContext, descriptions: Descriptions) {
    this.#context = context;
    this.#descriptions = descriptions;
  }

  /** @throws Denial when every name under which these bytes are kept is refused */
  async require(resource: Stored): Promise<void> {
    const namedBy = resource.kind === 'artifact' ? resource.namedBy : undefined;
    if (namedBy === undefined) return;
    const { judge, services } = this.#context;
    const anybody = { now: services.clock.now() };
    const names = await this.#find(namedBy.key);
    const turns = new WorkTurns();
    let refusal: Refusal | undefined;
    for (const entry of names) {
      // Entries that are in memory give other requests no turn by themselves.
      await turns.pause();
      if (!(await this.#isNamedBy(namedBy, entry, resource))) continue;
      const verdict = judge(anybody, { kind: 'part', namedBy: entry });
      if (verdict.outcome === 'allow') return;
      refusal ??= verdict;
    }
    if (refusal !== undefined) requireAllowed(refusal);
  }

  forgetAll(): void {
    this.#lastNames.clear();
  }

  /** The kept documents below `prefix`; as they were when the index was last in reach. */
  async #find(prefix: string): Promise<readonly Entry[]> {
    const { definition, services } = this.#context;
    try {
      const names = await services.entries.list(definition.name, { prefix, limit: MAX_NAMES });
      this.#lastNames.set(prefix, names);
      return names;
    } catch (error) {
      const known = this.#lastNames.get(prefix);
      if (known === undefined) throw error;
      services.logger.warn({ error, repository: definition.name, prefix }, 'the index cannot be read');
      return known;
    }
  }

  /** Whether the kept document `entry` is a name of `resource`, or of what it is a part of. */
  async #isNamedBy(namedBy: DocumentResource, entry: Entry, resource: Stored): Promise<boolean> {
    if (askedDigest(resource) === nameOf(entry)) return true;
    try {
      return (
        (await this.#descriptions.reading(namedBy.at(entry.key), entry)).parsed.describe?.(resource.key) !== undefined
      );
    } catch (error) {
      const { repository, key } = entry;
      this.#context.services.logger.warn({ error, repository, key }, 'a document cannot be read');
      return false;
    }
  }
}

/** The digest that `resource` is asked for by. */
function askedDigest(resource: Stored): Digest | undefined {
  const sum =
    resource.kind === 'artifact' ? resource.integrity?.find(({ algorithm }) => algorithm === 'sha256') : undefined;
  return sum && `sha256:${sum.hex}`;
}
