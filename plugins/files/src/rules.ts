import type { FreshnessRule } from '@entrepot/core';
import type { ChecksumRule, Sidecar } from './checksum.js';

export type Policy = FreshnessRule['policy'] | 'deny';

/** One rule, however it was written. */
export interface Rule {
  /** Its name for the operator: `rules[2] "downloads/*.zip"`. */
  readonly label: string;
  /** Whether it is for a decoded path. Absent: for every path. */
  readonly matches?: ((path: string) => boolean) | undefined;
  readonly policy: Policy;
  /** Freshness that differs from the class, without the policy. */
  readonly freshness: Partial<FreshnessRule>;
  /** The redirects that clients see. Absent: those of directories. */
  readonly redirects?: 'follow' | 'directories' | 'pass' | undefined;
  readonly checksum?: ChecksumRule | undefined;
}

/** A rule at its place in the table. */
export interface PlacedRule extends Rule {
  readonly index: number;
}

/** The rules of one repository, in order; the last one is for paths that none of the others matches. */
export interface RuleTable {
  readonly rules: readonly [...PlacedRule[], PlacedRule];
  /** The sum files that the rules name, each once. */
  readonly sidecars: readonly Sidecar[];
}

/** Makes the table of `rules`. */
export function ruleTable(rules: readonly Rule[], fallback: Rule): RuleTable {
  const sidecars = new Map<string, Sidecar>();
  for (const { checksum } of rules) {
    if (checksum?.kind === 'sidecar') sidecars.set(`${checksum.sidecar.at} ${checksum.sidecar.name}`, checksum.sidecar);
  }
  const placed = [...rules, fallback].map((rule, index) => ({ ...rule, index }));
  return { rules: placed as [...PlacedRule[], PlacedRule], sidecars: [...sidecars.values()] };
}

/** Finds the first rule that matches `path`. Linear in the length of `path` for every pattern. */
export function ruleFor({ rules }: RuleTable, path: string): PlacedRule {
  return rules.find(({ matches }) => matches === undefined || matches(path)) as PlacedRule;
}
