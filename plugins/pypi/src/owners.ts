import { EntrepotError, type RepositoryFacts } from '@entrepot/core';
import { compileNamePattern } from '@entrepot/core/formats';
import type { OwnerRule } from './options.js';

/** The scope whose upstreams alone are asked for a project; `undefined`: those without a scope. */
export type OwnerOf = (project: string) => string | undefined;

/**
 * Compiles the rules of ownership. The first rule that matches decides, for every route: a name of one upstream is
 * never requested from another, even when that one does not have it or is down.
 * @throws EntrepotError `configuration` for a rule that names no upstream, and an upstream that no rule names
 */
export function createOwners({ name, upstreams }: RepositoryFacts, rules: readonly OwnerRule[]): OwnerOf {
  const scopes = new Set(upstreams.flatMap(({ scope }) => (scope === undefined ? [] : [scope])));
  for (const { upstream } of rules) {
    if (scopes.has(upstream)) continue;
    const known = [...scopes].join(', ') || 'none';
    throw new EntrepotError(
      'configuration',
      `repositories.${name}.owners: expected the scope of an upstream (${known}), found ${upstream}`,
    );
  }
  for (const scope of scopes) {
    if (rules.some(({ upstream }) => upstream === scope)) continue;
    throw new EntrepotError('configuration', `repositories.${name}.owners: no rule gives names to the scope ${scope}`);
  }
  const compiled = rules.map(({ match, upstream }) => ({ fits: match.map(projectPattern), upstream }));
  return (project) => compiled.find(({ fits }) => fits.some((fit) => fit(project)))?.upstream;
}

/** Whether a normalised name fits `pattern`: `*` stands for any characters, the rest is compared as names are. */
export function projectPattern(pattern: string): (project: string) => boolean {
  return compileNamePattern(pattern.toLowerCase().replace(/[-_.]+/g, '-'));
}
