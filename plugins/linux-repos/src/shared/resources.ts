import type { Integrity, Resource } from '@entrepot/core';
import type { Format, ListedFile, Listing } from './format.js';
import type { ListedFile as ListedPackage } from './listed.js';

/** The prefix of the keys of generations. */
export const GENERATIONS = 'generations/';
/** The prefix of the keys of index files. */
export const INDEXES = 'index/';

/** The generations of a root. @param ask whether mirrors are asked: `never`, or also before their time */
export function generations(root: string, ask?: 'never' | 'now'): Resource {
  const attributes = { root, cached: ask === 'never', isForced: ask === 'now' };
  return { class: 'generations', key: generationsKey(root), attributes };
}

/** The key of the generations of a root. */
export function generationsKey(root: string): string {
  return `${GENERATIONS}${root || '.'}`;
}

/** The roots of which generations are kept, by their keys. */
export function rootsOf(keys: readonly string[]): string[] {
  return keys.map((key) => key.slice(GENERATIONS.length)).map((root) => (root === '.' ? '' : root));
}

/** A pointer document of one generation. @param of the SHA-256 of the document that it signs, where it is a signature that is new here */
export function pointer(root: string, name: string, sha256: string, of?: string): Resource {
  return { class: 'pointer', key: pointerKey(sha256), attributes: { root, name, sha256, of } };
}

/** The key of a pointer document of a generation. */
export function pointerKey(sha256: string): string {
  return `pointer/${sha256}`;
}

/** A pointer document of one generation, as it is read. */
export function listing(root: string, name: string, sha256: string): Resource {
  return { ...pointer(root, name, sha256), class: 'listing' };
}

/** An index file that a listing has at `name`. */
export function index(format: Format, root: string, name: string, file: ListedFile, listing: Listing): Resource {
  const path = format.pathOf(root, name);
  const place = format.placeOf?.(path, file, listing) ?? path;
  // A mirror may announce index files by their sums and lack them.
  return { ...indexAt(place, file.integrity), ...(place !== path && { otherPaths: [upstreamPath(path)] }) };
}

/** An index file by its sum. @param path where mirrors have it */
export function indexAt(path: string, integrity: Integrity): Resource {
  return { class: 'index', key: indexKey(integrity), path: upstreamPath(path), integrity: [integrity] };
}

/** The key of an index file. */
export function indexKey(integrity: Integrity): string {
  return `${INDEXES}${sumOf(integrity)}`;
}

/** The key of a package: by its sum, since its name may have stood for other bytes before. */
function packageKey(integrity: Integrity): string {
  return `package/${sumOf(integrity)}`;
}

function sumOf({ algorithm, hex }: Integrity): string {
  return algorithm === 'sha256' ? hex : `${algorithm}-${hex}`;
}

/** An index file that is kept, read as a list of packages. */
export function packageList({ integrity }: ListedFile): Resource {
  return { class: 'packages', key: indexKey(integrity), attributes: { cached: true } };
}

/** A main pointer document, read as a list of packages. */
export function mainPackageList(sha256: string): Resource {
  return { class: 'packages', key: pointerKey(sha256), attributes: { cached: true } };
}

/** A package that a list has, of a distribution or none. */
export function packageAt(
  path: string,
  { checksum, source, sourceVersion }: Pick<ListedPackage, 'checksum' | 'source' | 'sourceVersion'>,
  { ecosystem, distribution }: { readonly ecosystem: string; readonly distribution: string | undefined },
): Resource {
  return {
    class: 'package',
    key: packageKey(checksum),
    path: upstreamPath(path),
    integrity: [checksum],
    coordinates: {
      ecosystem,
      // Advisories are by the source package.
      name: distribution === undefined ? source : `${distribution}/${source}`,
      version: sourceVersion,
    },
    attributes: { filename: path.slice(path.lastIndexOf('/') + 1) },
  };
}

/** A file that no index lists. */
export function auxiliary(path: string): Resource {
  return { class: 'auxiliary', key: `auxiliary/${path}`, path: upstreamPath(path) };
}

/** The path of a file below the archive, as a mirror is asked for it. */
export function upstreamPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
