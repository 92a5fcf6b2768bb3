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
  if (hash?.algorithm === 'sha256')
    return { class: 'index', key: indexKey(hash.hex), path: upstreamPath(path), integrity: [hash] };
  if (hash !== undefined) return { class: 'named', key, attributes: { path, sum: hash, ...more } };
  const isIndex = INDEX_NAME.test(last) || isBelowSuites(segments);
  return { class: isIndex ? 'named' : 'file', key, attributes: { path, ...more } };
}

/** Reads `20261130T001500Z`. `undefined`: no time. */
export function parseTime(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? undefined : time;
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
