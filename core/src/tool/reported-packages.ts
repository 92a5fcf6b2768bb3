import type { Finding, ScanSubject } from '../api/scanner.js';
import { toolErrors } from './tool-errors.js';

/** A package as the report of a tool names it. */
export interface ReportedPackage {
  /** Its package URL. */
  readonly url?: string | undefined;
  readonly name: string;
  readonly version: string;
}

/** A finding, and the package that it is in. */
export interface ReportedFinding<Package extends ReportedPackage = ReportedPackage> {
  readonly in: Package;
  readonly finding: Finding;
}

/**
 * The findings in each of `subjects`; `undefined` for one that the tool does not list.
 * @param locate the places of the subjects that a package is
 * @throws EntrepotError `scan-unavailable` for a finding in something else
 */
export function findingsOf<Package extends ReportedPackage>(
  id: string,
  subjects: readonly ScanSubject[],
  { packages, found }: { readonly packages: readonly Package[]; readonly found: readonly ReportedFinding<Package>[] },
  locate: (each: Package) => readonly number[],
): readonly (readonly Finding[] | undefined)[] {
  const results: (Finding[] | undefined)[] = subjects.map(() => undefined);
  for (const each of packages) for (const at of locate(each)) results[at] ??= [];
  for (const { in: place, finding } of found) {
    const places = locate(place);
    if (places.length === 0) {
      throw toolErrors(id).failed(`expected findings in what was asked for, found one in ${place.name}`);
    }
    for (const at of places) (results[at] ??= []).push(finding);
  }
  return results;
}

/** The findings in an image, each with its package. */
export function imageFindings(found: readonly ReportedFinding[]): readonly Finding[] {
  return found.map(({ in: { url, name, version }, finding }) => ({
    ...finding,
    component: url ?? `${name}@${version}`,
  }));
}
