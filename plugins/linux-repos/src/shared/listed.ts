import { parseHex, type Integrity, type IntegrityAlgorithm } from '@entrepot/core';

/** The longest path of a file in a repository, in characters. */
const LONGEST_PATH = 4096;
/** The longest name or version, in characters. */
const LONGEST_WORD = 1024;

/** A file of a repository, as an index lists it. */
export interface ListedFile {
  /** Of the whole file. */
  readonly checksum: Integrity;
  /** Bytes; 0 where the index does not say. */
  readonly size: number;
  readonly name: string;
  /** As the ecosystem compares it, with its epoch where it has one. */
  readonly version: string;
  readonly architecture: string;
  /** The package that it was built from. Its own name where the index does not say. */
  readonly source: string;
  readonly sourceVersion: string;
}

/** Writes the value of a row: words, with `more` at their end. */
export function printListed(file: ListedFile, more: readonly string[] = []): string {
  const { checksum, size, name, version, architecture, source, sourceVersion } = file;
  const sum = `${checksum.algorithm}:${checksum.hex}`;
  return [sum, size, name, version, architecture, source, sourceVersion, ...more].join(' ');
}

/** Reads the value of a row that was written by `printListed`. */
export function readListed(value: Buffer): ListedFile & { readonly more: readonly string[] } {
  const [sum = '', size, name = '', version = '', architecture = '', source = '', sourceVersion = '', ...more] = value
    .toString('utf8')
    .split(' ');
  const colon = sum.indexOf(':');
  const checksum = { algorithm: sum.slice(0, colon) as IntegrityAlgorithm, hex: sum.slice(colon + 1) };
  return { checksum, size: Number(size), name, version, architecture, source, sourceVersion, more };
}

/** A name or a version. `undefined`: a text that has blanks or is not ASCII, or none. */
export function wordOf(text: string | undefined): string | undefined {
  return text !== undefined && text.length <= LONGEST_WORD && /^[!-~]+$/.test(text) ? text : undefined;
}

/** A number of bytes, or of seconds. `undefined`: none. */
export function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A path below a repository as requests have it. `undefined`: one that leads elsewhere, or none. */
export function pathOf(text: string | undefined): string | undefined {
  if (text === undefined || text.length > LONGEST_PATH || !isBelow(text)) return undefined;
  const segments = text.split('/').filter((segment) => segment !== '' && segment !== '.');
  return segments.length === 0 ? undefined : segments.join('/');
}

/** A name of one file, without folders. `undefined`: none. */
export function fileNameOf(text: string | undefined): string | undefined {
  const path = pathOf(text);
  return path === text && path?.includes('/') === false ? path : undefined;
}

/** A checksum in hex, by the name of its algorithm. `undefined`: another algorithm, or none of that one. */
export function checksumOf(algorithm: string | undefined, text: string | undefined): Integrity | undefined {
  const known = algorithm?.toLowerCase() === 'sha' ? 'sha1' : algorithm?.toLowerCase();
  if (text === undefined || known === undefined || !ALGORITHMS.has(known)) return undefined;
  return parseHex(known as IntegrityAlgorithm, text);
}

const ALGORITHMS: ReadonlySet<string> = new Set(['md5', 'sha1', 'sha256', 'sha384', 'sha512']);

function isBelow(path: string): boolean {
  if (path.startsWith('/') || /^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return false;
  return !/(?:^|\/)\.\.(?:\/|$)|\\|\p{Cc}/u.test(path);
}
