import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { ScanReport } from './scanner.js';

/** What policy says, strongest first. */
export const ACTIONS = ['deny', 'hold', 'hide', 'warn', 'allow'] as const;

/** One of `ACTIONS`. `deny` and `hold` close every door, `hide` only leaves a version out of documents. */
export type PolicyAction = (typeof ACTIONS)[number];

/** What is known when a decision is asked for. Facts that are not known yet are absent, which is not the same as false. */
export interface PolicyInput {
  /** `request`: before any byte of the artifact; `content`: its bytes are here and verified. */
  readonly stage: 'request' | 'content';
  readonly repository: string;
  readonly coordinates: PackageCoordinates;
  /** When the ecosystem says it was published; milliseconds since the epoch. */
  readonly publishedAt?: number | undefined;
  /** SPDX expressions. */
  readonly licenses?: readonly string[] | undefined;
  readonly deprecated?: boolean | undefined;
  readonly digest?: Digest | undefined;
  readonly reports?: readonly ScanReport[] | undefined;
  /** The time of the decision; milliseconds since the epoch. */
  readonly now: number;
}

/** A rule that fired. */
export interface FiredRule {
  readonly id: string;
  readonly action: PolicyAction;
  /** For people; names no secret. */
  readonly reason: string;
}

/** What policy said: the strongest action of all rules that fired, and those rules. No rule: `allow`. */
export interface PolicyDecision {
  readonly action: PolicyAction;
  readonly rules: readonly FiredRule[];
  /** The next instant at which the decision can change by time alone; milliseconds since the epoch. Absent: never. */
  readonly nextChangeAt?: number | undefined;
}

/** Judges. Pure and synchronous: the same input and revision give the same decision. Does not throw. */
export interface PolicyEngine {
  /** Changes whenever a decision could, other than by time. Part of the key of every rewritten document. */
  revision(): string;
  evaluate(input: PolicyInput): PolicyDecision;
}

/** The decision that nothing spoke against. */
export const ALLOWED: PolicyDecision = Object.freeze({ action: 'allow', rules: [] });

/** The policy without rules. */
export const allowAll: PolicyEngine = { revision: () => 'none', evaluate: () => ALLOWED };
