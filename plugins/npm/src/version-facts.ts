import type { ArtifactFacts } from '@entrepot/core';
import { JsonFormatError, SKIP, type ObjectVisitor } from '@entrepot/core/formats';
import type { UrlPlace } from './layout.js';

/** Scripts that npm runs when a package is installed. npm generates an `install` for a `gypfile`. */
const INSTALL_SCRIPTS: ReadonlySet<string> = new Set(['preinstall', 'install', 'postinstall']);
/** Members whose packages are installed along with a package. */
const DEPENDENCIES: ReadonlySet<string> = new Set(['dependencies', 'optionalDependencies', 'peerDependencies']);
/** The number of a kind that the facts of a version name, and the length of each; characters. */
const NAMED = 20;
const NAMED_LENGTH = 200;
/** More dependencies of one version are not looked at. */
const DEPENDENCY_LIMIT = 5_000;

/** A specifier that leads past the registry: git in all its spellings, an archive, a folder. (npm-package-arg) */
const EXOTIC =
  /^(?:git(?:\+\w+)?:|git@|https?:|ssh:|file:|link:|github:|gitlab:|bitbucket:|gist:|[~.]{0,2}\/|[\w.-]+\/[\w.-]+(?:#|$))/i;

/**
 * The members of a version in the abbreviated form. Source: the registry's API documentation, "package metadata", and `libc`,
 * which newer registries send. `hasInstallScript` is computed where it is missing.
 */
const ABBREVIATED: ReadonlySet<string> = new Set([
  'name',
  'version',
  'deprecated',
  'dependencies',
  'acceptDependencies',
  'optionalDependencies',
  'devDependencies',
  'peerDependencies',
  'peerDependenciesMeta',
  'bundleDependencies',
  'bundledDependencies',
  'bin',
  'directories',
  'dist',
  'engines',
  '_hasShrinkwrap',
  'hasInstallScript',
  'funding',
  'cpu',
  'os',
  'libc',
]);

/** One version of a packument, as it is read. */
export class VersionFacts {
  integrity: unknown;
  shasum: unknown;
  tarball: unknown;
  license: unknown;
  deprecated: unknown;
  readonly scripts = new Set<string>();
  buildsAddon = false;
  /** Absent: the version does not say. */
  saysInstallScript: boolean | undefined;
  readonly dependencies = new Set<string>();
  readonly exotic: string[] = [];
  attested = false;
  publisher: string | undefined;
  trustedPublisher = false;
  /** URLs that lead to the upstream, in the order of the bytes. */
  readonly urls: UrlPlace[] = [];
  /** The members of the abbreviated form, as runs of neighbours: start and end, in pairs. */
  readonly abbreviated: number[] = [];
  isInRun = false;

  /** Whether npm runs something when the version is installed. */
  get runsScripts(): boolean {
    return this.saysInstallScript === true || this.buildsAddon || this.scripts.size > 0;
  }
}

/** Reads versions, one after the other, into what `current` is. */
export function versionVisitor(current: () => VersionFacts): ObjectVisitor {
  const scripts: ObjectVisitor = {
    enter: () => current().scripts.clear(),
    member(key) {
      if (!INSTALL_SCRIPTS.has(key)) return SKIP;
      return (script) => {
        // Undefined: too long to be read, but there.
        if (script === undefined || (typeof script === 'string' && script !== '')) current().scripts.add(key);
        else current().scripts.delete(key);
      };
    },
  };
  const dependencies: ObjectVisitor = {
    member(name) {
      const facts = current();
      if (facts.dependencies.size >= DEPENDENCY_LIMIT) return SKIP;
      facts.dependencies.add(name);
      return (specifier) => {
        if (typeof specifier !== 'string' || !EXOTIC.test(specifier.trim()) || facts.exotic.length >= NAMED) return;
        facts.exotic.push(`${name}@${specifier}`.slice(0, NAMED_LENGTH));
      };
    },
  };
  const publisher: ObjectVisitor = {
    enter: () => void Object.assign(current(), { publisher: undefined, trustedPublisher: false }),
    member(key) {
      const facts = current();
      if (key === 'trustedPublisher') {
        return (value) => void (facts.trustedPublisher = value !== null && value !== false);
      }
      if (key !== 'name') return SKIP;
      return (name) => void (facts.publisher = typeof name === 'string' ? name.slice(0, NAMED_LENGTH) : undefined);
    },
  };
  const attestations: ObjectVisitor = {
    enter: () => void (current().attested = true),
    member: () => SKIP,
    ended(key, _start, start, end) {
      if (key === 'url') current().urls.push({ kind: 'attestations', start, end });
    },
    otherwise: () => (value) => void (current().attested = value !== null && value !== false),
  };
  const dist: ObjectVisitor = {
    member(key) {
      if (key === 'attestations') return attestations;
      if (key !== 'integrity' && key !== 'shasum' && key !== 'tarball') return SKIP;
      return (value) => void (current()[key] = value);
    },
    ended(key, _start, start, end) {
      if (key === 'tarball') current().urls.push({ kind: 'tarball', start, end });
    },
  };
  return {
    member(key) {
      const facts = current();
      if (key === 'dist') {
        facts.integrity = facts.shasum = facts.tarball = undefined;
        facts.attested = false;
        return dist;
      }
      if (key === 'scripts') return scripts;
      if (DEPENDENCIES.has(key)) return dependencies;
      if (key === '_npmUser') return publisher;
      if (key === 'gypfile') return (value) => void (facts.buildsAddon = value === true);
      if (key === 'hasInstallScript') return (value) => void (facts.saysInstallScript = value === true);
      if (key === 'license' || key === 'licenses') return (value) => void (facts.license = value ?? facts.license);
      if (key === 'deprecated') return (value) => void (facts.deprecated = value);
      return SKIP;
    },
    ended(key, start, _valueStart, end) {
      const facts = current();
      const isKept = ABBREVIATED.has(key);
      // Neighbours are written as one run, with the comma between them.
      if (isKept && facts.isInRun) facts.abbreviated[facts.abbreviated.length - 1] = end;
      else if (isKept) facts.abbreviated.push(start, end);
      facts.isInRun = isKept;
    },
    otherwise() {
      throw new JsonFormatError('a version is not an object');
    },
  };
}

/** Facts that a version states about itself. */
export function statedFacts(
  version: VersionFacts,
): Pick<ArtifactFacts, 'installScripts' | 'exoticDependencies' | 'provenance' | 'publisher'> {
  const { exotic: exoticDependencies, publisher, attested, trustedPublisher } = version;
  const provenance = trustedPublisher ? 'trusted-publisher' : attested ? 'attested' : 'none';
  return { installScripts: version.runsScripts, exoticDependencies, provenance, publisher };
}

/** Names that a version depends on, and an earlier one did not. */
export function newDependencies(now: ReadonlySet<string>, earlier: ReadonlySet<string>): readonly string[] {
  return [...now]
    .filter((name) => !earlier.has(name))
    .slice(0, NAMED)
    .map((name) => name.slice(0, NAMED_LENGTH));
}
