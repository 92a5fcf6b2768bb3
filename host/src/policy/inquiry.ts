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
  type ScanReport,
} from '@entrepot/core';
import {
  isSameVersion,
  parsePackagePattern,
  type DescribedVersion,
  type PolicyDocument,
  type RepositoryEngine,
  type RuleOutcome,
} from '@entrepot/core/engine';
import type { DecisionRecord } from '../drivers/sql/decision-log.js';
import type { Download } from '../drivers/sql/download-history.js';
import { readKeptVersions, type KeptVersion } from '../drivers/sql/kept-versions.js';
import type { Quarantined } from '../drivers/sql/quarantine-store.js';
import type { KeptArtifact, KeptReport } from '../drivers/sql/scan-store.js';
import type { SqlDatabase } from '../drivers/sql/schema.js';
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

/** Served downloads that a candidate policy would refuse. */
export interface Simulated {
  /** The number of different downloads. */
  readonly judged: number;
  readonly refused: readonly {
    readonly repository: string;
    readonly purl: string;
    readonly action: PolicyDecision['action'];
    readonly rules: PolicyDecision['rules'];
    readonly callers: readonly string[];
    readonly addresses: readonly string[];
    readonly times: number;
  }[];
}

/** Stored artifacts and downloads that an advisory or a package URL affects. */
export interface Impact {
  readonly kept: readonly {
    readonly repository: string;
    readonly purl: string;
    readonly digest: string;
    readonly fetchedAt: number;
  }[];
  readonly downloads: readonly Download[];
}

/** Versions of a name, as its document lists them. */
interface Described {
  readonly versions: readonly DescribedVersion[];
  /** Whether the upstream has no such name. */
  readonly isMissing: boolean;
}

const NOTHING_DESCRIBED: Described = { versions: [], isMissing: false };

/** The package URL types of protocols whose id is another. */
const ECOSYSTEMS: Readonly<Record<string, string>> = { go: 'golang', files: 'generic' };
const MAX_DOWNLOADS = 100_000;
const MAX_IMPACT = 10_000;

/** Answers questions on what policy does, did and would do. */
export class Inquiry {
  readonly #governance: Governance;
  readonly #database: SqlDatabase;
  readonly #repositories: readonly AskedRepository[];
  readonly #clock: Clock;

  constructor(governance: Governance, database: SqlDatabase, repositories: readonly AskedRepository[], clock: Clock) {
    this.#governance = governance;
    this.#database = database;
    this.#repositories = repositories;
    this.#clock = clock;
  }

