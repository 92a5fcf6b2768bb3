import type { FreshnessRule, UpstreamLocation } from '@entrepot/core';
import type { RE2JS } from 're2js';
import type { ChecksumRule, Sidecar } from './checksum.js';

/** What a rule does with the paths that it matches. */
export type Policy = FreshnessRule['policy'] | 'deny';

/** One rule, however it was written. */
export interface Rule {
  /** How the operator finds it: `rules[2] "downloads/*.zip"`. */
  readonly label: string;
  /** Searched in the decoded path. Absent: matches every path. */
  readonly pattern?: RE2JS | undefined;
  readonly policy: Policy;
  /** What differs from the class, without the policy. */
  readonly freshness: Partial<FreshnessRule>;
  /** Which redirects clients are told of. Absent: those of directories. */
  readonly redirects?: UpstreamLocation['redirects'];
  readonly checksum?: ChecksumRule | undefined;
}

/** The rules of one repository, in order, and the one for paths that none of them matches. */
export interface RuleTable {
  readonly rules: readonly Rule[];
  readonly fallback: Rule;
  /** All that the rules name, each once. */
  readonly sidecars: readonly Sidecar[];
}

/** The table of `rules`. */
export function ruleTable(rules: readonly Rule[], fallback: Rule): RuleTable {
  const sidecars = new Map<string, Sidecar>();
  for (const { checksum } of rules) {
    if (checksum?.kind === 'sidecar') sidecars.set(`${checksum.sidecar.at} ${checksum.sidecar.name}`, checksum.sidecar);
  }
  return { rules, fallback, sidecars: [...sidecars.values()] };
}

/** The first rule that matches `path`. Linear in the length of `path` for every pattern. */
export function ruleFor({ rules, fallback }: RuleTable, path: string): Rule {
  return rules.find(({ pattern }) => pattern === undefined || pattern.test(path)) ?? fallback;
}
