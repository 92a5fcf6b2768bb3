import type { PolicyAction } from '../api/policy.js';
import type { Severity } from '../api/scanner.js';

/** `off`: not looked at. `audit`: decided and recorded, but served. `enforce`: acted on. Weakest first. */
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
  /** Rules and defaults to start from: what stands in this document goes over them, rules by their id, key by key. */
  readonly preset?: PresetName | undefined;
  /** Default: that of the preset, else `enforce`. */
  readonly mode?: PolicyMode | undefined;
  readonly defaults?: PolicyDefaults | undefined;
  /** What is different in single repositories, by name. */
  readonly repositories?: Readonly<Record<string, RepositoryPolicy>> | undefined;
  readonly rules?: readonly PolicyRule[] | undefined;
}

/** What holds where no rule says otherwise. */
export interface PolicyDefaults {
  /** What follows when a scanner failed, or its database is too old. Default: `allow`. */
  readonly onScanFailure?: FailureAction | undefined;
  readonly firstFetch?: FirstFetchRule | undefined;
  /** The age of what has no date of its own. `first-seen` (default): since it was first seen here; `allow`: old enough; `deny`: too young. */
  readonly unknownDate?: 'first-seen' | 'allow' | 'deny' | undefined;
  /** What an age is counted from: the date that the upstream claims (default), or when it was first seen here. */
  readonly ageSource?: 'upstream' | 'first-seen' | undefined;
}

/** What a failed scan leads to. */
export type FailureAction = 'allow' | 'warn' | 'hold' | 'deny';

/** What happens to bytes that no scanner has judged yet, where a rule asks for their reports. */
export interface FirstFetchRule {
  /** `hold` (default): its client waits for the reports; `allow`: it is served meanwhile; `deny`: it is refused meanwhile. */
  readonly action?: 'allow' | 'hold' | 'deny' | undefined;
  /** How long `hold` waits. Default: `25s`. */
  readonly deadline?: DurationText | undefined;
  /** What follows when the reports are not here by then. Default: `allow`. */
  readonly onTimeout?: 'allow' | 'hold' | 'deny' | undefined;
}

/** What is different in one repository. */
export interface RepositoryPolicy {
  readonly mode?: PolicyMode | undefined;
  readonly onScanFailure?: FailureAction | undefined;
  readonly firstFetch?: FirstFetchRule | undefined;
}

/** One rule: where it looks, when it fires, and what follows. */
export interface PolicyRule {
  /** Lower-case letters, digits, `-`; unique. */
  readonly id: string;
  /** What it is about. Absent: everything. */
  readonly match?: RuleMatch | undefined;
  /** Absent: always. */
  readonly when?: Condition | undefined;
  /** Does not fire when this is so. */
  readonly unless?: Condition | undefined;
  /** Needed, but for a rule that goes over one of the preset. */
  readonly action?: PolicyAction | undefined;
  /** Default: `enforce`. The weakest of file, repository and rule counts. */
  readonly mode?: PolicyMode | undefined;
  /**
   * How long what was kept before an advisory was published works on after that; meanwhile the rule warns. For rules on
   * findings. Default: `0s`.
   */
  readonly grace?: DurationText | { readonly kept: DurationText } | undefined;
  /** Whether exceptions keep it from firing. Default: `allowed`; `two-approvers`: those that two people approved. */
  readonly exceptions?: 'allowed' | 'two-approvers' | 'none' | undefined;
  /** For `allow`: the ids of the rules that it beats. Without it, `allow` beats nothing. */
  readonly override?: readonly string[] | undefined;
  /** For people; stands before what was found. */
  readonly reason?: string | undefined;
}

/** What a rule is about: all of these at once, any entry of each. */
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
  /** Package URLs that it is not about. */
  readonly except?: readonly string[] | undefined;
}

/** What has to be so: all of these at once. What is not known is neither so nor not so, also under `not`. */
export interface Condition {
  readonly allOf?: readonly Condition[] | undefined;
  readonly anyOf?: readonly Condition[] | undefined;
  readonly not?: Condition | undefined;
  /** An advisory says that it is hostile. */
  readonly malicious?: boolean | undefined;
  readonly age?: { readonly lt?: DurationText | undefined; readonly gte?: DurationText | undefined } | undefined;
  /** It has a finding like this. */
  readonly vuln?: VulnerabilityCondition | undefined;
  /** It fixes an advisory of other versions. Needs a scanner that knows whole names. */
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
  /** What scanners said of the bytes. Known when they are here. */
  readonly scan?: { readonly status: OneOrMore<ScanStatus> } | undefined;
  /** Of the bytes. */
  readonly size?: { readonly gt?: SizeText | undefined; readonly lte?: SizeText | undefined } | undefined;
  /** An expression (CEL) over `ExpressionScope`. */
  readonly cel?: string | undefined;
}

/** What one finding has to be: all of these at once. An empty one is any finding. */
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
  /** Only at the top: there are more than so many of a severity; aliases count once, levels that are left out do not count. */
  readonly counts?: Readonly<Partial<Record<Severity, number>>> | undefined;
}

/** SPDX identifiers, with `*` for any characters (`AGPL-*`). */
export interface LicenseCondition {
  /** It cannot be had without one of these. */
  readonly deny?: readonly string[] | undefined;
  /** It cannot be had with these alone. */
  readonly allow?: readonly string[] | undefined;
  /** It says nothing of its licence, or nothing that SPDX knows the form of. */
  readonly unknown?: boolean | undefined;
}

/** On how a version says that it was published. */
export interface ProvenanceCondition {
  readonly level?: OneOrMore<'none' | 'attested' | 'trusted-publisher'> | undefined;
  readonly downgraded?: boolean | undefined;
  readonly publisherChanged?: boolean | undefined;
}

/** The state of the reports on some bytes. Only the first two say something about the bytes. */
export type ScanStatus = 'clean' | 'findings' | 'unsupported' | 'error' | 'stale' | 'pending';
