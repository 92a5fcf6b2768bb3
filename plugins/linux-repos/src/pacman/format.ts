import type { RequestHead, Resource, Route } from '@entrepot/core';
import type { Format, Listing, Taken } from '../shared/format.js';
import { leftOut } from '../shared/at-mirrors.js';
import { auxiliary, packageAt } from '../shared/resources.js';
import { file, routeFile, suite } from '../shared/routes.js';
import { readPacmanValue, signatureOf } from './db-rows.js';

/** The largest database that is taken, in bytes. That of the files of Arch's `extra` has 50 MB. */
const LARGEST_DATABASE = 256 * 1024 * 1024;

/** Databases by their names: `core.db`, `core.files`, their packed spelling, which is the same file, and their signatures. */
const DATABASE = /^([^/]+\.(?:db|files))(?:\.tar(?:\.[a-z0-9]+)?)?(\.sig)?$/;

/**
 * Repositories of pacman. A root is one database, `core/os/x86_64/core.db`: several are in one folder, and that with the lists of files is
 * published at times of its own.
 */
export const PACMAN: Format = {
  mains: (root) => [nameOf(root)],
  pathOf: (root, name) => `${root.slice(0, root.length - nameOf(root).length)}${name}`,
  route,
  beside,
  signatureOf: (name) => (name.endsWith('.sig') ? undefined : { detached: `${name}.sig` }),
  isSignature: (name) => name.endsWith('.sig'),
  mediaTypeOf: () => 'application/octet-stream',
  largestPointer: LARGEST_DATABASE,
  guessedRoot: () => undefined,
  unlisted: () => 'auxiliary',
  namesBelow: (path, root) => {
    const folder = PACMAN.pathOf(root, '');
    const name = path.startsWith(folder) ? path.slice(folder.length) : '/';
    return name.includes('/') ? [] : [name.replace(SIGNATURE, '')];
  },
  isPackage: (path) => /\.pkg\.tar(?:\.[a-z0-9]+)?(?:\.sig)?$/.test(path),
  likelyLists: () => [],
  artifact,
};

function nameOf(root: string): string {
  return root.slice(root.lastIndexOf('/') + 1);
}

/** Names what a request of pacman is for. */
function route(head: RequestHead): Resource | undefined {
  return routeFile(head, (asked) => {
    const [, database, signature = ''] = DATABASE.exec(asked.name) ?? [];
    if (database === undefined) return file(asked);
    const root = asked.folder === '' ? database : `${asked.folder}/${database}`;
    return suite(root, `${database}${signature}`, asked);
  });
}

async function beside(
  _root: string,
  main: Taken,
  _listing: Listing,
  take: (name: string, signed?: Taken) => Promise<Taken | undefined>,
): Promise<readonly Taken[]> {
  const signature = await take(`${main.name}.sig`, main).catch(leftOut);
  return signature === undefined ? [] : [signature];
}

const SIGNATURE = /\.sig$/;

/** A package, or its signature, which the database has. */
function artifact(path: string, value: Buffer): Route {
  const listed = readPacmanValue(value);
  if (SIGNATURE.test(path)) {
    const body = signatureOf(listed);
    if (body === undefined) return auxiliary(path);
    return { status: 200, headers: { 'Content-Type': 'application/pgp-signature' }, body };
  }
  return packageAt(path, listed, { ecosystem: 'alpm', distribution: 'arch' });
}
