import type { StoredVersion, VersionFacts } from '@entrepot/core';
import type { DueVersion } from '@entrepot/core/engine';
import { compareText } from '@entrepot/core/formats';
import type { CleanupPlan, CleanupRule } from './plan-cleanup.js';

/** A version as rules look at it. */
export interface UsedVersion {
  readonly version: StoredVersion;
  /** The time of its last upload or download; milliseconds since the epoch. */
  readonly usedAt: number;
}

/** A version that rules remove. */
export interface Judged extends DueVersion {
  /** The first rule that does, by its place. */
  readonly rule: number;
  /** The versions that stay in its place: it does not go where one of them is gone. */
  readonly standing: readonly StoredVersion[];
}

const NONE: readonly StoredVersion[] = [];

/**
 * Applies rules to versions. Pure.
 * @param versions all of one name, or of several
 * @param now milliseconds since the epoch
 */
export function judgeVersions(
  { rules, versions: facts = {} }: Pick<CleanupPlan, 'rules' | 'versions'>,
  versions: readonly UsedVersion[],
  now: number,
): readonly Judged[] {
  const due = new Map<UsedVersion, Judged>();
  for (const [index, rule] of rules.entries()) {
    const meant = versions.filter(({ version }) => rule.fitsName(version.name) && rule.fitsVersion(version.version));
    const standing = standingOf(rule, meant, facts);
    const unusedSince = rule.notDownloadedFor === undefined ? undefined : now - rule.notDownloadedFor;
    const kept = new Set([...(standing?.values() ?? [])].flat());
    for (const one of meant) {
      const { version, usedAt } = one;
      if (due.has(one) || (standing !== undefined && (version.version === undefined || kept.has(version)))) continue;
      if (unusedSince !== undefined && usedAt > unusedSince) continue;
      if (!isOldPrerelease(rule, version, facts, now)) continue;
      due.set(one, { version, rule: index, unusedSince, standing: standing?.get(version.name) ?? NONE });
    }
  }
  return versions.flatMap((one) => due.get(one) ?? []);
}

/** Whether the condition on prereleases lets a version go. */
function isOldPrerelease(
  { prereleasesOlderThan }: CleanupRule,
  { version, entry }: StoredVersion,
  facts: VersionFacts,
  now: number,
): boolean {
  if (prereleasesOlderThan === undefined) return true;
  if (version === undefined || facts.isPrerelease?.(version) !== true) return false;
  return entry.fetchedAt <= now - prereleasesOlderThan;
}

/** Finds the versions of each name that `keepVersions` keeps. `undefined`: the rule has no such condition. */
function standingOf(
  { keepVersions }: CleanupRule,
  versions: readonly UsedVersion[],
  facts: VersionFacts,
): ReadonlyMap<string, readonly StoredVersion[]> | undefined {
  if (keepVersions === undefined) return undefined;
  const own = versions.flatMap(({ version }) => (version.version === undefined ? [] : [version]));
  const byName = Map.groupBy(own, ({ name }) => name);
  return new Map(
    Array.from(byName, ([name, some]) => [name, newestFirst(some, facts).slice(0, keepVersions)] as const),
  );
}

/** Sorts versions by their order; what is none by that order is older than any. Those that are the same: by their uploads. */
function newestFirst(versions: readonly StoredVersion[], { order }: VersionFacts): readonly StoredVersion[] {
  const parsed = versions.map((version) => ({ version, key: order?.parse(version.version as string) }));
  parsed.sort((one, other) => {
    if (order !== undefined && one.key !== undefined && other.key !== undefined)
      return order.compare(other.key, one.key) || laterFirst(one.version, other.version);
    return Number(one.key === undefined) - Number(other.key === undefined) || laterFirst(one.version, other.version);
  });
  return parsed.map(({ version }) => version);
}

function laterFirst(one: StoredVersion, other: StoredVersion): number {
  return other.entry.fetchedAt - one.entry.fetchedAt || compareText(other.entry.key, one.entry.key);
}
