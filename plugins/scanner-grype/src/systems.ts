import type { ScanSubject } from '@entrepot/core';
import { distributionOf, SYSTEM_TYPES } from '@entrepot/core/tool';

/**
 * Distributions that Grype has advisories of, as package URLs and images name them. It lists the packages of others, too, and finds
 * nothing in them. Source: anchore/grype, grype/distro/type.go.
 */
const NAMES: ReadonlySet<string> = new Set([
  'alma',
  'almalinux',
  'alpine',
  'amazonlinux',
  'amzn',
  'azurelinux',
  'centos',
  'chainguard',
  'debian',
  'mariner',
  'ol',
  'oraclelinux',
  'redhat',
  'rhel',
  'rocky',
  'rockylinux',
  'sles',
  'ubuntu',
  'wolfi',
]);

/** Whether Grype has advisories of the distribution `name`. */
export function isKnownSystem(name: string): boolean {
  return NAMES.has(name);
}

/** Whether Grype can judge `subject`: for packages of a distribution, it must be known of which. */
export function isCovered(subject: ScanSubject): boolean {
  if (!SYSTEM_TYPES.includes(subject.coordinates.ecosystem)) return true;
  const distribution = distributionOf(subject);
  return distribution !== undefined && isKnownSystem(distribution.name);
}
