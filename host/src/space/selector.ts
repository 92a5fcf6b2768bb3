import { EntrepotError, messageOf, type PackageCoordinates } from '@entrepot/core';
import { isSameVersion } from '@entrepot/core/engine';
import { compileGlob } from '@entrepot/core/formats';
import { parsePackageUrl } from '../policy/inquiry.js';

/** An entry that may be selected. */
export interface Selectable {
  readonly repository: string;
  readonly key: string;
  readonly coordinates?: PackageCoordinates | undefined;
}

/** Entries that a package URL or a pattern names. */
export interface Selector {
  /** The package, where it is named by one. */
  readonly coordinates?: PackageCoordinates | undefined;
  /** The repository, where it is named by a pattern. */
  readonly repository?: string | undefined;
  /** The beginning of the keys, where it is named by a pattern. */
  readonly prefix: string;
  takes(entry: Selectable): boolean;
}

/**
 * Reads a subject: a package URL, with or without a version, or `<repository>/<glob over keys>`.
 * @throws EntrepotError `bad-request` for any other text
 */
export function parseSelector(subject: string): Selector {
  if (subject.startsWith('pkg:')) return packageSelector(parsePackageUrl(subject));
  const slash = subject.indexOf('/');
  if (slash < 1 || slash === subject.length - 1) {
    throw new EntrepotError(
      'bad-request',
      `expected a package URL such as pkg:npm/lodash@4.17.21, or <repository>/<pattern> such as npm/lodash/**, found ${JSON.stringify(subject.slice(0, 200))}`,
    );
  }
  const repository = subject.slice(0, slash);
  const pattern = subject.slice(slash + 1);
  const matches = globOf(pattern);
  return {
    repository,
    prefix: /^[^*?[{\\]*/.exec(pattern)?.[0] ?? '',
    takes: (entry) => entry.repository === repository && matches(entry.key),
  };
}

function packageSelector(coordinates: PackageCoordinates): Selector {
  const { ecosystem, name, version } = coordinates;
  return {
    coordinates,
    prefix: '',
    takes: ({ coordinates: found }) =>
      found?.ecosystem === ecosystem &&
      found.name === name &&
      (version === undefined || (found.version !== undefined && isSameVersion(ecosystem, found.version, version))),
  };
}

function globOf(pattern: string): (key: string) => boolean {
  try {
    return compileGlob(pattern);
  } catch (error) {
    throw new EntrepotError('bad-request', `the pattern ${JSON.stringify(pattern.slice(0, 200))}: ${messageOf(error)}`);
  }
}
