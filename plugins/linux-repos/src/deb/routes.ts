import { parseHex, type IntegrityAlgorithm, type RequestHead, type Resource } from '@entrepot/core';
import { file, named, routeFile, suite } from '../shared/routes.js';

/** Documents that commit to all others of their suite, by their names. */
const POINTERS: ReadonlySet<string> = new Set(['InRelease', 'Release', 'Release.gpg']);

/** The folders of a suite that have a `Release` of their own, which the suite's lists. */
const BELOW_SUITE = /^(?:binary-[^/]+|source)$/;

/** The names of index files, wherever they stand. */
const INDEX_NAME =
  /^(?:(?:Packages|Sources)(?:\.[a-z0-9]+)?|(?:Contents|Translation|Components|Commands)-[^/]+|icons-[^/]+\.tar(?:\.[a-z0-9]+)?)$/;

const ALGORITHMS: Readonly<Record<string, IntegrityAlgorithm>> = {
  SHA256: 'sha256',
  SHA512: 'sha512',
  SHA1: 'sha1',
  MD5Sum: 'md5',
};

/** Names what a request of apt is for. */
export function route(head: RequestHead): Resource | undefined {
  return routeFile(head, (asked) => {
    const { name, folder, segments } = asked;
    if (POINTERS.has(name) && !BELOW_SUITE.test(segments.at(-2) ?? '')) return suite(folder, name, asked);
    const hash = segments.at(-3) === 'by-hash' ? parseHash(segments.at(-2) as string, name) : undefined;
    if (hash !== undefined) return named(asked, hash);
    return INDEX_NAME.test(name) || isBelowSuites(segments) ? named(asked) : file(asked);
  });
}

function isBelowSuites(segments: readonly string[]): boolean {
  return segments.slice(0, -1).includes('dists');
}

function parseHash(folder: string, hex: string) {
  const algorithm = ALGORITHMS[folder];
  return algorithm && parseHex(algorithm, hex);
}
