import type { RequestHead, Resource } from '@entrepot/core';
import type { Format } from '../shared/format.js';
import { readListed } from '../shared/listed.js';
import { packageAt } from '../shared/resources.js';
import { file, routeFile, suite } from '../shared/routes.js';

const MAIN = 'APKINDEX.tar.gz';

/** Repositories of apk-tools 2: a folder for each architecture, with an index. */
export const APK: Format = {
  mains: () => [MAIN],
  pathOf: (root, name) => (root === '' ? name : `${root}/${name}`),
  route,
  beside: () => Promise.resolve([]),
  signatureOf: () => 'within',
  isSignature: () => false,
  mediaTypeOf: () => 'application/gzip',
  largestPointer: 64 * 1024 * 1024,
  guessedRoot: () => undefined,
  unlisted: () => 'auxiliary',
  namesBelow: (path, root) => {
    const name = path.startsWith(APK.pathOf(root, '')) ? path.slice(APK.pathOf(root, '').length) : '/';
    return name.includes('/') ? [] : [name];
  },
  isPackage: (path) => path.endsWith('.apk'),
  likelyLists: () => [],
  artifact,
};

/** Names what a request of apk is for. */
function route(head: RequestHead): Resource | undefined {
  return routeFile(head, (asked) => (asked.name === MAIN ? suite(asked.folder, MAIN, asked) : file(asked)));
}

function artifact(path: string, value: Buffer, distribution: string | undefined): Resource {
  const listed = readListed(value);
  const { integrity: _ofAPart, attributes, ...resource } = packageAt(path, listed, { ecosystem: 'apk', distribution });
  // Its checksum is that of a part of the file: `verifyPackage` checks the whole.
  return { ...resource, attributes: { ...attributes, control: listed.checksum } };
}
