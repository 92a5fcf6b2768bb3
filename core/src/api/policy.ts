import type { PackageCoordinates } from './coordinates.js';
import type { Digest } from './digest.js';
import type { ArtifactFacts, FactName } from './facts.js';
import type { Integrity } from './integrity.js';
import type { ScanReport } from './scanner.js';

/** What policy says, strongest first. */
export const ACTIONS = ['deny', 'hold', 'hide', 'warn', 'allow'] as const;

/** One of `ACTIONS`. `deny` and `hold` close every door, `hide` only leaves a version out of documents. */
export type PolicyAction = (typeof ACTIONS)[number];

/** What is known when a decision is asked for. */
export interface PolicyInput {
  /** `request`: before any byte of the artifact; `content`: its bytes are here and verified. */
  readonly stage: 'request' | 'content';
  readonly repository: { readonly name: string; readonly kind: 'proxy' | 'hosted' };
  readonly coordinates: PackageCoordinates;
  readonly facts: ArtifactFacts;
  /** When its bytes were first stored here; absent when they are not. Milliseconds since the epoch. */
  readonly storedAt?: number | undefined;
  /**
   * When a document that names it was first stored here, or its bytes were. Milliseconds since the epoch. `unknown`: it is a name for
   * bytes that nobody has looked for yet, so nothing is said of its age.
   */
  readonly firstSeenAt?: number | 'unknown' | undefined;
  /** Absent as long as the bytes are not known. */
  readonly digest?: Digest | undefined;
  /** Bytes. */
  readonly size?: number | undefined;
  /** What the ecosystem promised about the bytes, for indicators by hash. */
  readonly integrity?: readonly Integrity[] | undefined;
  /** What scanners said of these bytes; absent: nobody was asked yet. */
  readonly reports?: readonly ScanReport[] | undefined;
  /** Scanners that were asked and could not say; what they cannot judge is not clean. */
  readonly scanFailures?: readonly ScanFailure[] | undefined;
  /** Who asks; absent where it is not known, and for documents, which are made for everybody. */
  readonly caller?: string | undefined;
  /** The time of the decision; milliseconds since the epoch. */
  readonly now: number;
}

/** A scanner that could not say. */
export interface ScanFailure {
  readonly scanner: string;
  /** `unsupported`: it does not judge such things; `error`: it failed for good; `stale`: its database is too old. */
  readonly status: 'unsupported' | 'error' | 'stale';
}

/** A rule that fired. */
export interface FiredRule {
  readonly id: string;
  /** What follows from it: `allow` for a rule that is only watched (mode `audit`) or that another one overrides. */
  readonly action: PolicyAction;
  /** What would follow if it were enforced; only for one that is watched. */
  readonly wouldBe?: PolicyAction | undefined;
  /** For people; names no secret. */
  readonly reason: string;
  /** The advisories that made it fire. */
  readonly findings?: readonly string[] | undefined;
  /** One of them says that it is hostile. */
  readonly malicious?: boolean | undefined;
}

/** What happens while the reports on new bytes are not here. */
export interface FirstFetch {
  /** `hold`: their client waits; `allow`: it is served meanwhile; `deny`: it is refused meanwhile. */
  readonly action: 'allow' | 'hold' | 'deny';
  /** How long `hold` waits, in milliseconds. */
  readonly deadline: number;
  /** What follows when the reports are not here by then. `hold`: its client is told to come back. */
  readonly onTimeout: 'allow' | 'hold' | 'deny';
}

/** What policy said: the strongest action of all rules that fired, and those rules. No rule: `allow`. */
export interface PolicyDecision {
  readonly action: PolicyAction;
  readonly rules: readonly FiredRule[];
  /** The exceptions that kept rules from firing. */
  readonly exceptions?: readonly string[] | undefined;
  /** What it would be if every rule were enforced; absent when that is the same (modes `off` and `audit`). */
  readonly wouldBe?: PolicyAction | undefined;
  /** A rule waits for the reports of scanners: the decision stands only when they are here. */
  readonly pending?: boolean | undefined;
  /** The next instant at which the decision can change by time alone; milliseconds since the epoch. Absent: never. */
  readonly nextChangeAt?: number | undefined;
}

/** Judges. Pure and synchronous: the same input and revision give the same decision. Does not throw. */
export interface PolicyEngine {
  /** Changes whenever a decision could, other than by time. Part of the key of every rewritten document. */
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
