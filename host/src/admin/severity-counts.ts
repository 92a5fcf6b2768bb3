import { packageUrl, type Finding, type PackageCoordinates } from '@entrepot/core';
import { compilePackages } from '@entrepot/core/engine';
import type { KeptException } from '../drivers/sql/exception-store.js';

/** The vulnerabilities of one version, with how many of each severity, and which an exception is for. */
export function severityCounts(
  coordinates: PackageCoordinates,
  findings: readonly Finding[],
  exceptions: readonly KeptException[],
) {
  const counts = { critical: 0, high: 0, medium: 0, low: 0, none: 0, unknown: 0 };
  const about = exceptions.filter(
    ({ scope }) => scope.purl === undefined || compilePackages(scope.purl)(coordinates) !== undefined,
  );
  const vulnerabilities = findings.map((finding) => {
    counts[finding.severity] += 1;
    const names = new Set([finding.id, ...finding.aliases].map((name) => name.toUpperCase()));
    const exception = about.find(
      ({ advisories }) => advisories === undefined || advisories.some((name) => names.has(name.toUpperCase())),
    );
    const { id, aliases, severity, cvss, title, url, fixedIn, malicious, exploited, epss } = finding;
    return {
      id,
      aliases,
      severity,
      cvss,
      title,
      url,
      malicious,
      exploited,
      epss,
      fixed_in: fixedIn,
      bypassed: exception !== undefined,
      bypass_id: exception?.id,
      bypass_reason: exception?.reason,
      bypass_expires_at: exception && new Date(exception.expiresAt).toISOString(),
    };
  });
  return {
    purl: packageUrl(coordinates),
    severity_counts: counts,
    total: findings.length,
    bypassed: vulnerabilities.filter(({ bypassed }) => bypassed).length,
    vulnerabilities,
  };
}
