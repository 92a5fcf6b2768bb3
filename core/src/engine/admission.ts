import type { PackageCoordinates } from '../api/coordinates.js';
import { packageUrl } from '../api/coordinates.js';
import { EntrepotError } from '../api/errors.js';
import type { PolicyDecision, PolicyInput } from '../api/policy.js';
import type { ArtifactDescription } from '../api/protocol.js';
import type { EngineServices, RepositoryDefinition } from './repository.js';

/** The one place where policy is asked (architecture §6.8). */
export class Admission {
  readonly #definition: RepositoryDefinition;
  readonly #services: EngineServices;

  constructor(definition: RepositoryDefinition, services: EngineServices) {
    this.#definition = definition;
    this.#services = services;
  }

  /**
   * Asks policy before a resource is looked at, or when its bytes are here.
   * @throws EntrepotError `policy-denied` for `deny` and `hold`
   */
  require(
    stage: PolicyInput['stage'],
    coordinates: PackageCoordinates,
    description?: ArtifactDescription,
  ): PolicyDecision {
    const decision = this.#evaluate(stage, coordinates, description);
    if (decision.action !== 'deny' && decision.action !== 'hold') return decision;
    const reasons = decision.rules
      .filter(({ action }) => action === decision.action)
      .map(({ id, reason }) => `${reason} (rule ${id})`);
    throw new EntrepotError(
      'policy-denied',
      `${packageUrl(coordinates)} is ${decision.action === 'deny' ? 'denied' : 'held'}: ${reasons.join('; ')}`,
    );
  }

  /** Whether a version may be listed; `notice` is told the next instant at which that can change. */
  lists(
    coordinates: PackageCoordinates,
    description: ArtifactDescription | undefined,
    notice: (at: number) => void,
  ): boolean {
    const decision = this.#evaluate('request', coordinates, description);
    if (decision.nextChangeAt !== undefined) notice(decision.nextChangeAt);
    return decision.action === 'allow' || decision.action === 'warn';
  }

  #evaluate(
    stage: PolicyInput['stage'],
    coordinates: PackageCoordinates,
    description: ArtifactDescription | undefined,
  ): PolicyDecision {
    return this.#services.policy.evaluate({
      stage,
      repository: this.#definition.name,
      coordinates,
      publishedAt: description?.publishedAt,
      licenses: description?.licenses,
      deprecated: description?.deprecated,
      now: this.#services.clock.now(),
    });
  }
}
