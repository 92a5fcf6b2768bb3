import type { RequestHead, Resource } from '@entrepot/core';
import type { Format, ListedFile, Listing, Taken } from '../shared/format.js';
import { leftOut } from '../shared/at-mirrors.js';
import { packageAt } from '../shared/resources.js';
import { file, mirrors, named, routeFile, suite } from '../shared/routes.js';
import { readListed } from '../shared/listed.js';
import { RPM_MIRRORS } from './own-mirrors.js';
import { LARGEST_REPOMD, parseRepomd, type Repomd } from './repomd.js';

const FOLDER = 'repodata';
const MAIN = `${FOLDER}/repomd.xml`;
const SIGNATURE = `${MAIN}.asc`;
const KEY = `${MAIN}.key`;
/** The sum in the name of an index file. */
const SUM = /(?<=\/)[0-9a-f]{32,128}-/;
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  [MAIN]: 'application/xml',
  [SIGNATURE]: 'application/pgp-signature',
  [KEY]: 'application/pgp-keys',
};

/** Repositories of RPM packages: folders with a `repodata` folder. */
export const RPM: Format = {
  mains: () => [MAIN],
  pathOf: (root, name) => (root === '' ? name : `${root}/${name}`),
  route,
  read: (bytes, name) => listingOf(parseRepomd(bytes, name)),
  beside,
  signatureOf: (name) => (name === MAIN ? { detached: SIGNATURE } : undefined),
  isSignature: (name) => name === SIGNATURE,
  isKey: (name) => name === KEY,
  mediaTypeOf: (name) => MEDIA_TYPES[name] as string,
  largestPointer: LARGEST_REPOMD,
  roleOf: (name) => name.replace(SUM, ''),
  needed: ({ packageLists }) => packageLists.slice(0, 1),
  guessedRoot: rootOf,
  // A client that has read an earlier repomd.xml asks for what that lists.
  unlisted: (name) => (name.startsWith(`${FOLDER}/`) ? 'earlier' : 'auxiliary'),
  namesBelow: (path, root) => (root === '' ? [path] : path.startsWith(`${root}/`) ? [path.slice(root.length + 1)] : []),
  isPackage: (path) => /\.d?rpm$/.test(path),
  likelyLists: (_path, { packageLists }) => packageLists.slice(0, 1),
  artifact,
};

/** Names what a request of dnf or zypper is for. */
function route(head: RequestHead): Resource | undefined {
  return routeFile(head, (asked) => {
    const root = rootOf(asked.path);
    if (root === undefined && RPM_MIRRORS.names.includes(asked.name)) return mirrors(asked);
    if (root === undefined) return file(asked);
    const name = `${FOLDER}/${asked.name}`;
    return Object.hasOwn(MEDIA_TYPES, name) ? suite(root, name, asked) : named(asked);
  });
}

/** The folder that has the `repodata` folder with a file. `undefined`: it is in none. */
function rootOf(path: string): string | undefined {
  const folders = path.split('/').slice(0, -1);
  return folders.at(-1) === FOLDER ? folders.slice(0, -1).join('/') : undefined;
}

async function beside(
  _root: string,
  main: Taken,
  _listing: Listing,
  take: (name: string, signed?: Taken) => Promise<Taken | undefined>,
): Promise<readonly Taken[]> {
  const found = [await take(SIGNATURE, main).catch(leftOut), await take(KEY).catch(leftOut)];
  return found.filter((one) => one !== undefined);
}

/** Lists of packages and of deltas between them. Files of zchunk and sqlite list the same packages again. */
const LISTS: ReadonlySet<string> = new Set(['primary', 'prestodelta', 'deltainfo']);

function listingOf({ items, date, distributions, weight }: Repomd): Listing {
  const files = new Map<string, ListedFile>();
  for (const { path, checksum, size = 0 } of items) files.set(path, { integrity: checksum, size });
  return {
    weight: weight + 200 * files.size,
    date,
    files,
    packageLists: items.filter(({ type }) => LISTS.has(type)).map(({ path }) => path),
    distribution: distributions.map(namedByCpe).find((one) => one !== undefined),
  };
}

/** `rocky-linux-9` of `cpe:/o:rocky:rocky:9::baseos`. `undefined`: none that OSV has advisories of. */
function namedByCpe(cpe: string): string | undefined {
  const [, vendor = '', product = '', version = ''] = cpe
    .toLowerCase()
    .replace(/^cpe:(?:\/o|2\.3:o)/, '')
    .split(':');
  const [name, precise = false] = BY_CPE.get(`${vendor}:${product}`) ?? [];
  const release = (precise ? /^\d+\.\d+/ : /^\d+/).exec(version)?.[0];
  return name === undefined || release === undefined ? undefined : `${name}${release}`;
}

const BY_CPE: ReadonlyMap<string, readonly [name: string, precise?: boolean]> = new Map([
  ['rocky:rocky', ['rocky-linux-']],
  ['almalinux:almalinux', ['almalinux-']],
  ['redhat:enterprise_linux', ['redhat-']],
  ['opensuse:leap', ['opensuse-Leap ', true]],
  ['mageia:mageia', ['mageia-']],
]);

function artifact(path: string, value: Buffer, distribution: string | undefined): Resource {
  return packageAt(path, readListed(value), { ecosystem: 'rpm', distribution });
}
