import type { RepositoryFacts } from '@entrepot/core';
import type { DirectRoute } from './direct.js';
import { modulePatterns, type ModulePatterns } from './module-match.js';

/** The place that a module comes from. */
export interface ModuleSource {
  /** The scope of the upstreams; `undefined`: those without one. */
  readonly scope: string | undefined;
  /** Whether its checksums are in the checksum database. */
  readonly verified: boolean;
  /** Whether it may be known beyond those who may read it. */
  readonly confidential: boolean;
  /** The route by which it is fetched from its repository, and from no upstream. */
  readonly direct?: DirectRoute | undefined;
}

/** Finds the source of a module by its path. `undefined`: it is not asked for anywhere. */
export type SourceOf = (path: string) => ModuleSource | undefined;

/** Settings that decide on the source of a module. */
export interface SourceSettings {
  readonly repository: RepositoryFacts;
  readonly hasDatabase: boolean;
  readonly unverified: ModulePatterns;
  readonly private: ModulePatterns;
  readonly routes: readonly DirectRoute[];
}

/** Verification of toolchains cannot be switched off by patterns (Go Toolchains, "Download"). */
const TOOLCHAIN = 'golang.org/toolchain';

/** The scope of upstreams that are the checksum database `name`: their URL is that of the database, or of `…/sumdb/<name>` at a proxy. */
export function databaseScope(name: string): string {
  return `sumdb/${name}`;
}

/**
 * Finds the source of a module by its path: a direct route that matches, else an upstream whose scope is a pattern that matches, else those without one.
 * `undefined` for a private module that has none: it is not asked for anywhere.
 */
export function createSources(settings: SourceSettings): SourceOf {
  const { repository, hasDatabase, unverified, private: confidential, routes } = settings;
  const scopes = new Map<string, ModulePatterns>();
  for (const { scope } of repository.upstreams) {
    if (scope !== undefined && !scope.startsWith('sumdb/')) scopes.set(scope, modulePatterns(scope));
  }
  return (path) => {
    const direct = path === TOOLCHAIN ? undefined : routes.find(({ match }) => match.matches(path));
    if (direct !== undefined) return { scope: undefined, verified: false, confidential: true, direct };
    const isPrivate = confidential.matches(path);
    const scope = [...scopes].find(([, patterns]) => patterns.matches(path))?.[0];
    if (isPrivate && scope === undefined) return undefined;
    const skipped = (isPrivate || unverified.matches(path)) && path !== TOOLCHAIN;
    return { scope, verified: hasDatabase && !skipped, confidential: isPrivate };
  };
}
