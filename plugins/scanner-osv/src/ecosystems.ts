import { type PackageCoordinates } from '@entrepot/core';
import {
  apkOrder,
  composerOrder,
  debOrder,
  gemOrder,
  mavenOrder,
  nugetOrder,
  numbersOrder,
  pep440Order,
  pythonVersionIdentity,
  rpmOrder,
  semverOrder,
  type VersionOrder,
} from '@entrepot/core/formats';

/** Traits of an OSV ecosystem, by its name without a release (`Debian` of `Debian:12`). */
interface EcosystemTraits {
  /** The type of its package URLs. */
  readonly type: string;
  /** Absent: versions can be matched by the lists of records only. */
  readonly order?: VersionOrder;
  /** Linux distributions: the namespace of their package URLs. Names need a release there: `debian-12/curl`. */
  readonly distribution?: string;
  /** One of the spellings that the registry takes for a name. Absent: there is one only. */
  readonly name?: (name: string) => string;
  /** A version without what OSV leaves out of it. */
  readonly version?: (version: string) => string;
}

const lowerCase = (name: string): string => name.toLowerCase();
const pythonName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-'); // PEP 503
const goVersion = (version: string): string => version.replace(/^v/, '').replace(/\+incompatible$/, '');

const RPM = { type: 'rpm', order: rpmOrder };
const APK = { type: 'apk', order: apkOrder };

/** By OSV name. Source: OSV schema, "Defined ecosystems"; purl-spec, types. */
const ECOSYSTEMS: Readonly<Record<string, EcosystemTraits>> = {
  npm: { type: 'npm', order: semverOrder },
  PyPI: { type: 'pypi', order: pep440Order, name: pythonName, version: pythonVersionIdentity },
  Go: { type: 'golang', order: semverOrder, version: goVersion },
  Maven: { type: 'maven', order: mavenOrder },
  RubyGems: { type: 'gem', order: gemOrder },
  NuGet: { type: 'nuget', order: nugetOrder, name: lowerCase },
  Packagist: { type: 'composer', order: composerOrder, name: lowerCase },
  Hex: { type: 'hex', order: semverOrder },
  Pub: { type: 'pub', order: semverOrder },
  SwiftURL: { type: 'swift', order: semverOrder },
  ConanCenter: { type: 'conan', order: semverOrder },
  CRAN: { type: 'cran', order: numbersOrder },
  Hackage: { type: 'hackage', order: numbersOrder },
  'GitHub Actions': { type: 'github', order: semverOrder, name: lowerCase },
  Julia: { type: 'julia', order: semverOrder },
  Bitnami: { type: 'bitnami', order: semverOrder },
  Debian: { type: 'deb', order: debOrder, distribution: 'debian' },
  Ubuntu: { type: 'deb', order: debOrder, distribution: 'ubuntu' },
  AlmaLinux: { ...RPM, distribution: 'almalinux' },
  'Rocky Linux': { ...RPM, distribution: 'rocky-linux' },
  'Red Hat': { ...RPM, distribution: 'redhat' },
  SUSE: { ...RPM, distribution: 'suse' },
  openSUSE: { ...RPM, distribution: 'opensuse' },
  openEuler: { ...RPM, distribution: 'openeuler' },
  Mageia: { ...RPM, distribution: 'mageia' },
  Alpine: { ...APK, distribution: 'alpine' },
  Wolfi: { ...APK, distribution: 'wolfi' },
  Chainguard: { ...APK, distribution: 'chainguard' },
};

/** Cargo's ecosystem is named after a host: it is known by its first label. */
const CARGO = /^crates\.[a-z]+$/;
const CARGO_TRAITS: EcosystemTraits = { type: 'cargo', order: semverOrder };

/** `Debian` of `Debian:12`. */
export function baseEcosystem(ecosystem: string): string {
  const colon = ecosystem.indexOf(':');
  return colon === -1 ? ecosystem : ecosystem.slice(0, colon);
}

/** The traits of an OSV ecosystem, with a release or without; `undefined` when it is none that we know. */
export function traitsOf(ecosystem: string): EcosystemTraits | undefined {
  const base = baseEcosystem(ecosystem);
  if (Object.hasOwn(ECOSYSTEMS, base)) return ECOSYSTEMS[base];
  return CARGO.test(base) ? CARGO_TRAITS : undefined;
}

/** The package URL types of registries, which name no release of a distribution. */
export function registryTypes(): string[] {
  const traits = [...Object.values(ECOSYSTEMS), CARGO_TRAITS].filter(({ distribution }) => distribution === undefined);
  return [...new Set(traits.map(({ type }) => type))];
}

/** `name` as database and coordinates agree upon it: where registries take several spellings for one name, one of them. */
export function normalName(ecosystem: string, name: string): string {
  return traitsOf(ecosystem)?.name?.(name) ?? name;
}

/** `version` without what OSV leaves out of it. */
export function normalVersion(ecosystem: string, version: string): string {
  return traitsOf(ecosystem)?.version?.(version) ?? version;
}

/** A package by its OSV ecosystem. */
export interface OsvPackage {
  readonly ecosystem: string;
  readonly name: string;
}

/**
 * The OSV package of `coordinates`. Names of Linux packages are those of **source** packages, after the release:
 * `debian-12/curl` is `curl` of `Debian:12`.
 * @param ecosystems the OSV ecosystems that the database has, with their releases
 * @returns `undefined`: none of them
 */
export function osvPackage(
  { ecosystem: type, name }: PackageCoordinates,
  ecosystems: Iterable<string>,
): OsvPackage | undefined {
  for (const ecosystem of ecosystems) {
    const traits = traitsOf(ecosystem);
    if (traits?.type !== type) continue;
    if (traits.distribution === undefined) {
      if (ecosystem.includes(':')) continue;
      return { ecosystem, name: normalName(ecosystem, type === 'maven' ? mavenName(name) : name) };
    }
    const prefix = distributionPrefix(ecosystem, traits.distribution);
    if (name.startsWith(prefix)) return { ecosystem, name: name.slice(prefix.length) };
  }
  return undefined;
}

/** The reverse of `osvPackage`; `undefined` for ecosystems without a package URL type. */
export function coordinatesOf({ ecosystem, name }: OsvPackage): PackageCoordinates | undefined {
  const traits = traitsOf(ecosystem);
  if (traits === undefined) return undefined;
  if (traits.distribution !== undefined) {
    return { ecosystem: traits.type, name: `${distributionPrefix(ecosystem, traits.distribution)}${name}` };
  }
  return { ecosystem: traits.type, name: traits.type === 'maven' ? name.replace(':', '/') : name };
}

/** `debian-12/` of `Debian:12`, `ubuntu-22.04/` of `Ubuntu:22.04:LTS`, `wolfi/` of `Wolfi`. */
function distributionPrefix(ecosystem: string, distribution: string): string {
  const release = ecosystem.split(':').find((part, index) => index > 0 && /\d/.test(part));
  return release === undefined ? `${distribution}/` : `${distribution}-${release.replace(/^v/, '')}/`;
}

/** Package URLs have `group/artifact`, OSV has `group:artifact`. */
function mavenName(name: string): string {
  const slash = name.lastIndexOf('/');
  return slash === -1 ? name : `${name.slice(0, slash)}:${name.slice(slash + 1)}`;
}
