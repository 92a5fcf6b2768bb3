import type { PackageCoordinates, PolicyDecision } from '@entrepot/core';
import { compareVersions, versionIdentity } from '@entrepot/core/engine';
import type { KeptVersion } from '../drivers/sql/kept-versions.js';
import type { Inquiry, PlacedVersions } from './inquiry.js';

/** A version of a package in one repository, as far as it is known without asking anybody. */
export interface PackageVersion {
  readonly version: string;
  readonly repository: string;
  /** Whether bytes of it are stored. */
  readonly isKept: boolean;
  /** The number of files that are kept, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly publishedAt?: number | undefined;
  /** Time at which the first of its files was stored; milliseconds since the epoch. */
  readonly fetchedAt?: number | undefined;
  readonly deprecated?: boolean | undefined;
  readonly yanked?: boolean | undefined;
  readonly decision: PolicyDecision;
}

export interface VersionQuery {
  readonly repository?: string | undefined;
  readonly isKept?: boolean | undefined;
  /** The last one of the page before. */
  readonly after?: { readonly version: string; readonly repository: string } | undefined;
  readonly limit: number;
}

/** A page of versions. */
export interface VersionPage {
  readonly versions: readonly PackageVersion[];
  /** Whether there are more. */
  readonly hasMore: boolean;
  /** The number of those that were asked for, on all pages. */
  readonly total: number;
}

interface Candidate {
  readonly version: string;
  readonly place: PlacedVersions['place'];
  readonly kept: readonly KeptVersion[];
  readonly listed: PlacedVersions['listed'][number] | undefined;
}

/** Lists versions of a name that are kept, or that kept documents list, the newest first. Only those of a page are judged. */
export async function listVersions(
  inquiry: Inquiry,
  coordinates: PackageCoordinates,
  { repository, isKept, after, limit }: VersionQuery,
): Promise<VersionPage> {
  const placed = await inquiry.versionsOf(coordinates, repository);
  const wanted = placed
    .flatMap((one) => candidatesOf(coordinates.ecosystem, one))
    .filter(({ kept }) => isKept === undefined || kept.length > 0 === isKept)
    .sort((one, other) => inOrder(coordinates.ecosystem, one, other));
  const last =
    after === undefined
      ? -1
      : wanted.findIndex(({ version, place }) => version === after.version && place.name === after.repository);
  const page = after !== undefined && last < 0 ? [] : wanted.slice(last + 1, last + 1 + limit);
  const versions: PackageVersion[] = [];
  for (const { version, place, kept, listed } of page) {
    const [first] = kept;
    const { decision } = await inquiry.judgeOne(place, { ...coordinates, version }, { kept: first, listed });
    const facts = listed?.facts ?? first?.facts ?? {};
    versions.push({
      version,
      repository: place.name,
      isKept: first !== undefined,
      files: kept.length,
      bytes: kept.reduce((sum, { size }) => sum + size, 0),
      publishedAt: facts.publishedAt,
      fetchedAt: first === undefined ? undefined : Math.min(...kept.map(({ fetchedAt }) => fetchedAt)),
      deprecated: facts.deprecated,
      yanked: facts.yanked,
      decision,
    });
  }
  return { versions, hasMore: last + 1 + page.length < wanted.length && page.length > 0, total: wanted.length };
}

/** The versions of one repository, each once. */
function candidatesOf(ecosystem: string, { place, kept, listed }: PlacedVersions): readonly Candidate[] {
  const identity = (version: string): string => versionIdentity(ecosystem, version);
  const keptOf = Map.groupBy(kept, ({ coordinates }) => identity(coordinates.version as string));
  const found = new Map<string, Candidate>();
  for (const [id, own] of keptOf) {
    const [{ coordinates }] = own as [KeptVersion];
    found.set(id, { version: coordinates.version as string, place, kept: own, listed: undefined });
  }
  for (const one of listed) {
    const { version } = one.coordinates;
    if (version === undefined) continue;
    const known = found.get(identity(version));
    found.set(identity(version), { version: known?.version ?? version, place, kept: known?.kept ?? [], listed: one });
  }
  return [...found.values()];
}

/** The newest first; where an ecosystem has no order that is known, that of the alphabet. */
function inOrder(ecosystem: string, one: Candidate, other: Candidate): number {
  const order = compareVersions(ecosystem, other.version, one.version) ?? 0;
  if (order !== 0) return order;
  if (one.version !== other.version) return one.version < other.version ? 1 : -1;
  return one.place.name < other.place.name ? -1 : 1;
}
