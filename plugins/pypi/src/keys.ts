import type { PageFile } from './page-file.js';

/** The suffixes of what goes with a file. */
export const METADATA_SUFFIX = '.metadata';
export const SIGNATURE_SUFFIX = '.asc';

/** The beginnings of the keys of files, of metadata that may be read out of them, and of provenance. */
export const FILE_PREFIX = 'file/';
export const DERIVED_PREFIX = 'metadata/';
export const PROVENANCE_PREFIX = 'integrity/';

/** Under which key the page of a project is kept. */
export function pageKey(project: string): string {
  return `simple/${project}`;
}

/** Under which key a file is kept, and its sidecars with their suffix. The tag keeps files of two upstreams apart. */
export function fileKey(project: string, { tag, filename }: Pick<PageFile, 'tag' | 'filename'>, suffix = ''): string {
  return `${FILE_PREFIX}${project}/${tag}/${filename}${suffix}`;
}

/** Under which key metadata is kept that is read out of a wheel where the upstream has none. */
export function derivedMetadataKey(project: string, { tag, filename }: Pick<PageFile, 'tag' | 'filename'>): string {
  return `${DERIVED_PREFIX}${project}/${tag}/${filename}`;
}

/** The path of a file below the repository, encoded. */
export function filePath(project: string, { tag, filename }: Pick<PageFile, 'tag' | 'filename'>, suffix = ''): string {
  return `files/${project}/${tag}/${encodeSegment(filename + suffix)}`;
}

/** The path of a provenance object below an index (PEP 740, as the public index serves it), encoded. */
export function provenancePath(project: string, version: string, filename: string): string {
  return `integrity/${project}/${encodeSegment(version)}/${encodeSegment(filename)}/provenance`;
}

/** Under which key a provenance object is kept, and described: it is of a file by its name, whatever its tag. */
export function provenanceKey(project: string, { version, filename }: Pick<PageFile, 'version' | 'filename'>): string {
  return `${PROVENANCE_PREFIX}${project}/${version}/${filename}`;
}

/** One segment of a path. */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
