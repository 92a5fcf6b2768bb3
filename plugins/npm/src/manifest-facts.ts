import type { ArtifactFacts } from '@entrepot/core';
import { SKIP, type Instruction, type ObjectVisitor } from '@entrepot/core/formats';

/** Scripts that npm runs when a package is installed. npm generates an `install` for a `gypfile`. */
export const INSTALL_SCRIPTS: ReadonlySet<string> = new Set(['preinstall', 'install', 'postinstall']);
/** Members whose packages are installed along with a package. */
const DEPENDENCIES: ReadonlySet<string> = new Set(['dependencies', 'optionalDependencies', 'peerDependencies']);
/** How many of a kind are named in the facts of a version, and how much of each; characters. */
const NAMED = 20;
const NAMED_LENGTH = 200;
/** More dependencies of one version are not looked at. */
const DEPENDENCY_LIMIT = 5_000;

/** A specifier that leads past the registry: git in all its spellings, an archive, a folder. (npm-package-arg) */
const EXOTIC =
  /^(?:git(?:\+\w+)?:|git@|https?:|ssh:|file:|link:|github:|gitlab:|bitbucket:|gist:|[~.]{0,2}\/|[\w.-]+\/[\w.-]+(?:#|$))/i;

/** Facts of one version's manifest for policy. */
export interface ManifestFacts {
  readonly scripts: Set<string>;
  buildsAddon: boolean;
  saysInstallScript: boolean;
  readonly dependencies: Set<string>;
  readonly exotic: string[];
  attested: boolean;
  publisher: string | undefined;
  trustedPublisher: boolean;
}

/** Of a manifest that says nothing. */
export function emptyManifest(): ManifestFacts {
  return {
    scripts: new Set(),
    buildsAddon: false,
    saysInstallScript: false,
    dependencies: new Set(),
    exotic: [],
    attested: false,
    publisher: undefined,
    trustedPublisher: false,
  };
}

/** Reads manifests, one after the other. */
export interface ManifestReader {
  /** The next members are of this one. */
  into(facts: ManifestFacts): void;
  /** Of a manifest; `undefined` for what is nothing of this. */
  member(key: string): Instruction | undefined;
}

/** One reader serves all versions of a packument. */
export function createManifestReader(): ManifestReader {
  let facts = emptyManifest();
  const scripts: ObjectVisitor = {
    enter: () => facts.scripts.clear(),
    member(key) {
      if (!INSTALL_SCRIPTS.has(key)) return SKIP;
      return (script) => {
        // Undefined: too long to be read, but there.
        if (script === undefined || (typeof script === 'string' && script !== '')) facts.scripts.add(key);
        else facts.scripts.delete(key);
      };
    },
  };
  const dependencies: ObjectVisitor = {
    member(name) {
      if (facts.dependencies.size >= DEPENDENCY_LIMIT) return SKIP;
      facts.dependencies.add(name);
      return (specifier) => {
        if (typeof specifier !== 'string' || !EXOTIC.test(specifier.trim()) || facts.exotic.length >= NAMED) return;
        facts.exotic.push(`${name}@${specifier}`.slice(0, NAMED_LENGTH));
      };
    },
  };
  const publisher: ObjectVisitor = {
    enter() {
      facts.publisher = undefined;
      facts.trustedPublisher = false;
    },
    member(key) {
      if (key === 'name')
        return (name) => void (facts.publisher = typeof name === 'string' ? name.slice(0, NAMED_LENGTH) : undefined);
      if (key !== 'trustedPublisher') return SKIP;
      return (value) => void (facts.trustedPublisher = value !== null && value !== false);
    },
  };
  return {
    into: (next) => void (facts = next),
    member(key) {
      if (key === 'scripts') return scripts;
      if (DEPENDENCIES.has(key)) return dependencies;
      if (key === '_npmUser') return publisher;
      if (key === 'gypfile') return (value) => void (facts.buildsAddon = value === true);
      if (key === 'hasInstallScript') return (value) => void (facts.saysInstallScript = value === true);
      return undefined;
    },
  };
}

/** Facts that a version states about itself. */
export function manifestFacts(
  found: ManifestFacts,
): Pick<ArtifactFacts, 'installScripts' | 'exoticDependencies' | 'provenance' | 'publisher'> {
  return {
    installScripts: runsScripts(found),
    exoticDependencies: found.exotic,
    provenance: levelOf(found),
    publisher: found.publisher,
  };
}

/** Names that a version depends on, and an earlier one did not. */
export function newDependencies(found: ManifestFacts, previous: ManifestFacts): readonly string[] {
  return [...found.dependencies]
    .filter((name) => !previous.dependencies.has(name))
    .slice(0, NAMED)
    .map((name) => name.slice(0, NAMED_LENGTH));
}

function levelOf({ attested, trustedPublisher }: ManifestFacts): NonNullable<ArtifactFacts['provenance']> {
  if (trustedPublisher) return 'trusted-publisher';
  return attested ? 'attested' : 'none';
}

/** Whether npm runs something when the version is installed. */
export function runsScripts({ scripts, buildsAddon, saysInstallScript }: ManifestFacts): boolean {
  return saysInstallScript || buildsAddon || scripts.size > 0;
}
