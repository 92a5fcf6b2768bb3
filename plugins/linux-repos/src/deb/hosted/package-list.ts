import { compareText } from '@entrepot/core/formats';
import type { DebFile } from './deb-file.js';

/** The line by which stanzas are sorted: it is ours, and no control file has one. */
const FILENAME = '\nFilename: ';
const END = '\n\n';

/** Writes the stanza of a package: its control file as it is, and what an index says of it. */
export function stanzaOf({ control, size, sha256 }: DebFile, path: string): string {
  return `${control.text}Filename: ${path}\nSize: ${size}\nSHA256: ${sha256}\n\n`;
}

/**
 * Puts a stanza into a list of packages, in place of the one with its path, or takes that out. A list is sorted by path, so that the
 * same packages give the same bytes, and found by halves: its length does not count, but for the copy.
 * @param stanza absent: it is taken out
 * @returns `undefined` when nothing changes
 */
export function withStanza(list: Buffer, path: string, stanza?: string): Buffer | undefined {
  const { start, end, isThere } = placeOf(list, path);
  if (stanza === undefined && !isThere) return undefined;
  const added = Buffer.from(stanza ?? '');
  const rest = list.subarray(isThere ? end : start);
  if (isThere && list.subarray(start, end).equals(added)) return undefined;
  return Buffer.concat([list.subarray(0, start), added, rest]);
}

/** Finds the stanza with `path`, or the place where it belongs. */
function placeOf(list: Buffer, path: string): { start: number; end: number; isThere: boolean } {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    // The end of a stanza is two bytes, and the middle may be between them.
    const before = middle <= low ? -1 : list.lastIndexOf(END, middle - 1);
    const start = before < low ? low : Math.min(before + END.length, high);
    const from = start >= high ? low : start;
    const end = list.indexOf(END, from) + END.length;
    const order = compareText(pathIn(list, from, end), path);
    if (order === 0) return { start: from, end, isThere: true };
    if (order < 0) low = end;
    else high = from;
  }
  return { start: low, end: low, isThere: false };
}

function pathIn(list: Buffer, start: number, end: number): string {
  const at = list.lastIndexOf(FILENAME, end) + FILENAME.length;
  if (at < start) return '';
  return list.toString('latin1', at, list.indexOf('\n', at));
}
