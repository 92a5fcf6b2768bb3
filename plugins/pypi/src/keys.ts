import type { PackageCoordinates } from '@entrepot/core';
import type { PageFile } from './page-file.js';
import { encodeSegment } from './segment.js';

type Named = Pick<PageFile, 'tag' | 'filename'>;

/** The suffixes of what goes with a file. */
export const METADATA_SUFFIX = '.metadata';
/** OpenPGP in ASCII (PEP 503 names it), other detached signatures, minisign. */
export const SIGNATURE_SUFFIXES = ['.asc', '.sig', '.minisig'] as const;
export type SignatureSuffix = (typeof SIGNATURE_SUFFIXES)[number];

const SIDECAR_SUFFIXES = [METADATA_SUFFIX, ...SIGNATURE_SUFFIXES] as const;

/** The beginnings of the keys of files, of metadata that may be read out of them, and of provenance. */
const FILE_PREFIX = 'file/';
const DERIVED_PREFIX = 'metadata/';
const PROVENANCE_PREFIX = 'integrity/';

/** Names a project, or a version of it, for policy, scanners and logs. */
export function coordinatesOf(project: string, version?: string): PackageCoordinates {
  return version === undefined ? { ecosystem: 'pypi', name: project } : { ecosystem: 'pypi', name: project, version };
}

/** Gives the key of a file, and of its sidecars with their suffix. The tag keeps files of two upstreams apart. */
export function fileKey(project: string, { tag, filename }: Named, suffix = ''): string {
  return `${FILE_PREFIX}${project}/${tag}/${filename}${suffix}`;
}

/** Gives the key of the metadata that is read out of the file with `key` where the upstream has none. */
export function derivedKey(key: string): string {
  return DERIVED_PREFIX + key.slice(FILE_PREFIX.length);
}

/** The parts of a key. */
export interface KeyParts {
  readonly kind: 'provenance' | 'derived' | 'file' | 'metadata' | 'signature';
  /** The key of the file; empty for provenance. */
  readonly file: string;
  /** The suffix of a signature. */
  readonly suffix?: SignatureSuffix | undefined;
}

/** Reads a key: the kind of its resource, and the key of the file that it is, or tells of. Provenance is of no one file. */
export function readKey(key: string): KeyParts {
  if (key.startsWith(PROVENANCE_PREFIX)) return { kind: 'provenance', file: '' };
  if (key.startsWith(DERIVED_PREFIX)) return { kind: 'derived', file: FILE_PREFIX + key.slice(DERIVED_PREFIX.length) };
  const suffix = sidecarSuffix(key);
  if (suffix === undefined) return { kind: 'file', file: key };
  const file = key.slice(0, -suffix.length);
  return suffix === METADATA_SUFFIX ? { kind: 'metadata', file } : { kind: 'signature', file, suffix };
}

/** Finds the suffix of a sidecar, at the end of a name or a key. */
export function sidecarSuffix(name: string): typeof METADATA_SUFFIX | SignatureSuffix | undefined {
  return SIDECAR_SUFFIXES.find((end) => name.endsWith(end));
}

/** Gives the path of a file below the repository, encoded. */
export function filePath(project: string, { tag, filename }: Named, suffix = ''): string {
  return `files/${project}/${tag}/${encodeSegment(filename + suffix)}`;
}

/** Gives the path of a provenance object below an index (PEP 740, as the public index serves it), encoded. */
export function provenancePath(project: string, version: string, filename: string): string {
  return `integrity/${project}/${encodeSegment(version)}/${encodeSegment(filename)}/provenance`;
}

/** Gives the key of a provenance object: it is of a file by its name, whatever its tag. */
export function provenanceKey(project: string, { version, filename }: Pick<PageFile, 'version' | 'filename'>): string {
  return `${PROVENANCE_PREFIX}${project}/${version}/${filename}`;
}
