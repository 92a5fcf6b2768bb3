import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { ArtifactFacts, FactName } from './facts.js';
import type { Integrity } from './integrity.js';
import type { ScanReport } from './scanner.js';

/** Actions, strongest first. */
export const ACTIONS = ['deny', 'hold', 'hide', 'warn', 'allow'] as const;

/** One of `ACTIONS`. `deny` and `hold` refuse the bytes too; `hide` only leaves a version out of documents. */
export type PolicyAction = (typeof ACTIONS)[number];

/** The facts that a decision is based on. */
export interface PolicyInput {
  /** `request`: before any byte of the artifact; `content`: its bytes are here and verified. */
  readonly stage: 'request' | 'content';
  readonly repository: { readonly name: string; readonly kind: 'proxy' | 'hosted' };
  readonly coordinates: PackageCoordinates;
  readonly facts: ArtifactFacts;
  /** When its bytes were first stored here; absent when they are not. Milliseconds since the epoch. */
  readonly storedAt?: number | undefined;
  /**
   * When its bytes, or a document that names it, were first stored here. Milliseconds since the epoch. `unknown`: a
   * name for bytes that were never requested, so their age is unknown.
   */
  readonly firstSeenAt?: number | 'unknown' | undefined;
  /** Absent until the bytes are known. */
  readonly digest?: Digest | undefined;
  /** Bytes. */
  readonly size?: number | undefined;
  /** Checksums that the ecosystem promises, for indicators by hash. */
  readonly integrity?: readonly Integrity[] | undefined;
  /** Reports of scanners on these bytes. Absent: none was requested yet. */
  readonly reports?: readonly ScanReport[] | undefined;
  /** Scanners that failed, or that cannot judge such bytes. Neither counts as clean. */
  readonly scanFailures?: readonly ScanFailure[] | undefined;
  /** The caller's name. Absent for unknown callers and for documents, which are rendered for everybody. */
  readonly caller?: string | undefined;
  /** The time of the decision; milliseconds since the epoch. */
  readonly now: number;
}

/** A scanner without a result. */
export interface ScanFailure {
  readonly scanner: string;
  /** `unsupported`: it does not judge such things; `error`: it failed for good; `stale`: its database is too old. */
  readonly status: 'unsupported' | 'error' | 'stale';
}

/** A rule that fired. */
export interface FiredRule {
  readonly id: string;
  /** Its effect: `allow` for a rule that is only watched (mode `audit`) or that another one overrides. */
  readonly action: PolicyAction;
  /** Its effect if it were enforced. Only for a rule that is watched. */
  readonly wouldBe?: PolicyAction | undefined;
  /** For people; names no secret. */
  readonly reason: string;
  /** The advisories that made it fire. */
  readonly findings?: readonly string[] | undefined;
  /** Whether one of them marks it as malicious. */
  readonly malicious?: boolean | undefined;
}

/** The treatment of new bytes whose reports are pending. */
export interface FirstFetch {
  /** `hold`: the request waits; `allow`: the bytes are served meanwhile; `deny`: they are refused meanwhile. */
  readonly action: 'allow' | 'hold' | 'deny';
  /** The longest wait of `hold`, in milliseconds. */
  readonly deadline: number;
  /** The action when the deadline passes without reports. `hold`: the client is told to retry. */
  readonly onTimeout: 'allow' | 'hold' | 'deny';
}

/** A decision: the strongest action of all rules that fired, and those rules. `allow` when no rule fired. */
export interface PolicyDecision {
  readonly action: PolicyAction;
  readonly rules: readonly FiredRule[];
  /** The exceptions that kept rules from firing. */
  readonly exceptions?: readonly string[] | undefined;
  /** The action if every rule were enforced. Absent when it is the same (modes `off` and `audit`). */
  readonly wouldBe?: PolicyAction | undefined;
  /** Whether a rule waits for reports of scanners. The decision is final only once they are here. */
  readonly pending?: boolean | undefined;
  /** The next instant at which the decision can change by time alone; milliseconds since the epoch. Absent: never. */
  readonly nextChangeAt?: number | undefined;
}

/** Judges. Pure and synchronous: the same input and revision give the same decision. Does not throw. */
export interface PolicyEngine {
  /**
   * Changes whenever a decision could, other than by time. Part of the key of every rewritten document. Two servers with the same one decide
   * alike, but for what `firstSeenAt` makes of what each of them has seen.
   */
  revision(): string;
  evaluate(input: PolicyInput): PolicyDecision;
  /** The facts that some rule looks at. */
  needs(): ReadonlySet<FactName>;
  /** Whether any rule could refuse something. Absent: it could. */
  enforces?(): boolean;
  /** For a decision that is `pending` at the stage `content`. Absent: it is allowed. */
  firstFetch?(repository: string): FirstFetch;
}

/** The decision that nothing spoke against. */
export const ALLOWED: PolicyDecision = Object.freeze({ action: 'allow', rules: Object.freeze([]) });

/** The policy without rules. */
export const allowAll: PolicyEngine = {
  revision: () => 'none',
  evaluate: () => ALLOWED,
  needs: () => new Set(),
  enforces: () => false,
};
