import type { ScanSubject } from '@entrepot/core';
import { distributionOf, SYSTEM_TYPES, type ComponentProperty, type Distribution } from '@entrepot/core/tool';

/**
 * Trivy's names of the distributions that it has advisories for. It also lists the packages of others, without
 * findings.
 * Source: aquasecurity/trivy, pkg/fanal/types/const.go and pkg/detector/ospkg.
 */
const FAMILIES: Readonly<Record<string, string>> = {
  alma: 'alma',
  almalinux: 'alma',
  alpine: 'alpine',
  amazon: 'amazon',
  amzn: 'amazon',
  azurelinux: 'azurelinux',
  'cbl-mariner': 'cbl-mariner',
  centos: 'centos',
  chainguard: 'chainguard',
  debian: 'debian',
  mariner: 'cbl-mariner',
  ol: 'oracle',
  'opensuse-leap': 'opensuse.leap',
  'opensuse.leap': 'opensuse.leap',
  oracle: 'oracle',
  photon: 'photon',
  redhat: 'redhat',
  rhel: 'redhat',
  rocky: 'rocky',
  sles: 'sles',
  ubuntu: 'ubuntu',
  wolfi: 'wolfi',
};

/** Whether Trivy has advisories for the distribution that it names `family`. */
export function isKnownFamily(family: string): boolean {
  return Object.values(FAMILIES).includes(family);
}

/** The distribution of `subject` in Trivy's terms. Absent: Trivy cannot judge its packages. */
export function systemOf(subject: ScanSubject): Distribution | undefined {
  const distribution = distributionOf(subject);
  const name = distribution && FAMILIES[distribution.name];
  return name === undefined ? undefined : { name, version: (distribution as Distribution).version };
}

/** Properties of a distribution's package that Trivy needs: its advisories are about source packages. */
export function systemProperties(subject: ScanSubject): readonly ComponentProperty[] {
  const system = systemOf(subject);
  if (system === undefined || !SYSTEM_TYPES.includes(subject.coordinates.ecosystem)) return [];
  const { coordinates, qualifiers = {} } = subject;
  const [name, version = coordinates.version ?? ''] = (qualifiers.upstream ?? '').split('@') as [string, string?];
  const own = coordinates.name.split('/').at(-1) as string;
  const facts = { PkgType: system.name, SrcName: name === '' ? own : name, SrcVersion: version };
  return Object.entries(facts).map(([key, value]) => ({ name: `aquasecurity:trivy:${key}`, value }));
}
