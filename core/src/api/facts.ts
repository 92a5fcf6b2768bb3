/**
 * The facts that an ecosystem's documents state about one version, before any of its bytes are here. An absent fact is
 * unknown, which differs from false. Plain data: it is stored with the entry, so that later rules can judge earlier
 * fetches.
 */
export interface ArtifactFacts {
  /** When the ecosystem says it was published; milliseconds since the epoch. A claim of the upstream. */
  readonly publishedAt?: number | undefined;
  /** SPDX expressions. */
  readonly licenses?: readonly string[] | undefined;
  readonly deprecated?: boolean | undefined;
  /**
   * Withdrawn by its publisher, but still available to clients that pin it (PEP 592, `yanked` of Cargo, `retract` of
   * Go).
   */
  readonly yanked?: boolean | undefined;
  /** Its state at the upstream: `removed` from the document that listed it, or `quarantined` by its index (PEP 792). */
  readonly upstream?: 'removed' | 'quarantined' | undefined;
  /** Whether its installation runs code of its own. */
  readonly installScripts?: boolean | undefined;
  /** Whether its installation runs code, and that of the version before it did not. For formats without `before`. */
  readonly newInstallScripts?: boolean | undefined;
  /** Dependencies from outside of the registry: git, a URL, a file. As they are written. */
  readonly exoticDependencies?: readonly string[] | undefined;
  /** Names of dependencies that the version of a month before did not have. */
  readonly newDependencies?: readonly string[] | undefined;
  /** The claimed way of publishing. Not verified: for rules on changes, not as a pass. */
  readonly provenance?: 'none' | 'attested' | 'trusted-publisher' | undefined;
  /** Whether the version before it was published in a more trusted way. For formats without `before`. */
  readonly provenanceDowngraded?: boolean | undefined;
  /** Whether the version before it had another publisher. For formats without `before`. */
  readonly publisherChanged?: boolean | undefined;
  /** Name of the publisher, as the registry has it. */
  readonly publisher?: string | undefined;
  /**
   * Earlier versions, newest first (`VersionHistory`). Rules on changes compare with the first one that is old enough
   * and that policy allows.
   */
  readonly before?: readonly VersionBefore[] | undefined;
}

/** An earlier version of the same package. */
export interface VersionBefore extends Pick<ArtifactFacts, 'installScripts' | 'provenance' | 'publisher'> {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly publishedAt: number;
  /** Whether clients move between the two versions on their own: `^1.0.0`. */
  readonly sameBranch: boolean;
}

/** The name of a fact. */
export type FactName = Exclude<keyof ArtifactFacts, 'before'>;

/** The values that stand for unknown facts where every fact needs a value. */
export const UNKNOWN_FACTS = {
  publishedAt: 0,
  licenses: [],
  deprecated: false,
  yanked: false,
  upstream: '',
  installScripts: false,
  newInstallScripts: false,
  exoticDependencies: [],
  newDependencies: [],
  provenance: '',
  provenanceDowngraded: false,
  publisherChanged: false,
  publisher: '',
} as const satisfies Record<FactName, unknown>;

/** The names of all facts. */
export const FACT_NAMES = Object.keys(UNKNOWN_FACTS) as readonly FactName[];
