import { packageUrl, type Finding, type PackageCoordinates } from '@entrepot/core';
import type { Download } from '../drivers/sql/download-history.js';
import { readKeptVersions } from '../drivers/sql/kept-versions.js';
import type { KeptArtifact } from '../drivers/sql/scan-store.js';
import type { Governance } from './governance.js';
import type { Inquiry } from './inquiry.js';

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

const MAX_IMPACT = 10_000;
/** Names in one query of the history. */
const AT_ONCE = 100;

/** Finds the stored artifacts and the downloads of a version, or of all that an advisory affects. */
export async function impactOf(
  { governance, database }: Inquiry,
  of: { readonly coordinates: PackageCoordinates } | { readonly advisory: string },
): Promise<Impact> {
  const kept =
    'coordinates' in of ? await readKeptVersions(database, of.coordinates) : await affectedBy(of.advisory, governance);
  const all = ['coordinates' in of ? of.coordinates : [], kept.map(({ coordinates }) => coordinates)].flat();
  const packages = [...new Map(all.map((coordinates) => [packageUrl(coordinates), coordinates])).values()];
  const downloads: Download[] = [];
  for (let start = 0; start < packages.length && downloads.length < MAX_IMPACT; start += AT_ONCE) {
    const asked = { packages: packages.slice(start, start + AT_ONCE), limit: MAX_IMPACT - downloads.length };
    downloads.push(...(await governance.downloads.list(asked)));
  }
  const shown = kept.map(({ repository, coordinates, digest, fetchedAt }) => ({
    repository,
    purl: packageUrl(coordinates),
    digest,
    fetchedAt,
  }));
  return { kept: shown, downloads };
}

/** Finds the stored artifacts that an advisory affects, by scanners' lookups and by stored reports. */
async function affectedBy(advisory: string, { reports, scanners }: Governance): Promise<readonly KeptArtifact[]> {
  const wanted = advisory.toUpperCase();
  const names = ({ id, aliases }: Finding): boolean => [id, ...aliases].some((name) => name.toUpperCase() === wanted);
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
