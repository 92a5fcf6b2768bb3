import type { PolicyAction } from '../api/policy.js';
import type { Severity } from '../api/scanner.js';

/** `off`: not evaluated. `audit`: evaluated and recorded, but served. `enforce`: acted on. Weakest first. */
export const POLICY_MODES = ['off', 'audit', 'enforce'] as const;

/** One of `POLICY_MODES`. */
export type PolicyMode = (typeof POLICY_MODES)[number];

/** The presets that a policy can start from. */
export const PRESET_NAMES = ['observe', 'balanced', 'strict', 'airgap'] as const;

/** One of `PRESET_NAMES`. */
export type PresetName = (typeof PRESET_NAMES)[number];

/** A span of time as the configuration writes it: `3d`, `12h`, `0s`. */
export type DurationText = string | number;

/** A number of bytes as the configuration writes it: `10MB`, `64KiB`, a plain number. */
export type SizeText = string | number;

/** One value, or any of several. */
export type OneOrMore<T> = T | readonly T[];

/** A policy as a file holds it: plain data, checked by `checkPolicy`. */
export interface PolicyDocument {
  readonly version: 1;
  /** Rules and defaults to start from. This document overrides them: rules by their id, defaults key by key. */
  readonly preset?: PresetName | undefined;
  /** Default: that of the preset, else `enforce`. */
  readonly mode?: PolicyMode | undefined;
  readonly defaults?: PolicyDefaults | undefined;
  /** Settings of single repositories that differ, by name. */
  readonly repositories?: Readonly<Record<string, RepositoryPolicy>> | undefined;
  readonly rules?: readonly PolicyRule[] | undefined;
}

/** Settings besides the rules. */
export interface PolicyDefaults {
  /** The action when a scanner failed, or its database is too old. Default: `allow`. */
  readonly onScanFailure?: FailureAction | undefined;
  readonly firstFetch?: FirstFetchRule | undefined;
  /**
   * The age of a version without a date. `first-seen` (default): since it was first seen here; `allow`: old enough;
   * `deny`: too young.
   */
  readonly unknownDate?: 'first-seen' | 'allow' | 'deny' | undefined;
  /** The start of a version's age: the date that the upstream claims (default), or when it was first seen here. */
  readonly ageSource?: 'upstream' | 'first-seen' | undefined;
}

export type FailureAction = 'allow' | 'warn' | 'hold' | 'deny';

/** The treatment of bytes that no scanner has judged yet, where a rule needs their reports. */
export interface FirstFetchRule {
  /**
   * `hold` (default): the request waits for the reports; `allow`: it is served meanwhile; `deny`: it is refused
   * meanwhile.
   */
  readonly action?: 'allow' | 'hold' | 'deny' | undefined;
  /** The longest wait of `hold`. Default: `25s`. */
  readonly deadline?: DurationText | undefined;
  /** The action when the deadline passes without reports. Default: `allow`. */
  readonly onTimeout?: 'allow' | 'hold' | 'deny' | undefined;
}

/** Settings of one repository that differ from the document's. */
export interface RepositoryPolicy {
  readonly mode?: PolicyMode | undefined;
  readonly onScanFailure?: FailureAction | undefined;
  readonly firstFetch?: FirstFetchRule | undefined;
}

/** One rule: its subjects, its condition and its action. */
export interface PolicyRule {
  /** Lower-case letters, digits, `-`; unique. */
  readonly id: string;
  /** The rule's subjects. Absent: everything. */
  readonly match?: RuleMatch | undefined;
  /** Absent: always. */
  readonly when?: Condition | undefined;
  /** The rule does not fire when this holds. */
  readonly unless?: Condition | undefined;
  /** Required, except in a rule that overrides one of the preset. */
  readonly action?: PolicyAction | undefined;
  /** Default: `enforce`. The weakest of file, repository and rule counts. */
  readonly mode?: PolicyMode | undefined;
  /**
   * The time for which versions that were stored before an advisory was published stay allowed after that; meanwhile the rule
   * warns. For rules on findings. Default: `0s`.
   */
  readonly grace?: DurationText | { readonly kept: DurationText } | undefined;
  /** Whether exceptions apply. Default: `allowed`. `two-approvers`: only those with two approvers. */
  readonly exceptions?: 'allowed' | 'two-approvers' | 'none' | undefined;
  /** For `allow`: the ids of the rules that it overrides. Without it, `allow` overrides nothing. */
  readonly override?: readonly string[] | undefined;
  /** For people; printed in front of the evidence. */
  readonly reason?: string | undefined;
}

