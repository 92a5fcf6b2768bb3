import { createHash } from 'node:crypto';
import type { Parsed } from '@entrepot/core';
import { malformed, XmlReader } from '@entrepot/core/formats';
import { checksumOf } from '../shared/listed.js';

/** The largest list of mirrors that is read, in bytes. Those of large distributions have 60 KB. */
export const LARGEST_MIRROR_LIST = 512 * 1024;
/** The bound on mirrors, and on sums, that are read. */
const MOST = 1000;

/** Sums of one `repomd.xml`, by their algorithms. */
type Sums = ReadonlyMap<string, string>;

/** A list of mirrors that was read. */
export interface MirrorList extends Parsed {
  /** Base URLs with a slash at their end, best first. */
  readonly mirrors: readonly string[];
  /** Sums of the `repomd.xml` that mirrors may have. Empty: the list has none. */
  readonly sums: readonly Sums[];
}

/** Reads a metalink, or a list with a base URL in each line. @throws EntrepotError `upstream-unavailable` for what is neither */
export function readMirrorList(bytes: Uint8Array, name: string): MirrorList {
  if (bytes.length > LARGEST_MIRROR_LIST) throw malformed(name, `expected ${LARGEST_MIRROR_LIST} bytes at most`);
  const text = Buffer.from(bytes).toString('utf8');
  const { urls, sums } = /^\u{feff}?\s*</u.test(text) ? readMetalink(bytes, name) : { urls: readLines(text), sums: [] };
  const mirrors = urls.slice(0, MOST).flatMap((url) => baseOf(url) ?? []);
  if (mirrors.length === 0) throw malformed(name, 'expected mirrors in it, found no http or https URL of one');
  return { weight: 4 * bytes.length, mirrors: [...new Set(mirrors)], sums };
}

/** Whether a `repomd.xml` has one of the sums: by the strongest algorithm of each. */
export function isListed({ sums }: MirrorList, bytes: Uint8Array): boolean {
  const found = new Map<string, string>();
  for (const algorithm of ALGORITHMS) found.set(algorithm, createHash(algorithm).update(bytes).digest('hex'));
  return sums.some((one) => {
    const algorithm = ALGORITHMS.find((name) => one.has(name)) as string;
    return one.get(algorithm) === found.get(algorithm);
  });
}

/** Algorithms that are taken, the strongest first. */
const ALGORITHMS = ['sha512', 'sha256'] as const;

/** Lines that are no URL are comments. Old lists name the file. */
function readLines(text: string): string[] {
  return text.split('\n').map((line) => line.trim());
}

const FILE = '/metalink/files/file';

/** Reads a metalink 3.0, with the elements of MirrorManager. */
function readMetalink(
  bytes: Uint8Array,
  name: string,
): { readonly urls: readonly string[]; readonly sums: readonly Sums[] } {
  const urls: { readonly url: string; readonly preference: number }[] = [];
  const sums: Sums[] = [];
  let isIndex = false;
  let preference = 0;
  let algorithm: string | undefined;
  let current = new Map<string, string>();
  const reader = new XmlReader(name, {
    open(path, attributes) {
      if (path === FILE) isIndex = attributes['name'] === 'repomd.xml';
      if (path.endsWith('/verification')) current = new Map();
      if (path.endsWith('/verification/hash')) algorithm = attributes['type'];
      if (path === `${FILE}/resources/url`) preference = Number(attributes['preference']) || 0;
    },
    close(path, text) {
      if (!isIndex || urls.length > MOST || sums.length > MOST) return;
      if (path === `${FILE}/resources/url`) urls.push({ url: text, preference });
      if (path.endsWith('/verification/hash')) {
        const sum = checksumOf(algorithm, text);
        if (sum !== undefined) current.set(sum.algorithm, sum.hex);
      }
      const isOfIndex = path === `${FILE}/verification` || path === `${FILE}/alternates/alternate/verification`;
      if (isOfIndex && ALGORITHMS.some((known) => current.has(known))) sums.push(current);
    },
  });
  reader.write(bytes);
  reader.end();
  if (sums.length === 0) throw malformed(name, 'expected a SHA-256 or SHA-512 of repomd.xml in it');
  return { urls: urls.toSorted((one, other) => other.preference - one.preference).map(({ url }) => url), sums };
}

/** The base URL of a mirror. `undefined`: it is asked by other means than http, or with a password. */
function baseOf(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') return undefined;
  url.hash = '';
  const base = url.href.replace(/repodata\/repomd\.xml$/, '');
  return base.endsWith('/') ? base : `${base}/`;
}
