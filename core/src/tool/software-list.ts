import { packageUrl } from '../api/coordinates.js';
import type { ScanSubject } from '../api/scanner.js';

/** Package URL types of distributions. */
export const SYSTEM_TYPES: readonly string[] = ['apk', 'deb', 'rpm'];

/** A distribution as package URLs name it in `distro`: `debian-12`, `alpine-3.20.1`. */
export interface Distribution {
  readonly name: string;
  readonly version: string;
}

/** The distribution that `subject` is a package of. Absent: it is none, or it is not known of which. */
export function distributionOf({ qualifiers }: ScanSubject): Distribution | undefined {
  const match = /^([a-z][a-z0-9.+_-]*?)-(\d[\w.]*)$/.exec(qualifiers?.distro ?? '');
  return match === null ? undefined : { name: match[1] as string, version: match[2] as string };
}

/** The package URL of `subject`, with its qualifiers in order (purl-spec). A package of a distribution has that as its namespace. */
export function subjectUrl(subject: ScanSubject): string {
  const { coordinates, qualifiers = {} } = subject;
  const distribution = distributionOf(subject);
  const isBare = distribution !== undefined && !coordinates.name.includes('/');
  const pairs = Object.entries(qualifiers)
    .filter(([, value]) => value !== '')
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2F', '/')}`);
  const name = isBare ? `${distribution.name}/${coordinates.name}` : coordinates.name;
  return `${packageUrl({ ...coordinates, name })}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
}

export interface ComponentProperty {
  readonly name: string;
  readonly value: string;
}

/** Settings of a list for one tool. */
export interface SoftwareListOptions {
  readonly distribution?: Distribution | undefined;
  /** Properties of a package that the tool needs besides its URL. */
  propertiesOf?(subject: ScanSubject): readonly ComponentProperty[];
}

/** The `bom-ref` of the subject at `index`. Each has its own: components without one can vanish. */
export function componentReference(index: number): string {
  return `subject-${index}`;
}

/** A CycloneDX 1.5 document that lists `subjects`, each as a component of its own. */
export function softwareList(
  subjects: readonly ScanSubject[],
  { distribution, propertiesOf = () => [] }: SoftwareListOptions = {},
): string {
  const components = subjects.map((subject, index) => ({
    type: 'library',
    'bom-ref': componentReference(index),
    name: distribution === undefined ? subject.coordinates.name : subject.coordinates.name.split('/').at(-1),
    version: subject.coordinates.version,
    purl: subjectUrl(subject),
    properties: propertiesOf(subject),
  }));
  const system = distribution && { type: 'operating-system', 'bom-ref': 'distribution', ...distribution };
  return JSON.stringify({
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    components: [...components, ...(system === undefined ? [] : [system])],
  });
}
