import type { Digest } from '../../api/digest.js';
import { EntrepotError } from '../../api/errors.js';
import type { DocumentResource } from '../request/resource.js';
import type { JudgeContext } from '../policy/evaluation.js';
import { factsOf } from '../policy/facts.js';
import type { Judgement } from '../policy/judgement.js';
import { isJudgedByName } from '../policy/subject.js';
import { requireAllowed, requireSettled } from '../policy/verdict.js';
import { isPinned, type PinnedDocument } from '../store/pinned-name.js';
import type { ContentNames } from './content-names.js';
import type { LocatedDescription } from './described-place.js';
import type { Descriptions } from './descriptions.js';
import { namedNow } from './pinned-document.js';
import type { FlightContext, Stored } from './shared-flight.js';

/** Has policy judge resources before their bytes are here. */
export class FetchPolicy {
  readonly #context: FlightContext;
  readonly #descriptions: Descriptions;
  readonly #names: ContentNames;

  constructor(context: FlightContext, descriptions: Descriptions, names: ContentNames) {
    this.#context = context;
    this.#descriptions = descriptions;
    this.#names = names;
  }

  /** Whether the bytes are asked for along with their description: nothing that policy looks at is still to come. */
  startsEarly(resource: Stored): boolean {
    if (resource.kind !== 'artifact' || resource.describedFor !== undefined || resource.namedBy !== undefined)
      return false;
    if (!this.#descriptions.isBrief(resource)) return false;
    const { coordinates } = resource;
    if (coordinates === undefined) return true;
    return this.#context.judge(this.#anybody(), { kind: 'version', coordinates }).outcome === 'allow';
  }

  /**
   * Describes `resource` before its bytes are here, once policy has seen it. A document promises no bytes
   * of another one, and tells its facts alone.
   * @param known a description that the reply of the upstream has given
   * @throws EntrepotError as `describe`; Denial
   */
  async admitted(resource: Stored, known?: LocatedDescription): Promise<LocatedDescription | undefined> {
    const { description } = await this.judged(resource, this.#anybody(), known);
    if (resource.kind === 'artifact' || description === undefined) return description;
    const { coordinates, factsFrom } = description;
    return { ...factsOf(description), coordinates, factsFrom, integrity: [] };
  }

  /**
   * Has policy judge `resource`.
   * @param context of the one request that it is for; absent: it is for several
   * @param known its description; absent: it is looked for
   * @throws EntrepotError as `describe`; Denial when it is refused
   */
  async judged(
    resource: Stored,
    context: JudgeContext = this.#anybody(),
    known?: LocatedDescription,
  ): Promise<{ description?: LocatedDescription | undefined; judgement?: Judgement | undefined }> {
    const { judge } = this.#context;
    if (isJudgedByName(resource)) {
      requireAllowed(judge(context, { kind: 'name', coordinates: resource.coordinates }));
      return {};
    }
    await this.#names.require(resource);
    const description = known ?? (await this.described(resource));
    // The document knows what a file is, also under a name that does not say so.
    const coordinates = description?.coordinates ?? resource.coordinates;
    if (coordinates === undefined) return { description };
    if (resource.sidecar === true)
      await requireSettled(judge(context, { kind: 'sidecar', resource, coordinates, facts: description }));
    const digest = isPinned(resource) ? await this.#namedNow(resource, context) : undefined;
    const verdict = judge(context, { kind: 'version', resource, coordinates, description, digest });
    return { description, judgement: requireAllowed(verdict) };
  }

  /**
   * Finds the digest that a name stands for, where a rule counts ages: the name is as old as that content. `undefined`: not
   * known.
   */
  async #namedNow(resource: PinnedDocument, context: JudgeContext): Promise<Digest | undefined> {
    const { judge, definition, services, upstreams } = this.#context;
    const { coordinates } = resource;
    if (!services.policy.needs().has('publishedAt')) return undefined;
    // Nobody is asked for what is refused whatever it stands for.
    requireAllowed(judge(context, { kind: 'name', coordinates }));
    if (coordinates !== undefined) requireAllowed(judge(context, { kind: 'version', resource, coordinates }));
    const tooLate = AbortSignal.timeout(definition.limits.totalTimeout);
    return await namedNow(upstreams, resource, tooLate);
  }

  /** The context of a judgement that is for several requests. */
  #anybody(): JudgeContext {
    return { now: this.#context.services.clock.now() };
  }

  /** Describes `resource`, unjudged. */
  async described(resource: Stored): Promise<LocatedDescription | undefined> {
    return resource.kind === 'artifact' ? await this.#descriptions.describe(resource) : await this.#about(resource);
  }

  /** The description of a document in another one that only policy looks at; `undefined` while it cannot be had. */
  async #about(resource: DocumentResource): Promise<LocatedDescription | undefined> {
    if (resource.describedBy.length === 0) return undefined;
    try {
      const { key, describedBy, describedFor } = resource;
      return await this.#descriptions.describe({ key, describedBy, describedFor, descriptionOptional: true });
    } catch (error) {
      if (error instanceof EntrepotError && error.staleAllowed) return undefined;
      throw error;
    }
  }
}
