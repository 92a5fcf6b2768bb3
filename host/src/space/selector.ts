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

/** Entries that a package URL, a pattern or a request path names. */
export interface Selector {
  /** The package, where it is named by one. */
  readonly coordinates?: PackageCoordinates | undefined;
  /** The repository, where it is named by a pattern or a path. */
  readonly repository?: string | undefined;
  /** The beginning of the keys, where it is named by a pattern. */
  readonly prefix: string;
  /** The keys, where it is named by a path. */
  readonly keys?: readonly string[] | undefined;
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
      `expected a package URL such as pkg:npm/lodash@4.17.21, <repository>/<pattern> such as npm/**, or the path or URL of a request such as /npm/lodash; found ${quoted(subject)}`,
    );
  }
  const repository = subject.slice(0, slash);
  const pattern = subject.slice(slash + 1);
  const matches = globOf(pattern);
  return {
    repository,
    // A glob says nothing by a slash in front.
    prefix: /^[^*?[{\\]*/.exec(pattern.replace(/^\//, ''))?.[0] ?? '',
    takes: (entry) => entry.repository === repository && matches(entry.key),
  };
}

/** Selects the entries with these keys. */
export function keysSelector(repository: string, keys: readonly string[]): Selector {
  return {
    repository,
    prefix: '',
    keys,
    takes: (entry) => entry.repository === repository && keys.includes(entry.key),
  };
}

/** Writes the subject that stands for these keys alone. */
export function subjectOfKeys(repository: string, keys: readonly string[]): string {
  const patterns = keys.map((key) => key.replaceAll(/[*?[\]{}\\,]|^[/!]/g, String.raw`\$&`));
  return `${repository}/${patterns.length === 1 ? patterns[0] : `{${patterns.join(',')}}`}`;
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
    throw new EntrepotError('bad-request', `the pattern ${quoted(pattern)}: ${messageOf(error)}`);
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
