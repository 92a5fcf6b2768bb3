import { packageUrl, type PackageCoordinates } from '../api/coordinates.js';
import { FACT_NAMES, type FactName } from '../api/facts.js';
import {
  ACTIONS,
  type FiredRule,
  type PolicyAction,
  type PolicyDecision,
  type PolicyEngine,
  type PolicyInput,
} from '../api/policy.js';

/** Its rules may look at anything. */
const ALL_FACTS: ReadonlySet<FactName> = new Set(FACT_NAMES);

/** A rule of a `FixedPolicy`. */
export interface FixedRule {
  readonly id: string;
  readonly action: PolicyAction;
  readonly reason: string;
  /** As in `FiredRule`. */
  readonly malicious?: boolean;
  /** Whether the rule fires. Pure. */
  matches(input: PolicyInput): boolean;
}

/** A policy from a list of rules: all are evaluated, the strongest action wins. */
export class FixedPolicy implements PolicyEngine {
  #rules: readonly FixedRule[];
  #revision = 1;

  constructor(rules: readonly FixedRule[] = []) {
    this.#rules = [...rules];
  }

  revision(): string {
    return String(this.#revision);
  }

  needs(): ReadonlySet<FactName> {
    return ALL_FACTS;
  }

  evaluate(input: PolicyInput): PolicyDecision {
    const fired = this.#rules.filter((rule) => rule.matches(input)).map(toFiredRule);
    const action = ACTIONS.find((candidate) => fired.some((rule) => rule.action === candidate)) ?? 'allow';
    return { action, rules: fired };
  }

  /** Puts other rules in force, under a new revision. */
  setRules(rules: readonly FixedRule[]): void {
    this.#rules = [...rules];
    this.#revision += 1;
  }
}

/** Denies whatever `matches`, in the name of a kit. */
export function denying(matches: FixedRule['matches'], malicious = false): FixedRule {
  return { id: 'kit', action: 'deny', reason: 'denied by the kit', malicious, matches };
}

/** Denies one version. */
export function denyingVersion(coordinates: PackageCoordinates, malicious = false): FixedRule {
  const url = packageUrl(coordinates);
  return denying((input) => packageUrl(input.coordinates) === url, malicious);
}

function toFiredRule({ id, action, reason, malicious }: FixedRule): FiredRule {
  return { id, action, reason, ...(malicious !== undefined && { malicious }) };
}
