import {
  EntrepotError,
  parseHex,
  requireMethod,
  type IntegrityAlgorithm,
  type RequestHead,
  type Resource,
} from '@entrepot/core';
import { indexAt } from '../shared/resources.js';
import { parseTime } from '../shared/times.js';

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
  const asOf = segments[0] === 'snapshots' ? parseTime(segments[1] ?? '') : undefined;
  return asOf === undefined ? named(segments, {}) : named(segments.slice(2), { asOf });
}

/** @param more attributes: `asOf`, for a state of the past */
function named(segments: readonly string[], more: { readonly asOf?: number }): Resource | undefined {
  const last = segments.at(-1);
  if (last === undefined) return undefined;
  const folder = segments.slice(0, -1);
  const path = segments.join('/');
  const key = more.asOf === undefined ? path : `${path} ${more.asOf}`;
  if (POINTERS.has(last) && !BELOW_SUITE.test(folder.at(-1) ?? ''))
    return { class: 'suite', key, attributes: { root: folder.join('/'), name: last, ...more } };
  const hash = folder.at(-2) === 'by-hash' ? parseHash(folder.at(-1) as string, last) : undefined;
  if (hash?.algorithm === 'sha256') return indexAt(path, hash);
  if (hash !== undefined) return { class: 'named', key, attributes: { path, sum: hash, ...more } };
  const isIndex = INDEX_NAME.test(last) || isBelowSuites(segments);
  return { class: isIndex ? 'named' : 'file', key, attributes: { path, ...more } };
}

function isBelowSuites(segments: readonly string[]): boolean {
  return segments.slice(0, -1).includes('dists');
}

function parseHash(folder: string, hex: string) {
  const algorithm = ALGORITHMS[folder];
  return algorithm && parseHex(algorithm, hex);
}
