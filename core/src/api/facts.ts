/**
 * What an ecosystem's documents say of one version, before any of its bytes is here. A fact that is absent is not known,
 * which is not the same as false. Plain data: it is kept with the entry, so that a rule of tomorrow can judge what was
 * fetched today.
 */
export interface ArtifactFacts {
  /** When the ecosystem says it was published; milliseconds since the epoch. A claim of the upstream. */
  readonly publishedAt?: number | undefined;
  /** SPDX expressions. */
  readonly licenses?: readonly string[] | undefined;
  readonly deprecated?: boolean | undefined;
  /** Withdrawn by its publisher, but still to be had by who pins it (PEP 592, `yanked` of Cargo, `retract` of Go). */
  readonly yanked?: boolean | undefined;
  /** What became of it upstream: it is gone from the document that listed it, or its index holds it back (PEP 792). */
  readonly upstream?: 'removed' | 'quarantined' | undefined;
  /** It runs code of its own when it is installed. */
  readonly installScripts?: boolean | undefined;
  /** It runs code when it is installed, and the version before it did not. For formats that give no `before`. */
  readonly newInstallScripts?: boolean | undefined;
  /** Dependencies that come from elsewhere than the registry: git, a URL, a file. As they are written. */
  readonly exoticDependencies?: readonly string[] | undefined;
  /** Names that it depends on, and the version of a month before it did not. */
  readonly newDependencies?: readonly string[] | undefined;
  /** How it says that it was published. Not verified: for rules on changes, not as a pass. */
  readonly provenance?: 'none' | 'attested' | 'trusted-publisher' | undefined;
  /** The version before it was published in a better way. For formats that give no `before`. */
  readonly provenanceDowngraded?: boolean | undefined;
  /** Somebody else published the version before it. For formats that give no `before`. */
  readonly publisherChanged?: boolean | undefined;
  /** Name of the publisher, as the registry has it. */
  readonly publisher?: string | undefined;
  /**
   * Earlier versions, newest first (`VersionHistory`). Rules on changes compare with the first one that is old enough and
   * that policy let in.
   */
  readonly before?: readonly VersionBefore[] | undefined;
}

/** A version that was there before another one. */
export interface VersionBefore extends Pick<ArtifactFacts, 'installScripts' | 'provenance' | 'publisher'> {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly publishedAt: number;
  /** Clients move between the two without being asked: `^1.0.0`. */
  readonly sameBranch: boolean;
}

/** The name of a fact. */
export type FactName = Exclude<keyof ArtifactFacts, 'before'>;

/** The names of all facts, with nothing forgotten. */
export const FACT_NAMES: readonly FactName[] = Object.keys({
  publishedAt: true,
  licenses: true,
  deprecated: true,
  yanked: true,
  upstream: true,
  installScripts: true,
  newInstallScripts: true,
  exoticDependencies: true,
  newDependencies: true,
  provenance: true,
  provenanceDowngraded: true,
  publisherChanged: true,
  publisher: true,
} satisfies Record<FactName, true>) as FactName[];
