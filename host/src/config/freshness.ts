import { defined } from '@entrepot/core/formats';
import { DEFAULT_FRESHNESS, type FreshnessRule } from '@entrepot/core';
import { type CacheClass, nearest } from '@entrepot/core/engine';
import type { ConfigurationProblem } from './configuration-error.js';
import type { FreshnessConfig } from './schema.js';

/**
 * The complete rule of every class of a plugin: the configuration's word, else the plugin's, else the default for its
 * kind. A problem names the class as `cache.<class>`, relative to the repository.
 * @param classes of the plugin
 * @param configured the repository's `cache`
 */
export function resolveFreshness(
  classes: Readonly<Record<string, CacheClass>>,
  configured: Readonly<Record<string, FreshnessConfig>>,
):
  | { readonly freshness: Readonly<Record<string, FreshnessRule>>; readonly problems?: undefined }
  | { readonly freshness?: undefined; readonly problems: readonly ConfigurationProblem[] } {
  const names = Object.keys(classes);
  const unknown = Object.keys(configured).filter((name) => !names.includes(name));
  if (unknown.length > 0) return { problems: unknown.map((name) => unknownClass(name, names)) };
  const freshness: Record<string, FreshnessRule> = {};
  for (const [name, { kind, freshness: own }] of Object.entries(classes)) {
    freshness[name] = { ...DEFAULT_FRESHNESS[kind], ...defined(own ?? {}), ...defined(configured[name] ?? {}) };
  }
  return { freshness };
}

function unknownClass(name: string, known: readonly string[]): ConfigurationProblem {
  const meant = nearest(name, known);
  const classes = `classes of this protocol: ${known.join(', ')}`;
  const hint = meant === undefined ? `the ${classes}` : `did you mean ${meant}? The ${classes}`;
  return { path: `cache.${name}`, message: `unknown class; ${hint}` };
}
