import {
  EntrepotError,
  packageUrl,
  type ArtifactFacts,
  type Clock,
  type Finding,
  type PackageCoordinates,
  type PolicyDecision,
  type PolicyInput,
  type ScanFailure,
} from '@entrepot/core';
import {
  isSameVersion,
  parsePackagePattern,
  type DescribedVersion,
  type RepositoryEngine,
  type RuleOutcome,
} from '@entrepot/core/engine';
import type { DecisionRecord } from '../drivers/sql/decision-log.js';
import { readKeptVersions, type KeptVersion } from '../drivers/sql/kept-versions.js';
import type { Quarantined } from '../drivers/sql/quarantine-store.js';
import type { KeptReport } from '../drivers/sql/scan-store.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import type { Governance } from './governance.js';

/** A repository of the server. */
export interface AskedRepository {
  readonly name: string;
  readonly kind: 'proxy' | 'hosted';
  /** The id of its protocol. */
  readonly type: string;
  /** Whether everybody may read it. */
  readonly isOpen: boolean;
  /** Describes the versions of a name by its document. */
  readonly describe: RepositoryEngine['describe'];
}

/** A version that documents leave out. */
export interface HiddenVersion {
  readonly purl: string;
  readonly decision: PolicyDecision;
}

/** The decision on a version in one repository, and all that it was based on. */
export interface Explanation {
  readonly repository: string;
  readonly purl: string;
  /** `false`: the version is neither stored nor listed by the upstream. Absent: unknown. */
  readonly exists?: boolean | undefined;
  readonly decision: PolicyDecision;
  /** The outcome of every rule. */
  readonly rules: readonly RuleOutcome[];
  readonly facts: ArtifactFacts;
  /** Absent: its bytes are not stored. */
  readonly kept?: Pick<KeptVersion, 'key' | 'digest' | 'size' | 'fetchedAt'> | undefined;
  readonly reports: readonly KeptReport[];
  readonly findings: readonly Finding[];
  readonly quarantine?: Quarantined | undefined;
  /** Versions that the document lists and clients do not see. Only for a name without a version. */
  readonly hidden?: readonly HiddenVersion[] | undefined;
  /** The decisions on clients' requests, the newest first. */
  readonly lastDecisions: readonly DecisionRecord[];
}

/** The decision on a version in one repository, by what is stored. */
export interface Judged {
  readonly repository: string;
  readonly decision: PolicyDecision;
  readonly findings: readonly Finding[];
  /** Whether its bytes are stored. */
  readonly kept: boolean;
}

/** Copies of a version that are known. */
export interface Known {
  /** Its stored bytes. */
  readonly kept?: KeptVersion | undefined;
  /** The entry of its document. */
  readonly listed?: DescribedVersion | undefined;
}

/** The known versions of a name in one repository. */
export interface PlacedVersions {
  readonly place: AskedRepository;
  readonly kept: readonly KeptVersion[];
  /** Of its document, where that is kept. */
  readonly listed: readonly DescribedVersion[];
}

/** The package URL types of protocols whose id is another. */
const ECOSYSTEMS: Readonly<Record<string, string>> = { go: 'golang', files: 'generic' };

/** Answers questions on what policy does and did. */
export class Inquiry {
  readonly governance: Governance;
  readonly database: SqlDatabase;
  readonly clock: Clock;
  readonly #repositories: readonly AskedRepository[];

  constructor(governance: Governance, database: SqlDatabase, repositories: readonly AskedRepository[], clock: Clock) {
    this.governance = governance;
    this.database = database;
    this.clock = clock;
    this.#repositories = repositories;
  }

