import type { AnyDeclaredPlugin, VersionFacts } from '@entrepot/core';
import { sideOf } from '@entrepot/core/engine';
import { compileNamePattern, printDuration } from '@entrepot/core/formats';
import { namePatterns } from '../access/name-patterns.js';
import type { ConfigurationProblem } from '../config/configuration-error.js';
import type { CleanupConfig } from '../config/schema.js';

type RuleConfig = CleanupConfig['rules'][number];

/** A rule that is ready to be applied. Durations are in milliseconds. */
export interface CleanupRule extends Pick<RuleConfig, 'keepVersions' | 'notDownloadedFor' | 'prereleasesOlderThan'> {
  /** The rule for people: `keepVersions: 3`. */
  readonly text: string;
  fitsName(name: string): boolean;
  /** @param version absent: it has none */
  fitsVersion(version: string | undefined): boolean;
}

/** The cleanup of a repository as its configuration and its format say it. */
export interface CleanupPlan extends Pick<CleanupConfig, 'interval' | 'batchSize'> {
  readonly rules: readonly CleanupRule[];
  /** Absent: the format has no versions. */
  readonly versions: VersionFacts | undefined;
}

/**
 * Makes the rules of a repository ready.
 * @param path of the cleanup in the configuration
 * @returns a plan, or every problem with patterns and with what the format cannot do
 */
export function planCleanup(
  path: string,
  { interval, batchSize, rules }: CleanupConfig,
  plugin: AnyDeclaredPlugin,
): { readonly plan?: CleanupPlan; readonly problems: readonly ConfigurationProblem[] } {
  const hooks = sideOf(plugin, 'hosted')?.cleanup;
  if (hooks === undefined)
    return { problems: [{ path, message: `${plugin.id} has no cleanup of hosted repositories; remove it` }] };
  const { versions } = hooks;
  const problems: ConfigurationProblem[] = [];
  const ready = rules.map((rule, index) => {
    const refuse = (key: keyof RuleConfig, message: string): void =>
      void problems.push({ path: `${path}.rules.${index}.${key}`, message });
    for (const key of ['versions', 'keepVersions', 'prereleasesOlderThan'] as const) {
      if (versions !== undefined || rule[key] === undefined) continue;
      refuse(key, `${plugin.id} knows no versions; remove it, and use notDownloadedFor`);
    }
    if (versions !== undefined && versions.isPrerelease === undefined && rule.prereleasesOlderThan !== undefined)
      refuse('prereleasesOlderThan', `${plugin.id} knows no prereleases; name them in versions, as in pr-*`);
    return readyRule(rule, plugin, (message) => refuse('names', message));
  });
  if (problems.length > 0) return { problems };
  return { plan: { interval, batchSize, rules: ready, versions }, problems };
}

function readyRule(rule: RuleConfig, plugin: AnyDeclaredPlugin, refuse: (message: string) => void): CleanupRule {
  const { names, versions, ...conditions } = rule;
  const patterns = versions?.map((pattern) => compileNamePattern(pattern));
  return {
    ...conditions,
    text: textOf(rule),
    fitsName: names === undefined ? () => true : fitting(names),
    fitsVersion: (version) =>
      patterns === undefined || (version !== undefined && patterns.some((fits) => fits(version))),
  };

  function fitting(patternsOfNames: readonly string[]): CleanupRule['fitsName'] {
    try {
      return namePatterns(patternsOfNames, plugin.names?.pattern);
    } catch (error) {
      refuse((error as Error).message);
      return () => false;
    }
  }
}

function textOf({ names, versions, keepVersions, notDownloadedFor, prereleasesOlderThan }: RuleConfig): string {
  const parts = [
    names && `names: ${names.join(' ')}`,
    versions && `versions: ${versions.join(' ')}`,
    keepVersions && `keepVersions: ${keepVersions}`,
    notDownloadedFor && `notDownloadedFor: ${printDuration(notDownloadedFor)}`,
    prereleasesOlderThan && `prereleasesOlderThan: ${printDuration(prereleasesOlderThan)}`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}
