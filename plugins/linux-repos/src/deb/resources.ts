import type { Resource } from '@entrepot/core';
import type { ListedPackage } from './package-rows.js';
import type { ListedFile, Release } from './release.js';
import { indexKey, upstreamPath } from './routes.js';

/** The prefix of the keys of generations. */
export const GENERATIONS = 'generations/';

/** The generations of a root. @param cached whether no mirror is to be asked */
export function generations(root: string, cached = false): Resource {
  return { class: 'generations', key: `${GENERATIONS}${root || '.'}`, attributes: { root, cached } };
}

/** A pointer document of one generation. */
export function pointer(root: string, name: string, sha256: string): Resource {
  return { class: 'pointer', key: `pointer/${sha256}`, attributes: { root, name, sha256 } };
}

/** An index file. Mirrors are asked by its sum where they have that: then they may be of another time. */
export function index(root: string, name: string, { sha256 }: ListedFile, { byHash }: Release): Resource {
  const path = root === '' ? name : `${root}/${name}`;
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  return {
    class: 'index',
    key: indexKey(sha256),
    path: upstreamPath(byHash ? `${folder}by-hash/SHA256/${sha256}` : path),
    integrity: [sha256Of(sha256)],
  };
}

/** The lists of packages of a release that are kept. */
export function packageLists({ files }: Release, kept: ReadonlySet<string>): ListedFile[] {
  return [...files]
    .filter(([name, { sha256 }]) => LISTS_PACKAGES.test(name) && kept.has(indexKey(sha256)))
    .map(([, file]) => file);
}

const LISTS_PACKAGES = /(?:^|\/)(?:Packages|Sources)(?:\.(?:gz|xz|zst))?$/;

/** An index that is kept, read as a list of packages. */
export function packages(sha256: string): Resource {
  return { class: 'packages', key: indexKey(sha256), attributes: { cached: true } };
}

/** Whether a path is that of a package or of a source file. */
export function isPackage(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return /\.(?:[ud]?deb|dsc)$/.test(name) || (/[_-]/.test(name) && /\.(?:tar|diff)\.[a-z0-9]+$/.test(name));
}

/**
 * The lists of a release that may list `path`: those of its component and architecture, in one form each.
 * `pool/main/h/hello/hello_1.0_amd64.deb` is in `main/binary-amd64/Packages`.
 */
export function likelyLists(path: string, { files }: Release): [name: string, file: ListedFile][] {
  const component = /(?:^|\/)pool\/([^/]+)\//.exec(path)?.[1];
  const architecture = /_([a-z0-9-]+)\.[ud]?deb$/.exec(path)?.[1] ?? 'source';
  const folder = architecture === 'source' ? 'source' : `binary-${architecture}`;
  const lists = [...files].filter(([name]) => {
    if (!LISTS_PACKAGES.test(name)) return false;
    if (!name.includes('/')) return true;
    const isOfIt = architecture === 'all' ? name.includes('/binary-') : name.includes(`/${folder}/`);
    return isOfIt && (component === undefined || name.startsWith(`${component}/`));
  });
  const smallest = new Map<string, [string, ListedFile]>();
  for (const list of lists) {
    const place = list[0].replace(/\.[a-z]+$/, '');
    if (list[1].size < (smallest.get(place)?.[1].size ?? Infinity)) smallest.set(place, list);
  }
  return [...smallest.values()].slice(0, MOST_LIKELY);
}

/** The bound on lists that are fetched for one package. */
const MOST_LIKELY = 4;

export function artifact(
  path: string,
  { sha256, source, sourceVersion }: ListedPackage,
  distribution: string | undefined,
): Resource {
  const name = distribution === undefined ? source : `${distribution}/${source}`;
  return {
    class: 'package',
    // The same path may have stood for other bytes before.
    key: `package/${sha256}`,
    path: upstreamPath(path),
    integrity: [sha256Of(sha256)],
    coordinates: { ecosystem: 'deb', name, version: sourceVersion },
    attributes: { filename: path.slice(path.lastIndexOf('/') + 1) },
  };
}

export function auxiliary(path: string): Resource {
  return { class: 'auxiliary', key: `auxiliary/${path}`, path: upstreamPath(path) };
}

/** Passes on what a suite has beside its index files. `undefined`: an index that it does not list is none. */
export function unlisted(path: string, name: string): Resource | undefined {
  const isIndex = /(?:^|\/)(?:Packages|Sources|Contents-|Translation-|Components-|Commands-|Release$)/.test(name);
  return isIndex ? undefined : auxiliary(path);
}

export function sha256Of(hex: string) {
  return { algorithm: 'sha256', hex } as const;
}

/** `dists/bookworm` of an index below it. */
export function guessedRoot(path: string): string | undefined {
  const segments = path.split('/');
  const suite = segments.lastIndexOf('dists') + 1;
  if (suite > 0) return segments.length > suite + 1 ? segments.slice(0, suite + 1).join('/') : undefined;
  return segments.slice(0, -1).join('/');
}

/** The names by which an index of `root` may list `path`: below the archive of the root. */
export function belowArchive(path: string, root: string): string[] {
  const suites = /^(?:(.*)\/)?dists\//.exec(`${root}/`);
  const folders = root.split('/');
  // The archive of a flat repository is where its users say.
  const archives =
    suites === null ? folders.map((_, index) => folders.slice(0, index).join('/')).concat(root) : [suites[1] ?? ''];
  return [...new Set(archives)].flatMap((archive) => {
    if (archive === '') return [path];
    return path.startsWith(`${archive}/`) ? [path.slice(archive.length + 1)] : [];
  });
}
