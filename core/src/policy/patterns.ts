import type { PackageCoordinates } from '../api/coordinates.js';
import { compileNamePattern } from '../formats/glob.js';
import { isPlainText } from '../api/plain-text.js';
import { compileVersions } from './version-order.js';

/** Whether something is what a pattern says. */
export type Matcher<T> = (subject: T) => boolean;

/** The parts of `pkg:npm/@acme/*` or `pkg:npm/%40acme/x@1.*`, the name as its ecosystem compares it; `undefined` when it is no such pattern. */
export function parsePackagePattern(text: string): PackageCoordinates | undefined {
  const match = /^pkg:([a-z][a-z0-9.+-]*)\/([^?#\s]+)$/.exec(text);
  if (match === null) return undefined;
  const [, ecosystem, path] = match as unknown as [string, string, string];
  const decoded = decode(path);
  // No registry can name a package with `%00` or half a surrogate pair.
  if (decoded === undefined || !isPlainText(decoded)) return undefined;
  const at = decoded.lastIndexOf('@');
  // The `@` of a scope begins a name or a part of one.
  if (at <= 0 || decoded[at - 1] === '/') return { ecosystem, name: normalName(ecosystem, decoded) };
  const version = decoded.slice(at + 1);
  return version === '' ? undefined : { ecosystem, name: normalName(ecosystem, decoded.slice(0, at)), version };
}

/** A matcher for patterns that `parsePackagePattern` knows; which of them it was. */
export function compilePackages(patterns: readonly string[]): (coordinates: PackageCoordinates) => string | undefined {
  const compiled = patterns.map((text) => {
    const { ecosystem, name, version } = parsePackagePattern(text) as PackageCoordinates;
    const versions = version === undefined ? undefined : compileVersions([version]);
    return { text, ecosystem, named: compileNamePattern(name), versions };
  });
  return (coordinates) => {
    const name = normalName(coordinates.ecosystem, coordinates.name);
    const found = compiled.find(
      ({ ecosystem, named, versions }) =>
        ecosystem === coordinates.ecosystem && named(name) && (versions === undefined || versions(coordinates)),
    );
    return found?.text;
  };
}

/** A name as its ecosystem compares it (PEP 503 for Python). */
export function normalName(ecosystem: string, name: string): string {
  return ecosystem === 'pypi' ? name.toLowerCase().replace(/[-_.]+/g, '-') : name;
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