  /** @param openOnly leaves out repositories that not everybody may read */
  async explain(
    coordinates: PackageCoordinates,
    { repository, openOnly = false }: { readonly repository?: string | undefined; readonly openOnly?: boolean } = {},
  ): Promise<readonly Explanation[]> {
    const kept = await readKeptVersions(this.database, coordinates);
    const explanations: Explanation[] = [];
    for (const place of this.#repositories) {
      if ((repository !== undefined && place.name !== repository) || (openOnly && !place.isOpen)) continue;
      const own = kept.filter((one) => one.repository === place.name);
      if (own.length === 0 && !serves(place, coordinates)) continue;
      const described = await describeVersions(place, coordinates);
      const versions = new Set(own.map((one) => one.coordinates.version));
      const asked = coordinates.version === undefined ? [undefined, ...versions] : [coordinates.version];
      for (const version of asked)
        explanations.push(await this.#explainOne(place, { ...coordinates, version }, own, described));
    }
    return explanations;
  }

  /**
   * Judges a version in each repository that stores it; when none does, in each that may serve it. Uses only what is
   * stored: asking an upstream would reveal internal names. Empty when no repository serves the ecosystem.
   */
  async judge(coordinates: PackageCoordinates, repository?: string): Promise<readonly Judged[]> {
    const all = await readKeptVersions(this.database, coordinates);
    const places = this.#repositories.filter(
      (place) => (repository === undefined || place.name === repository) && serves(place, coordinates),
    );
    const keeping = places.filter(({ name }) => all.some((one) => one.repository === name));
    const judged: Judged[] = [];
    for (const place of keeping.length > 0 ? keeping : places) {
      const kept = all.find((one) => one.repository === place.name);
      const described = kept === undefined ? await describeVersions(place, coordinates, { keptOnly: true }) : undefined;
      const listed = described?.versions.find((one) => isOfVersion(one.coordinates, coordinates.version));
      const subject = { ...coordinates, version: (kept ?? listed)?.coordinates.version ?? coordinates.version };
      const { input, reports } = await this.input(place, subject, { kept, listed });
      // Where nothing is known of it, that is not held against it: it may be years old.
      const isUnknown = kept === undefined && listed === undefined;
      const firstSeenAt = input.firstSeenAt ?? (isUnknown ? 0 : undefined);
      const decision = this.governance.policy.evaluate({ ...input, firstSeenAt });
      const findings = this.#findingsOf(subject, reports);
      judged.push({ repository: place.name, decision, findings, kept: kept !== undefined });
    }
    return judged;
  }

  /** Collects what is known of the versions of a name, in each repository that serves its ecosystem. Nobody is asked. */
  async versionsOf(coordinates: PackageCoordinates, repository?: string): Promise<readonly PlacedVersions[]> {
    const name = { ...coordinates, version: undefined };
    const all = await readKeptVersions(this.database, name);
    const placed: PlacedVersions[] = [];
    for (const place of this.#repositories) {
      if ((repository !== undefined && place.name !== repository) || !serves(place, name)) continue;
      const { versions: listed } = await describeVersions(place, name, { keptOnly: true });
      placed.push({ place, kept: all.filter((one) => one.repository === place.name), listed });
    }
    return placed;
  }

  /** Judges one version by what is known of it. */
  async judgeOne(
    place: Pick<AskedRepository, 'name' | 'kind'>,
    coordinates: PackageCoordinates,
    known: Known,
  ): Promise<{ readonly decision: PolicyDecision }> {
    const { input } = await this.input(place, coordinates, known);
    return { decision: this.governance.policy.evaluate(input) };
  }

  /** Whether some scanner has judged a version, by a stored report or by its own lookup. */
  async isScanned(coordinates: PackageCoordinates): Promise<boolean> {
    const { reports, scanners } = this.governance;
    if (scanners.some(({ scanner }) => scanner.lookup?.(coordinates) !== undefined)) return true;
    return (await reports.reportsOf(coordinates)).some(hasJudged);
  }

  /** All findings in one version, aliases once. */
  async findings(coordinates: PackageCoordinates): Promise<readonly Finding[]> {
    return this.#findingsOf(coordinates, await this.governance.reports.reportsOf(coordinates));
  }

  /** The repository of a name; as a proxy where it is not served any more. */
  placeOf(name: string): Pick<AskedRepository, 'name' | 'kind'> {
    return this.#repositories.find((one) => one.name === name) ?? { name, kind: 'proxy' };
  }

  /** Collects the facts that policy judges a version by, and the reports on it. */
  async input(
    { name, kind }: Pick<AskedRepository, 'name' | 'kind'>,
    coordinates: PackageCoordinates,
    { kept, listed }: Known,
  ): Promise<{ readonly input: PolicyInput; readonly reports: readonly KeptReport[] }> {
    const { reports: store, firstSeen } = this.governance;
    const reports = await store.reports({ coordinates, digest: kept?.digest });
    const said = reports.filter(hasJudged);
    const failures = reports.flatMap(({ scanner, state }): ScanFailure[] =>
      state === 'clean' || state === 'findings' ? [] : [{ scanner, status: state }],
    );
    // Of a tag that is kept: the first sight of the image that it stands for.
    const isTag = coordinates.ecosystem === 'oci' && kept !== undefined;
    const seenAt = firstSeen.peek(isTag ? { ...coordinates, version: kept.digest } : coordinates);
    const input: PolicyInput = {
      stage: kept === undefined ? 'request' : 'content',
      repository: { name, kind },
      coordinates,
      // Facts that its document states now go over those of when the bytes came.
      facts: listed?.facts ?? kept?.facts ?? {},
      storedAt: kept?.fetchedAt,
      firstSeenAt: kept === undefined ? seenAt : Math.min(seenAt ?? Infinity, kept.fetchedAt),
      digest: kept?.digest,
      size: kept?.size,
      integrity: kept?.integrity ?? listed?.integrity,
      reports: said.length === 0 ? undefined : said,
      scanFailures: failures,
      now: this.clock.now(),
    };
    return { input, reports };
  }

