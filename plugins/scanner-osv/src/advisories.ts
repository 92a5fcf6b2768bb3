import type { Finding } from '@entrepot/core';
import { normalName, normalVersion, type OsvPackage, traitsOf } from './ecosystems.js';
import type { OsvAffected, OsvRange, OsvRecord } from './osv-record.js';
import { Candidate, compileRange, type CompiledRange, evaluateRange } from './ranges.js';
import { type Rating, ratingOf, worse } from './severity.js';

/** The rating of a record, or of several. */
export interface OwnRating extends Rating {
  readonly malicious?: boolean | undefined;
}

/** Merged records with a common alias. */
export interface AdvisoryGroup extends OwnRating {
  /** Every id and alias, sorted. */
  readonly ids: readonly string[];
}

/** The parts of a record that findings repeat. */
export interface PackedRecord {
  readonly id: string;
  readonly published?: number | undefined;
  readonly title?: string | undefined;
  readonly url?: string | undefined;
}

/** The part of one record about one package, in the stored form. */
export interface PackedAffected extends PackedRecord {
  readonly ranges: readonly OsvRange[];
  /** Versions that are in none of the ranges. */
  readonly versions: readonly string[];
  /** Its group in the list of the package. */
  readonly group: number;
}

/** All stored parts of one package, or of one content hash (then without ranges). */
export interface PackedPackage extends OsvPackage {
  readonly groups: readonly AdvisoryGroup[];
  readonly affected: readonly PackedAffected[];
}

/** A packed package, compiled for lookups. */
export interface CompiledPackage {
  /** Bytes of the stored form. */
  readonly size: number;
  readonly ecosystem: string;
  readonly groups: readonly AdvisoryGroup[];
  readonly affected: readonly CompiledAffected[];
  /** Verdicts by the matching records. Most versions of a package share one. */
  readonly said: Map<string, PackageVerdict>;
}

/** The part of one record about one package, compiled for lookups. */
export interface CompiledAffected extends Omit<PackedAffected, 'ranges' | 'versions'> {
  readonly ranges: readonly CompiledRange[];
  readonly versions: ReadonlySet<string>;
}

/** Exploitation of a vulnerability, by its ids. */
export interface Enrichment {
  /** Changes when an answer does. */
  revision(): string;
  isExploited(id: string): boolean;
  /** The probability of EPSS, 0 to 1. */
  epss(id: string): number | undefined;
}

/** The result of a lookup of one version. */
export interface PackageVerdict {
  readonly findings: readonly Finding[];
  /** Advisories that could not be compared with the version. */
  readonly undecided: boolean;
}

const LONGEST_TITLE = 200;
const MOST_FIXES = 10;

/** The group of a record by itself, before it is merged. */
export function groupOf(record: OsvRecord): AdvisoryGroup {
  const severities = [...record.severity, ...record.affected.flatMap(({ severity }) => severity)];
  const { severity, cvss } = ratingOf(severities, record.severityWord);
  return { ids: [record.id, ...record.aliases].sort(), severity, cvss, malicious: record.malicious || undefined };
}

/** Merges the records of a group: the worst rating counts. @param ownOf the rating of a record by itself */
export function mergeGroups(ids: readonly string[], ownOf: (id: string) => OwnRating | undefined): AdvisoryGroup {
  const sorted = [...ids].sort();
  const own = sorted.flatMap((id) => ownOf(id) ?? []);
  const { severity, cvss } = own.reduce<Rating>(worse, { severity: 'unknown' });
  return { ids: sorted, severity, cvss, malicious: own.some(({ malicious }) => malicious === true) || undefined };
}

/** The part of `record` that findings repeat. */
export function packRecord({ id, published, summary, url }: OsvRecord): PackedRecord {
  const time = Date.parse(published ?? '');
  return { id, published: Number.isNaN(time) ? undefined : time, title: summary?.slice(0, LONGEST_TITLE), url };
}

/** Packs `affected`, without the number of its group. `undefined` when it affects no version. */
export function packAffected(record: PackedRecord, affected: OsvAffected): Omit<PackedAffected, 'group'> | undefined {
  const { ecosystem } = affected;
  const ranges = affected.ranges.filter(({ events }) => events.length > 0);
  const compiled = ranges.map((range) => compileRange(ecosystem, range));
  const listed = new Set(affected.versions.map((version) => normalVersion(ecosystem, version)));
  const versions = [...listed].filter((version) => {
    const candidate = new Candidate(version);
    return !compiled.some((range) => evaluateRange(range, candidate)?.affected === true);
  });
  return ranges.length === 0 && versions.length === 0 ? undefined : { ...record, ranges, versions };
}

/** Makes a stored package ready to be asked. */
export function compilePackage(stored: Buffer): CompiledPackage {
  const { ecosystem, groups, affected } = JSON.parse(stored.toString('utf8')) as PackedPackage;
  return {
    size: stored.length,
    ecosystem,
    groups,
    said: new Map(),
    affected: affected.map((each) => ({
      ...each,
      ranges: each.ranges.map((range) => compileRange(ecosystem, range)),
      versions: new Set(each.versions),
    })),
  };
}

