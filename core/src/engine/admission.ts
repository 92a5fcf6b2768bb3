import type { PackageCoordinates } from '../api/coordinates.js';
import { packageUrl } from '../api/coordinates.js';
import { EntrepotError } from '../api/errors.js';
import type { ArtifactFacts } from '../api/facts.js';
import type { PolicyAction, PolicyDecision, PolicyInput } from '../api/policy.js';
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
  require(stage: PolicyInput['stage'], coordinates: PackageCoordinates, facts: ArtifactFacts = {}): PolicyDecision {
    const decision = this.#evaluate(stage, coordinates, facts);
    if (decision.action !== 'deny' && decision.action !== 'hold') return decision;
    throw new EntrepotError('policy-denied', reasonOf(coordinates, decision));
  }

  /** Whether a version may be listed; `notice` is told the next instant at which that can change. */
  lists(coordinates: PackageCoordinates, facts: ArtifactFacts = {}, notice: (at: number) => void): boolean {
    const decision = this.#evaluate('request', coordinates, facts);
    if (decision.nextChangeAt !== undefined) notice(decision.nextChangeAt);
    return isListed(decision);
  }

  /** Why a version is not listed; `undefined` when it is. */
  refusal(coordinates: PackageCoordinates, facts: ArtifactFacts = {}): string | undefined {
    const decision = this.#evaluate('request', coordinates, facts);
    return isListed(decision) ? undefined : reasonOf(coordinates, decision);
  }

  #evaluate(stage: PolicyInput['stage'], coordinates: PackageCoordinates, facts: ArtifactFacts): PolicyDecision {
    const { name, kind } = this.#definition;
    const now = this.#services.clock.now();
    return this.#services.policy.evaluate({ stage, repository: { name, kind }, coordinates, facts, now });
  }
}

function isListed({ action }: PolicyDecision): boolean {
  return action === 'allow' || action === 'warn';
}

const DONE: Readonly<Record<PolicyAction, string>> = {
  deny: 'denied',
  hold: 'held',
  hide: 'hidden',
  warn: 'allowed with a warning',
  allow: 'allowed',
};

function reasonOf(coordinates: PackageCoordinates, { action, rules }: PolicyDecision): string {
  const reasons = rules.filter((rule) => rule.action === action).map(({ id, reason }) => `${reason} (rule ${id})`);
  return `${packageUrl(coordinates)} is ${DONE[action]}: ${reasons.join('; ')}`;
}
