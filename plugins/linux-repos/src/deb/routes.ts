import {
  EntrepotError,
  parseHex,
  requireMethod,
  type IntegrityAlgorithm,
  type RequestHead,
  type Resource,
} from '@entrepot/core';

/** Documents that commit to all others of their suite, by their names. */
const POINTERS: ReadonlySet<string> = new Set(['InRelease', 'Release', 'Release.gpg']);

/** The folders of a suite that have a `Release` of their own, which the suite's lists. */
const BELOW_SUITE = /^(?:binary-[^/]+|source)$/;

/** The names of index files, wherever they stand. */
const INDEX_NAME =
  /^(?:(?:Packages|Sources)(?:\.[a-z0-9]+)?|(?:Contents|Translation|Components|Commands)-[^/]+|icons-[^/]+\.tar(?:\.[a-z0-9]+)?)$/;

/** The longest path that is routed, in characters. */
const LONGEST_PATH = 1024;

const ALGORITHMS: Readonly<Record<string, IntegrityAlgorithm>> = {
  SHA256: 'sha256',
  SHA512: 'sha512',
  SHA1: 'sha1',
  MD5Sum: 'md5',
};

/** Names what a request of apt is for. */
export function route(head: RequestHead): Resource | undefined {
  requireMethod(head, ['GET']);
  const segments = head.segments.flatMap((segment) => segment.split('/'));
  const path = segments.join('/');
  if (path === '' || head.trailingSlash) return undefined;
  if (path.length > LONGEST_PATH || segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    throw new EntrepotError('bad-request', `expected the path of a file of ${LONGEST_PATH} characters at most`);
  const last = segments.at(-1) as string;
  const folder = segments.slice(0, -1);
  if (POINTERS.has(last) && !BELOW_SUITE.test(folder.at(-1) ?? ''))
    return { class: 'suite', key: path, attributes: { root: folder.join('/'), name: last } };
  const hash = folder.at(-2) === 'by-hash' ? parseHash(folder.at(-1) as string, last) : undefined;
  if (hash?.algorithm === 'sha256')
    return { class: 'index', key: indexKey(hash.hex), path: upstreamPath(path), integrity: [hash] };
  if (hash !== undefined) return { class: 'named', key: path, attributes: { sum: hash } };
  return { class: INDEX_NAME.test(last) || isBelowSuites(segments) ? 'named' : 'file', key: path };
}

/** The key of an index file. */
export function indexKey(sha256: string): string {
  return `index/${sha256}`;
}

/** The path of a file below the archive, as a mirror is asked for it. */
export function upstreamPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function isBelowSuites(segments: readonly string[]): boolean {
  return segments.slice(0, -1).includes('dists');
}

function parseHash(folder: string, hex: string) {
  const algorithm = ALGORITHMS[folder];
  return algorithm && parseHex(algorithm, hex);
}