/** One record that is about a version, or may be. */
export interface Match {
  /** Its place among the records of the package. */
  readonly index: number;
  readonly record: CompiledAffected;
  readonly fixedIn: readonly string[];
  /** Whether the version cannot be compared with the record. */
  readonly isUndecided: boolean;
}

/** The records that are about `version`; `undefined`: those about any version. */
export function matchesOf({ ecosystem, affected }: CompiledPackage, version: string | undefined): Match[] {
  const candidate = version === undefined ? undefined : new Candidate(normalVersion(ecosystem, version));
  const matches: Match[] = [];
  for (const [index, record] of affected.entries()) {
    const verdict = candidate === undefined ? EVERY_VERSION : verdictOf(record, candidate);
    if (verdict?.affected === false) continue;
    matches.push({ index, record, fixedIn: verdict?.fixedIn ?? [], isUndecided: verdict === undefined });
  }
  return matches;
}

/** Judges `version`, with one finding a group. `undefined`: every version. */
export function judge(found: CompiledPackage, version: string | undefined, enrichment: Enrichment): PackageVerdict {
  const matches = matchesOf(found, version);
  if (matches.length === 0) return CLEAN;
  const { said } = found;
  const key = matches.reduce(
    (text, { index, isUndecided, fixedIn }) => `${text} ${index}${isUndecided ? '?' : ':'}${fixedIn.join()}`,
    enrichment.revision(),
  );
  const known = said.get(key);
  if (known !== undefined) return known;
  const verdict = combine(found, matches, enrichment);
  if (said.size >= MOST_SAID) said.clear();
  said.set(key, verdict);
  return verdict;
}

function combine({ ecosystem, groups }: CompiledPackage, matches: Match[], enrichment: Enrichment): PackageVerdict {
  const decided = matches.filter(({ isUndecided }) => !isUndecided);
  const hits = Map.groupBy(decided, ({ record }) => record.group);
  const findings = Array.from(hits, ([group, hit]) => {
    const records = hit.map(({ record }) => record);
    const fixes = hit.flatMap(({ fixedIn }) => fixedIn);
    return findingOf(groups[group] as AdvisoryGroup, records, sortFixes(ecosystem, fixes), enrichment);
  });
  return { findings, undecided: decided.length < matches.length };
}

/** Different verdicts that are kept of one package. */
const MOST_SAID = 64;
const EVERY_VERSION = { affected: true, fixedIn: [] };
/** No advisories. */
export const CLEAN: PackageVerdict = { findings: [], undecided: false };

/** An exact version of the list, or one in a range: `undefined` when neither is known. */
function verdictOf({ ranges, versions }: CompiledAffected, candidate: Candidate): ReturnType<typeof evaluateRange> {
  let undecided = false;
  for (const range of ranges) {
    const verdict = evaluateRange(range, candidate);
    if (verdict?.affected === true) return verdict;
    undecided ||= verdict === undefined;
  }
  if (versions.has(candidate.version)) return EVERY_VERSION;
  return undecided ? undefined : { affected: false, fixedIn: [] };
}

/** The finding of a group, by those of its records that hit. */
export function findingOf(
  { ids, severity, cvss, malicious }: AdvisoryGroup,
  records: readonly PackedRecord[],
  fixedIn: readonly string[],
  enrichment: Enrichment,
): Finding {
  const sorted = records.toSorted((one, other) => rank(one.id) - rank(other.id) || (one.id < other.id ? -1 : 1));
  const { id } = sorted[0] as PackedRecord;
  const dates = sorted.flatMap(({ published }) => published ?? []);
  const probabilities = ids.flatMap((each) => enrichment.epss(each) ?? []);
  return {
    id,
    aliases: ids.filter((each) => each !== id),
    severity,
    cvss,
    malicious,
    exploited: ids.some((each) => enrichment.isExploited(each)) || undefined,
    epss: probabilities.length === 0 ? undefined : Math.max(...probabilities),
    fixedIn,
    publishedAt: dates.length === 0 ? undefined : Math.min(...dates),
    title: sorted.find(({ title }) => title !== undefined)?.title,
    url: sorted.find(({ url }) => url !== undefined)?.url,
    source: 'osv',
  };
}

/** Which id a finding is called by: what clients and people know first. */
function rank(id: string): number {
  if (id.startsWith('MAL-')) return 0;
  return id.startsWith('GHSA-') ? 1 : 2;
}

/** In their order where there is one; without repetition. */
export function sortFixes(ecosystem: string, versions: readonly string[]): string[] {
  const order = traitsOf(ecosystem)?.order;
  const unique = [...new Set(versions)];
  if (order === undefined || unique.length < 2) return unique.slice(0, MOST_FIXES);
  return unique
    .map((version) => ({ version, key: order.parse(version) }))
    .sort((one, other) => (one.key === undefined || other.key === undefined ? 0 : order.compare(one.key, other.key)))
    .slice(0, MOST_FIXES)
    .map(({ version }) => version);
}

/** The key under which a package is kept. */
export function packageKey({ ecosystem, name }: OsvPackage): string {
  return `p:${ecosystem}\0${normalName(ecosystem, name)}`;
}