  /** @param openOnly leaves out repositories that not everybody may read */
  async explain(
    coordinates: PackageCoordinates,
    { repository, openOnly = false }: { readonly repository?: string | undefined; readonly openOnly?: boolean } = {},
  ): Promise<readonly Explanation[]> {
    const { decisions } = this.#governance;
    const kept = await readKeptVersions(this.#database, coordinates);
    const explanations: Explanation[] = [];
    for (const place of this.#repositories) {
      if ((repository !== undefined && place.name !== repository) || (openOnly && !place.isOpen)) continue;
      const own = kept.filter((one) => one.repository === place.name);
      if (own.length === 0 && (ECOSYSTEMS[place.type] ?? place.type) !== coordinates.ecosystem) continue;
      const versions = [...new Set(own.map((one) => one.coordinates.version))];
      const { versions: described, isMissing } = await this.#describe(place, coordinates);
      const asked = coordinates.version === undefined ? [undefined, ...versions] : [coordinates.version];
      for (const version of asked) {
        const found = own.find((one) => isOfVersion(one.coordinates, version));
        const listed = described.find((one) => isOfVersion(one.coordinates, version));
        // As it is written where it is known: decisions and reports are found under that spelling.
        const subject = { ...coordinates, version: (found ?? listed)?.coordinates.version ?? version };
        const lastDecisions = await decisions.list({ coordinates: subject, repository: place.name, limit: 10 });
        const hidden = version === undefined ? this.#hidden(place, described) : undefined;
        const isListed = found !== undefined || listed !== undefined;
        // A digest is in no list.
        const isNowhere = version?.includes(':') !== true && (isMissing || described.length > 0);
        const exists = version === undefined ? undefined : isListed || (isNowhere ? false : undefined);
        const known = { kept: found, listed, exists };
        explanations.push({ ...(await this.#explainOne(place, subject, known, lastDecisions)), hidden });
      }
    }
    return explanations;
  }

  /** Judges what was served in the last `days` by `document`. */
  async simulate(document: PolicyDocument, days: number): Promise<Simulated> {
    const { policy, downloads } = this.#governance;
    const candidate = policy.candidate({ ...document, mode: 'enforce' });
    const since = this.#clock.now() - days * 86_400_000;
    const served = new Map<string, Download[]>();
    for (const download of await downloads.list({ since, limit: MAX_DOWNLOADS })) {
      const key = `${download.repository}\n${packageUrl(download.coordinates)}\n${download.digest ?? ''}`;
      served.set(key, [...(served.get(key) ?? []), download]);
    }
    const refused: Simulated['refused'][number][] = [];
    for (const group of served.values()) {
      const [{ repository, coordinates, digest }] = group as [Download];
      const kept = (await readKeptVersions(this.#database, coordinates)).find(
        (one) => one.repository === repository && (digest === undefined || one.digest === digest),
      );
      const place = this.#placeOf(repository);
      const { action, rules } = candidate.evaluate((await this.#input(place, coordinates, kept)).input);
      if (action !== 'deny' && action !== 'hold') continue;
      refused.push({
        repository,
        purl: packageUrl(coordinates),
        action,
        rules,
        callers: distinct(group.map(({ caller }) => caller)),
        addresses: distinct(group.map(({ address }) => address)),
        times: group.reduce((sum, { times }) => sum + times, 0),
      });
    }
    return { judged: served.size, refused };
  }

  /** Finds the stored artifacts and the downloads of a version, or of all that an advisory affects. */
  async impact(of: { readonly coordinates: PackageCoordinates } | { readonly advisory: string }): Promise<Impact> {
    const kept =
      'coordinates' in of ? await readKeptVersions(this.#database, of.coordinates) : await this.#affected(of.advisory);
    const all = ['coordinates' in of ? of.coordinates : [], kept.map(({ coordinates }) => coordinates)].flat();
    const packages = [...new Map(all.map((coordinates) => [packageUrl(coordinates), coordinates])).values()];
    const downloads: Download[] = [];
    for (let start = 0; start < packages.length && downloads.length < MAX_IMPACT; start += 100) {
      const limit = MAX_IMPACT - downloads.length;
      downloads.push(
        ...(await this.#governance.downloads.list({ packages: packages.slice(start, start + 100), limit })),
      );
    }
    return {
      kept: kept.map(({ repository, coordinates, digest, fetchedAt }) => ({
        repository,
        purl: packageUrl(coordinates),
        digest,
        fetchedAt,
      })),
      downloads,
    };
  }

  /**
   * Judges a version in each repository that stores it; when none does, in each that may serve it. Uses only what is
   * stored: asking an upstream would reveal internal names. Empty when no repository serves the ecosystem.
   */
  async judge(coordinates: PackageCoordinates, repository?: string): Promise<readonly Judged[]> {
    const kept = await readKeptVersions(this.#database, coordinates);
    const places = this.#repositories.filter(
      (place) =>
        (repository === undefined || place.name === repository) &&
        (ECOSYSTEMS[place.type] ?? place.type) === coordinates.ecosystem,
    );
    const keeping = places.filter(({ name }) => kept.some((one) => one.repository === name));
    const judged: Judged[] = [];
    for (const place of keeping.length > 0 ? keeping : places) {
      const found = kept.find((one) => one.repository === place.name);
      const { versions: described } =
        found === undefined ? await this.#describe(place, coordinates, { keptOnly: true }) : NOTHING_DESCRIBED;
      const listed = described.find((one) => isOfVersion(one.coordinates, coordinates.version));
      const subject = { ...coordinates, version: (found ?? listed)?.coordinates.version ?? coordinates.version };
      const { input, reports } = await this.#input(place, subject, found, listed);
      const findings = findingsOf(this.#governance, subject, reports);
      // Where nothing is known of it, that is not held against it: it may be years old.
      const isUnknown = found === undefined && listed === undefined;
      const firstSeenAt = input.firstSeenAt ?? (isUnknown ? 0 : undefined);
      const decision = this.#governance.policy.evaluate({ ...input, firstSeenAt });
      judged.push({ repository: place.name, decision, findings, kept: found !== undefined });
    }
    return judged;
  }

  /** Whether some scanner has judged a version, by a stored report or by its own lookup. */
  async isScanned(coordinates: PackageCoordinates): Promise<boolean> {
    const { reports, scanners } = this.#governance;
    if (scanners.some(({ scanner }) => scanner.lookup?.(coordinates) !== undefined)) return true;
    return (await reports.reportsOf(coordinates)).some(({ state }) => state === 'clean' || state === 'findings');
  }

  /** All findings in one version, aliases once. */
  async findings(coordinates: PackageCoordinates): Promise<readonly Finding[]> {
    return findingsOf(this.#governance, coordinates, await this.#governance.reports.reportsOf(coordinates));
  }

  /** Finds the stored artifacts that an advisory affects, by scanners' lookups and by stored reports. */
  async #affected(advisory: string): Promise<readonly KeptArtifact[]> {
    const { reports, scanners } = this.#governance;
    const wanted = advisory.toUpperCase();
    const names = (finding: Finding): boolean =>
      [finding.id, ...finding.aliases].some((id) => id.toUpperCase() === wanted);
    const found = new Map<string, KeptArtifact>();
    const add = (artifact: KeptArtifact): void => {
      if (found.size < MAX_IMPACT) found.set(`${artifact.repository}\n${artifact.digest}`, artifact);
    };
    for (const report of await reports.mentioning(advisory, MAX_IMPACT)) {
      const { ecosystem, name, version } = report.coordinates;
      if (!report.findings.some(names)) continue;
      for (const artifact of await reports.keptOf(ecosystem, [name])) {
        if (artifact.coordinates.version === version) add(artifact);
      }
    }
    for (const { scanner } of scanners) {
      if (scanner.lookup === undefined) continue;
      for await (const page of reports.keptSince(scanner.subjects.ecosystems, 0)) {
        for (const artifact of page) if (scanner.lookup(artifact.coordinates)?.some(names) === true) add(artifact);
      }
    }
    return [...found.values()];
  }

  /** Describes a name by its document. Falls back to what is stored when the document cannot be had. */
  async #describe(
    { describe, kind }: AskedRepository,
    coordinates: PackageCoordinates,
    options?: { readonly keptOnly: boolean },
  ): Promise<Described> {
    // A hosted repository has only the versions that it keeps.
    if (kind === 'hosted') return { versions: [], isMissing: true };
    try {
      return { versions: await describe(coordinates, options), isMissing: false };
    } catch (error) {
      // Refused, not there, or out of reach: what is kept has to do.
      return { versions: [], isMissing: error instanceof EntrepotError && error.kind === 'not-found' };
    }
  }

  #hidden(place: AskedRepository, described: readonly DescribedVersion[]): readonly HiddenVersion[] {
    const { policy } = this.#governance;
    return described.flatMap(({ coordinates, facts, integrity }) => {
      const decision = policy.evaluate(this.#listedInput(place, { coordinates, facts, integrity }));
      if (decision.action === 'allow' || decision.action === 'warn') return [];
      return [{ purl: packageUrl(coordinates), decision }];
    });
  }

  #listedInput({ name, kind }: AskedRepository, { coordinates, facts, integrity }: DescribedVersion): PolicyInput {
    const firstSeenAt = this.#governance.firstSeen.peek(coordinates);
    const repository = { name, kind };
    return { stage: 'request', repository, coordinates, facts, integrity, firstSeenAt, now: this.#clock.now() };
  }

  async #explainOne(
    place: AskedRepository,
    coordinates: PackageCoordinates,
    {
      kept,
      listed,
      exists,
    }: {
      readonly kept: KeptVersion | undefined;
      readonly listed: DescribedVersion | undefined;
      readonly exists: boolean | undefined;
    },
    lastDecisions: readonly DecisionRecord[],
  ): Promise<Explanation> {
    const { policy, quarantine } = this.#governance;
    const { input: known, reports } = await this.#input(place, coordinates, kept, listed);
    // A missing version has no age.
    const input: PolicyInput = exists === false ? { ...known, firstSeenAt: 'unknown' } : known;
    return {
      repository: place.name,
      purl: packageUrl(coordinates),
      exists,
      decision: policy.evaluate(input),
      rules: policy.explain(input),
      facts: input.facts,
      kept: kept && { key: kept.key, digest: kept.digest, size: kept.size, fetchedAt: kept.fetchedAt },
      reports,
      findings: findingsOf(this.#governance, coordinates, reports),
      quarantine: await quarantine.find({ repository: place.name, coordinates }),
      lastDecisions,
    };
  }

  async #input(
    { name, kind }: Pick<AskedRepository, 'name' | 'kind'>,
    coordinates: PackageCoordinates,
    kept: KeptVersion | undefined,
    listed?: DescribedVersion,
  ): Promise<{ readonly input: PolicyInput; readonly reports: readonly KeptReport[] }> {
    const reports = await this.#governance.reports.reports({ coordinates, digest: kept?.digest });
    const failures = reports.flatMap(({ scanner, state }): ScanFailure[] =>
      state === 'clean' || state === 'findings' ? [] : [{ scanner, status: state }],
    );
    const said = reports.filter(({ state }) => state === 'clean' || state === 'findings');
    return {
      reports,
      input: {
        stage: kept === undefined ? 'request' : 'content',
        repository: { name, kind },
        coordinates,
        // What its document says now goes over what it said when the bytes came.
        facts: listed?.facts ?? kept?.facts ?? {},
        storedAt: kept?.fetchedAt,
        firstSeenAt: earliest(this.#firstSeen(coordinates, kept), kept?.fetchedAt),
        digest: kept?.digest,
        size: kept?.size,
        integrity: kept?.integrity ?? listed?.integrity,
        reports: said.length === 0 ? undefined : said.map((report): ScanReport => report),
        scanFailures: failures,
        now: this.#clock.now(),
      },
    };
  }

  /** Of a tag that is kept: the first sight of the image that it stands for. */
  #firstSeen(coordinates: PackageCoordinates, kept: KeptVersion | undefined): number | undefined {
    const isTag = coordinates.ecosystem === 'oci' && kept !== undefined;
    return this.#governance.firstSeen.peek(isTag ? { ...coordinates, version: kept.digest } : coordinates);
  }

  #placeOf(name: string): Pick<AskedRepository, 'name' | 'kind'> {
    return this.#repositories.find((one) => one.name === name) ?? { name, kind: 'proxy' };
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

/** Whether coordinates are of `version`, in any of its spellings. */
function isOfVersion({ ecosystem, version: own }: PackageCoordinates, version: string | undefined): boolean {
  if (own === undefined || version === undefined) return own === version;
  return isSameVersion(ecosystem, own, version);
}

function findingsOf(
  { scanners }: Governance,
  coordinates: PackageCoordinates,
  reports: readonly KeptReport[],
): readonly Finding[] {
  const all = [
    ...scanners.flatMap(({ scanner }) => scanner.lookup?.(coordinates) ?? []),
    ...reports.flatMap(({ findings }) => findings),
  ];
  const seen = new Set<string>();
  return all.filter(({ id, aliases }) => {
    const known = [id, ...aliases].some((name) => seen.has(name));
    for (const name of [id, ...aliases]) seen.add(name);
    return !known;
  });
}

function earliest(...instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.filter((instant) => instant !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function distinct(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}
