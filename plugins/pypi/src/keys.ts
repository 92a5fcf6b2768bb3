import type { PackageCoordinates } from '@entrepot/core';
import type { PageFile } from './page-file.js';
import { encodeSegment } from './segment.js';

type Named = Pick<PageFile, 'tag' | 'filename'>;

/** The suffixes of what goes with a file. */
export const METADATA_SUFFIX = '.metadata';
export const SIGNATURE_SUFFIX = '.asc';

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

/** Reads a key: the kind of its resource, and the key of the file that it is, or tells of. Provenance is of no one file. */
export function readKey(key: string) {
  if (key.startsWith(PROVENANCE_PREFIX)) return { kind: 'provenance', file: '' } as const;
  if (key.startsWith(DERIVED_PREFIX)) {
    return { kind: 'derived', file: FILE_PREFIX + key.slice(DERIVED_PREFIX.length) } as const;
  }
  const suffix = [METADATA_SUFFIX, SIGNATURE_SUFFIX].find((end) => key.endsWith(end));
  if (suffix === undefined) return { kind: 'file', file: key } as const;
  const kind = suffix === METADATA_SUFFIX ? 'metadata' : 'signature';
  return { kind, file: key.slice(0, -suffix.length) } as const;
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
