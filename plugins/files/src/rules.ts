import type { FreshnessRule } from '@entrepot/core';
import type { RE2JS } from 're2js';
import type { ChecksumRule } from './checksum.js';

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
  readonly checksum?: ChecksumRule | undefined;
}

/** The rules of one repository, in order, and the one for paths that none of them matches. */
export interface RuleTable {
  readonly rules: readonly Rule[];
  readonly fallback: Rule;
}

/** The first rule that matches `path`. Linear in the length of `path` for every pattern. */
export function ruleFor({ rules, fallback }: RuleTable, path: string): Rule {
  return rules.find(({ pattern }) => pattern === undefined || pattern.test(path)) ?? fallback;
}
