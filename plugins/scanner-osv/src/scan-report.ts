import {
  type EntrepotError,
  packageUrl,
  type Finding,
  type PackageCoordinates,
  scanError,
  type ScanReport,
  type ScanSubject,
} from '@entrepot/core';

/** The coordinates under which advisories on `subject` stand: packages of a distribution by their source package. */
export function advisoryCoordinates({ coordinates, qualifiers }: ScanSubject): PackageCoordinates {
  const distribution = qualifiers?.['distro'];
  if (distribution === undefined) return coordinates;
  const binary = coordinates.name.slice(coordinates.name.lastIndexOf('/') + 1);
  // `upstream` may name the version of the source as well: `glibc@2.36-9`.
  const [source = binary, version = coordinates.version] = qualifiers?.['upstream']?.split('@') ?? [];
  return { ecosystem: coordinates.ecosystem, name: `${distribution}/${source}`, version };
}

/** A report of `findings`. */
export function reportOf(
  findings: readonly Finding[],
  isPartial: boolean,
  revision: string,
  scannedAt: number,
): ScanReport {
  return { scanner: 'osv', revision, scannedAt, coverage: isPartial ? 'partial' : 'full', findings };
}

/** The error for coordinates that the database does not cover, or whose versions cannot be compared. */
export function unsupported(coordinates: PackageCoordinates, reason: string): EntrepotError {
  return scanError('SCAN_UNSUPPORTED', `${packageUrl(coordinates)}: ${reason}`);
}

/** @throws EntrepotError when `signal` is aborted */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw scanError('SCAN_INTERRUPTED', 'the scan was interrupted');
}
