import type { PackageCoordinates } from '@entrepot/core';

/** The algorithms of sidecars, by the ending of their name. */
const SIDECARS = { '.md5': 'md5', '.sha1': 'sha1', '.sha256': 'sha256', '.sha512': 'sha512' } as const;

/** The algorithm of a sidecar. */
export type SumName = (typeof SIDECARS)[keyof typeof SIDECARS];

/** The algorithms of sidecars. */
export const SUM_NAMES: readonly SumName[] = Object.values(SIDECARS);

/** The name of documents that list what a folder holds. */
export const METADATA = 'maven-metadata.xml';

/** A folder of a version, with a file of it. */
export interface MavenFile {
  /**
   * - `release`: a file of a release;
   * - `timestamped`: a file of one build of a snapshot;
   * - `snapshot`: a file that stands for the newest build of a snapshot;
   * - `other`: a file whose name is not that of its folder.
   */
  readonly kind: 'release' | 'timestamped' | 'snapshot' | 'other';
  /** Below the repository, as it is written there. */
  readonly path: string;
  /** `org.example`. Empty: its place names none. */
  readonly group: string;
  readonly artifact: string;
  /** The version that its folder names: `1.0`, `1.1-SNAPSHOT`. */
  readonly version: string;
  /** The build of a timestamped file: `20260102.030405-6`. */
  readonly build?: string | undefined;
  /** The rest of its name behind the version: `.jar`, `-sources.jar`. */
  readonly rest: string;
}

/** A document with the versions of a folder, or the builds of a snapshot. */
export interface MavenMetadata {
  readonly kind: 'metadata';
  readonly path: string;
  /** The folder, as a group and an artifact in it: it may be a group as well. */
  readonly group: string;
  readonly artifact: string;
  /** The snapshot whose builds it lists. Absent: it lists versions, or plugins. */
  readonly version?: string | undefined;
}

/** A file of a repository, or one of its sums. */
export interface MavenPath {
  readonly subject: MavenFile | MavenMetadata;
  /** Absent: the file itself. */
  readonly sum?: SumName | undefined;
}

/** Characters of a segment: those of coordinates, and what versions and classifiers of old are known to hold. */
const SEGMENT = /^[A-Za-z0-9_.+~@,!$'()=-]{1,255}$/;
/** Folders of a service, which begin with a dot as nothing else does. */
const DOTTED: ReadonlySet<string> = new Set(['.index', '.meta']);
const MOST_SEGMENTS = 64;

/** Reads decoded segments of a path. `undefined`: no repository has such a file. */
export function readPath(segments: readonly string[]): MavenPath | undefined {
  const isPath =
    segments.length > 0 &&
    segments.length <= MOST_SEGMENTS &&
    segments.every((segment) => SEGMENT.test(segment) && (!segment.startsWith('.') || DOTTED.has(segment)));
  if (!isPath) return undefined;
  const last = segments.at(-1) as string;
  const [ending, sum] = Object.entries(SIDECARS).find(([end]) => last.endsWith(end)) ?? ['', undefined];
  const file = last.slice(0, last.length - ending.length);
  if (file === '' || Object.keys(SIDECARS).some((end) => file.endsWith(end))) return undefined;
  return { subject: subjectOf([...segments.slice(0, -1), file]), sum };
}

/** The path of the POM that tells of a file of a version: it is in the same folder. */
export function pomPath({ path, artifact, version, build }: Omit<MavenFile, 'kind' | 'rest' | 'group'>): string {
  const own = build === undefined ? version : `${baseOf(version)}${build}`;
  return `${path.slice(0, path.lastIndexOf('/') + 1)}${artifact}-${own}.pom`;
}

/** The path of a file of a version, by its coordinates and its ending. */
export function filePath(
  { group, artifact, version }: Pick<MavenFile, 'group' | 'artifact' | 'version'>,
  rest: string,
): string {
  return [...group.split('.'), artifact, version, `${artifact}-${version}${rest}`].join('/');
}

/** Whether a version is a snapshot: its bytes change, or each build has its own. */
export function isSnapshot(version: string): boolean {
  return version.endsWith('SNAPSHOT');
}

/** The name of a package, or of a version of it. */
export function coordinatesOf({ group, artifact, version }: Partial<MavenFile>): PackageCoordinates | undefined {
  if (!group || !artifact) return undefined;
  return { ecosystem: 'maven', name: `${group}/${artifact}`, version };
}

/** The path below an upstream, percent-encoded. */
export function encodedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function subjectOf(segments: readonly string[]): MavenFile | MavenMetadata {
  const path = segments.join('/');
  const file = segments.at(-1) as string;
  const folders = segments.slice(0, -1);
  if (file === METADATA) return metadataOf(path, folders);
  const [artifact = '', version = ''] = folders.slice(-2);
  const group = folders.slice(0, -2).join('.');
  const other = { kind: 'other', path, group, artifact, version, rest: '' } as const;
  if (group === '') return { ...other, artifact: '', version: '' };
  const rest = restOf(file, `${artifact}-${version}`);
  if (!isSnapshot(version)) return rest === undefined ? other : { ...other, kind: 'release', rest };
  if (rest !== undefined) return { ...other, kind: 'snapshot', rest };
  const stem = `${artifact}-${baseOf(version)}`;
  const [, build, after] = (file.startsWith(stem) && BUILD.exec(file.slice(stem.length))) || [];
  return after === undefined ? other : { ...other, kind: 'timestamped', build, rest: after };
}

const BUILD = /^(\d{8}\.\d{6}-\d{1,9})([.-].*)$/;

function metadataOf(path: string, folders: readonly string[]): MavenMetadata {
  const version = folders.at(-1) ?? '';
  const isOfBuilds = isSnapshot(version) && folders.length > 2;
  const named = isOfBuilds ? folders.slice(0, -1) : folders;
  const group = named.slice(0, -1).join('.');
  return { kind: 'metadata', path, group, artifact: named.at(-1) ?? '', ...(isOfBuilds && { version }) };
}

/** A snapshot version without its last word: `1.1-`. */
function baseOf(version: string): string {
  return version.slice(0, version.length - 'SNAPSHOT'.length);
}

function restOf(file: string, stem: string): string | undefined {
  const rest = file.slice(stem.length);
  return file.startsWith(stem) && /^[.-]/.test(rest) ? rest : undefined;
}