/** The subjects of a rule. All keys must match, each by any of its entries. */
export interface RuleMatch {
  /** Names, with `*` for any characters. */
  readonly repositories?: readonly string[] | undefined;
  readonly kinds?: readonly ('proxy' | 'hosted')[] | undefined;
  /** Types of package URLs: `npm`, `pypi`, `golang` … */
  readonly ecosystems?: readonly string[] | undefined;
  /** Package URLs, with `*` for any characters: `pkg:npm/@acme/*`, `pkg:pypi/requests@2.32.0`. None: nothing. */
  readonly purl?: readonly string[] | undefined;
  /** Versions: as they are (`1.2.3`, `*-rc.*`) or ranges of numbers with dots (`>=1.0.0 <1.4.2`). */
  readonly versions?: readonly string[] | undefined;
  /** Package URLs that do not match. */
  readonly except?: readonly string[] | undefined;
}

/** A condition. All keys must hold. A key on an unknown fact neither holds nor fails, also under `not`. */
export interface Condition {
  readonly allOf?: readonly Condition[] | undefined;
  readonly anyOf?: readonly Condition[] | undefined;
  readonly not?: Condition | undefined;
  /** Whether an advisory marks it as malicious. */
  readonly malicious?: boolean | undefined;
  readonly age?: { readonly lt?: DurationText | undefined; readonly gte?: DurationText | undefined } | undefined;
  /** It has a finding that meets this. */
  readonly vuln?: VulnerabilityCondition | undefined;
  /** It fixes an advisory of other versions. Needs a scanner that can look up whole names. */
  readonly fixes?: { readonly severity: OneOrMore<string> } | undefined;
  readonly licenses?: LicenseCondition | undefined;
  readonly deprecated?: boolean | undefined;
  readonly yanked?: boolean | undefined;
  readonly upstream?: OneOrMore<'removed' | 'quarantined'> | undefined;
  readonly installScripts?: boolean | undefined;
  readonly newInstallScripts?: boolean | undefined;
  readonly exoticDependencies?: boolean | undefined;
  readonly newDependencies?: boolean | undefined;
  readonly provenance?: ProvenanceCondition | undefined;
  /** The state of the scanners' reports. Known once the bytes are here. */
  readonly scan?: { readonly status: OneOrMore<ScanStatus> } | undefined;
  /** Of the bytes. */
  readonly size?: { readonly gt?: SizeText | undefined; readonly lte?: SizeText | undefined } | undefined;
  /** An expression (CEL) over `ExpressionScope`. */
  readonly cel?: string | undefined;
}

/** A condition on one finding. All keys must hold. An empty one holds for any finding. */
export interface VulnerabilityCondition {
  /** A level (`high`), or all from one on (`>=high`, `<=low`). `unknown` only by name. */
  readonly severity?: OneOrMore<string> | undefined;
  readonly fixAvailable?: boolean | undefined;
  /** It is known to be exploited. */
  readonly kev?: boolean | undefined;
  readonly epss?: { readonly gte: number } | undefined;
  readonly cvss?: { readonly gte: number } | undefined;
  /** It is about the subject itself, not about something in it. */
  readonly direct?: boolean | undefined;
  /** It was matched exactly, not by a name that may be another's. */
  readonly exact?: boolean | undefined;
  readonly anyOf?: readonly VulnerabilityCondition[] | undefined;
  readonly allOf?: readonly VulnerabilityCondition[] | undefined;
  readonly not?: VulnerabilityCondition | undefined;
  /**
   * Only at the top level: more findings of a severity than this. Aliases count once; levels that are left out do not
   * count.
   */
  readonly counts?: Readonly<Partial<Record<Severity, number>>> | undefined;
}

/** SPDX identifiers, with `*` for any characters (`AGPL-*`). */
export interface LicenseCondition {
  /** Every choice of its licences includes one of these. */
  readonly deny?: readonly string[] | undefined;
  /** No choice of its licences consists of these alone. */
  readonly allow?: readonly string[] | undefined;
  /** It states no licence, or none in a form that SPDX defines. */
  readonly unknown?: boolean | undefined;
}

/** On a version's claim of how it was published. */
export interface ProvenanceCondition {
  readonly level?: OneOrMore<'none' | 'attested' | 'trusted-publisher'> | undefined;
  readonly downgraded?: boolean | undefined;
  readonly publisherChanged?: boolean | undefined;
}

/** The state of the reports on some bytes. Only the first two say something about the bytes. */
export type ScanStatus = 'clean' | 'findings' | 'unsupported' | 'error' | 'stale' | 'pending';
