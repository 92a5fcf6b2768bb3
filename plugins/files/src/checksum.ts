import {
  EntrepotError,
  INTEGRITY_ALGORITHMS,
  parseHex,
  type ArtifactDescription,
  type Content,
  type Integrity,
} from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';
import { keySegment, readPath, type FilePath } from './path.js';

/** The upstream file with the checksums of a file. */
export interface Sidecar {
  /**
   * `suffix`: the file's own path and `name`; `directory`: `name` in the file's directory; `root`: `name` at the root.
   */
  readonly at: 'suffix' | 'directory' | 'root';
  readonly name: string;
}

/** The checksum of the files that a rule matches. */
export type ChecksumRule =
  | { readonly kind: 'pinned'; readonly integrity: readonly Integrity[] }
  | { readonly kind: 'sidecar'; readonly sidecar: Sidecar; readonly required: boolean };

/** One line of a sum file. */
export interface Sum {
  readonly integrity: Integrity;
  /** The name as written; absent where the line is the sum alone. */
  readonly name?: string | undefined;
}

/** The largest sum file that is read, in bytes: some 60,000 lines. */
const MOST_BYTES = 4 * 1024 * 1024;

/** Lines between two pauses for the event loop: about a millisecond of work. */
const LINES_AT_ONCE = 1000;

/** Reads how the configuration names a sidecar: `.sha256`, `SHA256SUMS` or `/SHA256SUMS`. */
export function readSidecar(text: string): Sidecar {
  if (text.startsWith('.')) return { at: 'suffix', name: text };
  if (text.startsWith('/')) return { at: 'root', name: text.slice(1) };
  return { at: 'directory', name: text };
}

/** The path of the sum file for `file`. */
export function sidecarPath({ segments }: FilePath, { at, name }: Sidecar): FilePath {
  if (at === 'root') return readPath([name], false);
  const last = at === 'suffix' ? `${segments.at(-1) ?? ''}${name}` : name;
  return readPath([...segments.slice(0, -1), last], false);
}

/** The file that the sum file `path` belongs to alone; `undefined` when it is none of a single file. */
export function subjectPath({ segments, directory }: FilePath, { at, name }: Sidecar): FilePath | undefined {
  const last = segments.at(-1) ?? '';
  if (at !== 'suffix' || directory || !last.endsWith(name) || last.length === name.length) return undefined;
  return readPath([...segments.slice(0, -1), last.slice(0, -name.length)], false);
}

/** Whether `path` is a sum file for several files by the name of `sidecar`. */
export function isSumList({ segments, directory }: FilePath, { at, name }: Sidecar): boolean {
  if (at === 'suffix' || directory || segments.at(-1) !== name) return false;
  return at === 'directory' || segments.length === 1;
}

/**
 * Reads the sum file with the key `key`: the sums by the keys of their files.
 * @param sidecars the sidecars of all rules
 * @throws EntrepotError `upstream-unavailable` when it holds no sum (an error page, a captive portal); `too-large` past
 * 4 MiB
 */
export async function describeSums(
  key: string,
  sidecars: readonly Sidecar[],
  content: Content,
): Promise<ReadonlyMap<string, ArtifactDescription>> {
  const [path, query] = splitKey(key);
  const sums = await readSums(await content.bytes(MOST_BYTES));
  if (sums.length === 0) {
    throw new EntrepotError('upstream-unavailable', `expected a checksum file at ${path}, found no sum in it`, {
      code: 'CHECKSUM_FILE_UNREADABLE',
    });
  }
  const found = new Map<string, { readonly integrity: Integrity[] }>();
  const add = (file: string, integrity: Integrity) => {
    const known = found.get(file + query) ?? { integrity: [] };
    found.set(file + query, known);
    known.integrity.push(integrity);
  };
  const slash = path.lastIndexOf('/');
  const base = path.slice(slash + 1);
  for (const { at, name } of sidecars) {
    const escaped = keySegment(name);
    if (at === 'suffix' && base.endsWith(escaped) && base.length > escaped.length) {
      const subject = path.slice(0, -escaped.length);
      for (const { integrity } of sumsOfOne(sums, subject)) add(subject, integrity);
    } else if (base === escaped && (at === 'directory' || (at === 'root' && slash === -1))) {
      for (const { integrity, name: file } of sums) {
        const target = file === undefined ? undefined : keyBelow(path.slice(0, slash + 1), file);
        if (target !== undefined) add(target, integrity);
      }
    }
  }
  return found;
}

/**
 * The sums in a file of the usual forms: the bare sum, `sum  name` and `sum *name` (GNU coreutils), `SHA256 (name) = sum`
 * (BSD, OpenSSL). Lines of another form (comments, signatures) and sums of unknown algorithms are passed over.
 */
export async function readSums(bytes: Uint8Array): Promise<Sum[]> {
  const sums: Sum[] = [];
  const lines = new TextDecoder().decode(bytes).split('\n');
  const turns = new WorkTurns();
  for (const [index, line] of lines.entries()) {
    if (index % LINES_AT_ONCE === LINES_AT_ONCE - 1) await turns.pause();
    const sum = readSum(line.trimEnd());
    if (sum !== undefined) sums.push(sum);
  }
  return sums;
}

function readSum(line: string): Sum | undefined {
  const bsd = /^([A-Za-z0-9-]{3,8}) ?\((.*)\) ?= ?([0-9A-Fa-f]{32,128})$/.exec(line);
  if (bsd !== null) {
    const [, algorithm, name, hex] = bsd as unknown as [string, string, string, string];
    // OpenSSL prints the newer ones as SHA2-256.
    return sumOf(hex, name, algorithm.toLowerCase().replace(/^sha2-(?=\d{3}$)/, 'sha'));
  }
  // A leading backslash says that the name is escaped (GNU coreutils, "md5sum invocation").
  const gnu = /^(\\?)([0-9A-Fa-f]{32,128})(?:(?: [ *]|[ \t])(.+))?$/.exec(line);
  if (gnu === null) return undefined;
  const [, escaped, hex, name] = gnu as unknown as [string, string, string, string | undefined];
  return sumOf(hex, escaped === '' ? name : name?.replace(/\\(.)/g, '$1'));
}

/** @param algorithm absent: the one that makes sums of that length */
function sumOf(hex: string, name: string | undefined, algorithm?: string): Sum | undefined {
  const named = INTEGRITY_ALGORITHMS.filter((each) => algorithm === undefined || each === algorithm);
  const integrity = named.map((each) => parseHex(each, hex)).find((found) => found !== undefined);
  return integrity && { integrity, name: name?.trim() };
}

/** The sums for the one file that a sum file stands beside. A single line is for it whatever name it gives: often the builder's path. */
function sumsOfOne(sums: readonly Sum[], subject: string): readonly Sum[] {
  if (sums.length === 1) return sums;
  const wanted = subject.slice(subject.lastIndexOf('/') + 1);
  return sums.filter(({ name }) => name === undefined || keySegment(name.slice(name.lastIndexOf('/') + 1)) === wanted);
}

/** The key of the file that a sum list in `directory` (a key that ends in `/`, or empty) calls `name`; `undefined` when it is outside. */
function keyBelow(directory: string, name: string): string | undefined {
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.length === 0 || segments.includes('..') || name.startsWith('/')) return undefined;
  return directory + segments.map(keySegment).join('/');
}

function splitKey(key: string): [path: string, query: string] {
  const mark = key.indexOf('?');
  return mark === -1 ? [key, ''] : [key.slice(0, mark), key.slice(mark)];
}
