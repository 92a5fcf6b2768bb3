import type { Digest } from '@entrepot/core';
import type { Spared } from '@entrepot/core/engine';

/** The most removals that a report lists by themselves. All are counted. */
export const LISTED = 1_000;

/** A version that was removed, or would be. */
export interface Removal {
  readonly name: string;
  /** Absent: it has none. */
  readonly version?: string | undefined;
  readonly digest: Digest;
  /** The rule that removed it, by its place. */
  readonly rule: number;
}

/** The work of a cleanup in one repository. It is true at any time while the cleanup goes on. */
export interface CleanupReport {
  readonly repository: string;
  /** Whether nothing was removed: the counts say what would be. */
  readonly dryRun: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Absent: it goes on. */
  endedAt?: number | undefined;
  /** Versions, and files and images without a version, that the rules were applied to. */
  looked: number;
  removed: number;
  kept: number;
  /**
   * Bytes of what was removed, each content once for each name, less what documents grew by. The disk has them back after the next
   * collection, unless something else needs them.
   */
  bytes: number;
  /** The rules in their order, for people, with the number that each removed. */
  readonly rules: { readonly rule: string; removed: number }[];
  /** The number of the kept that a rule would have removed, by the reason for which they stay. */
  readonly refused: Record<Spared | 'failed', number>;
  /** The first of those that were removed. */
  readonly removals: Removal[];
  /** The cause of an early end. Absent: it looked at everything. */
  error?: string | undefined;
}
