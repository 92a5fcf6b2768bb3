import type { Resource } from '@entrepot/core';
import type { Format, ListedFile, Taken } from '../shared/format.js';
import { readListed } from '../shared/listed.js';
import { leftOut } from '../shared/at-mirrors.js';
import { packageAt } from '../shared/resources.js';
import { LARGEST_RELEASE, readRelease, type Release } from './release.js';
import { route } from './routes.js';

/** Repositories of Debian packages. */
export const DEB: Format<Release> = {
  mains: () => ['InRelease', 'Release'],
  pathOf: (root, name) => (root === '' ? name : `${root}/${name}`),
  route,
  read: readRelease,
  beside,
  signatureOf: (name) => (name === 'InRelease' ? 'within' : { detached: 'Release.gpg' }),
  isSignature: (name) => name === 'Release.gpg',
  mediaTypeOf: (name) => (name === 'Release.gpg' ? 'application/pgp-signature' : 'text/plain'),
  largestPointer: LARGEST_RELEASE,
  placeOf,
  fileBySum: ({ bySum }, hex) => bySum.get(hex),
  guessedRoot,
  unlisted: (name) => (INDEX.test(name) ? 'nothing' : 'auxiliary'),
  namesBelow,
  isPackage,
  likelyLists,
  artifact,
};

const INDEX = /(?:^|\/)(?:Packages|Sources|Contents-|Translation-|Components-|Commands-|Release$)/;

/** Takes `Release` and `Release.gpg` beside the document that counts, where they are of the same time. */
async function beside(
  _root: string,
  main: Taken,
  { date }: Release,
  take: (name: string, signed?: Taken) => Promise<Taken | undefined>,
): Promise<readonly Taken[]> {
  const plain = main.name === 'Release' ? main : await take('Release').catch(leftOut);
  if (plain === undefined || readRelease(await plain.bytes(), plain.name).date !== date) return [];
  const signature = await take('Release.gpg', plain).catch(leftOut);
  return [...(plain === main ? [] : [plain]), ...(signature === undefined ? [] : [signature])];
}

/** Names an index by its sum where mirrors have that: then they may be of another time. */
function placeOf(path: string, { integrity: { hex } }: ListedFile, { byHash }: Release): string {
  return byHash ? `${path.slice(0, path.lastIndexOf('/') + 1)}by-hash/SHA256/${hex}` : path;
}

/** `dists/bookworm` of an index below it. */
function guessedRoot(path: string): string | undefined {
  const segments = path.split('/');
  const suite = segments.lastIndexOf('dists') + 1;
  if (suite > 0) return segments.length > suite + 1 ? segments.slice(0, suite + 1).join('/') : undefined;
  return segments.slice(0, -1).join('/');
}

/** The names by which an index of `root` may list `path`: below the archive of the root. */
function namesBelow(path: string, root: string): string[] {
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

/** Whether a path is that of a package or of a source file. */
function isPackage(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return /\.(?:[ud]?deb|dsc)$/.test(name) || (/[_-]/.test(name) && /\.(?:tar|diff)\.[a-z0-9]+$/.test(name));
}

/**
 * The lists of a release that may list `path`: those of its component and architecture, in one form each.
 * `pool/main/h/hello/hello_1.0_amd64.deb` is in `main/binary-amd64/Packages`.
 */
function likelyLists(path: string, { files, packageLists }: Release): readonly string[] {
  const component = /(?:^|\/)pool\/([^/]+)\//.exec(path)?.[1];
  const architecture = /_([a-z0-9-]+)\.[ud]?deb$/.exec(path)?.[1] ?? 'source';
  const folder = architecture === 'source' ? 'source' : `binary-${architecture}`;
  const lists = packageLists.filter((name) => {
    if (!name.includes('/')) return true;
    const isOfIt = architecture === 'all' ? name.includes('/binary-') : name.includes(`/${folder}/`);
    return isOfIt && (component === undefined || name.startsWith(`${component}/`));
  });
  const sizeOf = (name: string): number => files.get(name)?.size ?? Infinity;
  const smallest = new Map<string, string>();
  for (const name of lists) {
    const place = name.replace(/\.[a-z]+$/, '');
    const other = smallest.get(place);
    if (other === undefined || sizeOf(name) < sizeOf(other)) smallest.set(place, name);
  }
  return [...smallest.values()].slice(0, MOST_LIKELY);
}

/** The bound on lists that are fetched for one package. */
const MOST_LIKELY = 4;

function artifact(path: string, value: Buffer, distribution: string | undefined): Resource {
  return packageAt(path, readListed(value), { ecosystem: 'deb', distribution });
}
