import { malformed } from '@entrepot/core/formats';
import { cleartextOf, isClearsigned, textOf } from '../shared/clearsigned.js';
import type { ListedFile, Listing } from '../shared/format.js';
import { pathOf } from '../shared/listed.js';

/** The largest Release file that is read, in bytes. Debian's has 150 KB. */
export const LARGEST_RELEASE = 16 * 1024 * 1024;

/** A Release file that was read. */
export interface Release extends Listing {
  /** Whether the archive has its index files under their sums, too. */
  readonly byHash: boolean;
  /** Index files by their SHA-256 and SHA-512, in hex. */
  readonly bySum: ReadonlyMap<string, ListedFile>;
}

/** Reads `InRelease` or `Release`. @throws EntrepotError `upstream-unavailable` for what is neither */
export function readRelease(bytes: Uint8Array, name: string): Release {
  return parseRelease(textOf(bytes), name);
}

/** Reads the text of a Release file, signed or not. @throws EntrepotError `upstream-unavailable` */
export function parseRelease(text: string, name: string): Release {
  const plain = isClearsigned(text) ? cleartextOf(text, name) : text.replaceAll('\r\n', '\n');
  const fields = new Map<string, string>();
  const lists = new Map<string, string[]>();
  let list: string[] | undefined;
  for (const line of plain.split('\n')) {
    if (line.startsWith(' ')) {
      list?.push(line.slice(1));
      continue;
    }
    list = undefined;
    const match = /^([A-Za-z0-9-]+):(.*)$/.exec(line);
    if (match === null) {
      if (line.trim() === '') continue;
      throw malformed(name, 'expected lines of fields, such as "Suite: stable"');
    }
    const [, field = '', value = ''] = match;
    const key = field.toLowerCase();
    if (fields.has(key)) throw malformed(name, `the field ${field} stands there twice`);
    fields.set(key, value.trim());
    if (value.trim() === '') lists.set(key, (list = []));
  }
  const sha256 = readSums(lists.get('sha256'), 64, name);
  if (sha256 === undefined) throw malformed(name, 'it has no SHA256 sums, and weaker ones are not trusted');
  const byPath = new Map<string, string>();
  for (const [path, { sum }] of readSums(lists.get('sha512'), 128, name) ?? []) byPath.set(path, sum);
  const files = new Map<string, ListedFile>();
  const bySum = new Map<string, ListedFile>();
  for (const [path, { sum, size }] of sha256) {
    const file: ListedFile = { integrity: { algorithm: 'sha256', hex: sum }, size };
    files.set(path, file);
    const sha512 = byPath.get(path);
    bySum.set(sum, file);
    if (sha512 !== undefined) bySum.set(sha512, file);
  }
  return {
    weight: plain.length + 400 * files.size,
    date: dateOf(fields.get('date')),
    validUntil: dateOf(fields.get('valid-until')),
    byHash: fields.get('acquire-by-hash') === 'yes',
    files,
    packageLists: [...files.keys()].filter((path) => LISTS_PACKAGES.test(path)),
    bySum,
    distribution: distributionOf(fields),
  };
}

const LISTS_PACKAGES = /(?:^|\/)(?:Packages|Sources)(?:\.(?:gz|xz|zst))?$/;

function readSums(
  lines: readonly string[] | undefined,
  length: number,
  name: string,
): Map<string, { readonly sum: string; readonly size: number }> | undefined {
  if (lines === undefined) return undefined;
  const found = new Map<string, { sum: string; size: number }>();
  for (const line of lines) {
    const match = /^[ \t]*([0-9a-fA-F]+)[ \t]+(\d{1,15})[ \t]+(\S+)[ \t]*$/.exec(line);
    const [, sum = '', size = '', path = ''] = match ?? [];
    if (match === null || sum.length !== length || pathOf(path) === undefined)
      throw malformed(name, `expected lines "sum size path", found ${JSON.stringify(line.slice(0, 200))}`);
    found.set(path, { sum: sum.toLowerCase(), size: Number(size) });
  }
  return found;
}

function dateOf(text: string | undefined): number | undefined {
  const time = text === undefined ? NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** Debian names point releases (`12.8`), and advisories are by the release; Ubuntu's releases have both numbers. */
function distributionOf(fields: ReadonlyMap<string, string>): string | undefined {
  const version = /^\d+(?:\.\d+)?/.exec(fields.get('version') ?? '')?.[0];
  const origin = fields.get('origin')?.toLowerCase();
  if (version === undefined) return undefined;
  if (origin === 'debian') return `debian-${version.split('.')[0]}`;
  return origin === 'ubuntu' ? `ubuntu-${version}` : undefined;
}