  async #explainOne(
    place: AskedRepository,
    coordinates: PackageCoordinates,
    own: readonly KeptVersion[],
    { versions, isMissing }: Described,
  ): Promise<Explanation> {
    const { policy, quarantine, decisions } = this.governance;
    const { version } = coordinates;
    const kept = own.find((one) => isOfVersion(one.coordinates, version));
    const listed = versions.find((one) => isOfVersion(one.coordinates, version));
    // As it is written where it is known: decisions and reports are found under that spelling.
    const subject = { ...coordinates, version: (kept ?? listed)?.coordinates.version ?? version };
    const isListed = kept !== undefined || listed !== undefined;
    // A digest is in no list.
    const isNowhere = version?.includes(':') !== true && (isMissing || versions.length > 0);
    const exists = version === undefined ? undefined : isListed || (isNowhere ? false : undefined);
    const { input: known, reports } = await this.input(place, subject, { kept, listed });
    // A missing version has no age.
    const input: PolicyInput = exists === false ? { ...known, firstSeenAt: 'unknown' } : known;
    return {
      repository: place.name,
      purl: packageUrl(subject),
      exists,
      decision: policy.evaluate(input),
      rules: policy.explain(input),
      facts: input.facts,
      kept: kept && { key: kept.key, digest: kept.digest, size: kept.size, fetchedAt: kept.fetchedAt },
      reports,
      findings: this.#findingsOf(subject, reports),
      quarantine: await quarantine.find({ repository: place.name, coordinates: subject }),
      hidden: version === undefined ? this.#hidden(place, versions) : undefined,
      lastDecisions: await decisions.list({ coordinates: subject, repository: place.name, limit: 10 }),
    };
  }

  #hidden({ name, kind }: AskedRepository, described: readonly DescribedVersion[]): readonly HiddenVersion[] {
    const { policy, firstSeen } = this.governance;
    const place = { stage: 'request', repository: { name, kind }, now: this.clock.now() } as const;
    return described.flatMap(({ coordinates, facts, integrity }) => {
      const firstSeenAt = firstSeen.peek(coordinates);
      const decision = policy.evaluate({ ...place, coordinates, facts, integrity, firstSeenAt });
      if (decision.action === 'allow' || decision.action === 'warn') return [];
      return [{ purl: packageUrl(coordinates), decision }];
    });
  }

  #findingsOf(coordinates: PackageCoordinates, reports: readonly KeptReport[]): readonly Finding[] {
    const all = [
      ...this.governance.scanners.flatMap(({ scanner }) => scanner.lookup?.(coordinates) ?? []),
      ...reports.flatMap(({ findings }) => findings),
    ];
    const seen = new Set<string>();
    return all.filter(({ id, aliases }) => {
      const known = [id, ...aliases].some((name) => seen.has(name));
      for (const name of [id, ...aliases]) seen.add(name);
      return !known;
    });
  }
}

/**
 * Parses the package URL of a request.
 * @throws EntrepotError `bad-request`
 */
export function parsePackageUrl(text: string): PackageCoordinates {
  const parsed = text.includes('*') ? undefined : parsePackagePattern(text);
  if (parsed !== undefined) return parsed;
  throw new EntrepotError('bad-request', 'expected a package URL such as pkg:npm/lodash@4.17.20');
}

/** Versions of a name, as its document lists them. */
interface Described {
  readonly versions: readonly DescribedVersion[];
  /** Whether the upstream has no such name. */
  readonly isMissing: boolean;
}

/** Describes a name by its document. Nothing when the document cannot be had: what is stored has to do. */
async function describeVersions(
  { describe, kind }: AskedRepository,
  coordinates: PackageCoordinates,
  options?: { readonly keptOnly: boolean },
): Promise<Described> {
  // A hosted repository has only the versions that it keeps.
  if (kind === 'hosted') return { versions: [], isMissing: true };
  try {
    return { versions: await describe(coordinates, options), isMissing: false };
  } catch (error) {
    return { versions: [], isMissing: error instanceof EntrepotError && error.kind === 'not-found' };
  }
}

function serves({ type }: AskedRepository, { ecosystem }: PackageCoordinates): boolean {
  return ecosystemOf(type) === ecosystem;
}

/** The type of the package URLs of a protocol. */
export function ecosystemOf(type: string): string {
  return ECOSYSTEMS[type] ?? type;
}

function hasJudged({ state }: KeptReport): boolean {
  return state === 'clean' || state === 'findings';
}

/** Whether coordinates are of `version`, in any of its spellings. */
function isOfVersion({ ecosystem, version: own }: PackageCoordinates, version: string | undefined): boolean {
  if (own === undefined || version === undefined) return own === version;
  return isSameVersion(ecosystem, own, version);
}
