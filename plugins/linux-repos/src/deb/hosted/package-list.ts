import { compareText } from '@entrepot/core/formats';
import type { DebFile } from './deb-file.js';

/** The line by which stanzas are sorted: it is ours, and no control file has one. */
const FILENAME = '\nFilename: ';
const END = '\n\n';

/** Writes the stanza of a package: its control file as it is, and what an index says of it. */
export function stanzaOf({ control, size, sha256 }: DebFile, path: string): string {
  return `${control.text}Filename: ${path}\nSize: ${size}\nSHA256: ${sha256}\n\n`;
}

/** A stanza that a list gets, by the path of its package. */
export interface StanzaEdit {
  readonly path: string;
  /** Absent: the one with that path goes. */
  readonly stanza?: string | undefined;
}

/**
 * Puts stanzas into a list of packages, each in place of the one with its path, or takes them out. A list is sorted by path, so that the
 * same packages give the same bytes, and places are found by halves: its length does not count, but for the copy.
 * @param edits of different paths
 * @returns `undefined` when nothing changes
 */
export function withStanzas(list: Buffer, edits: readonly StanzaEdit[]): Buffer | undefined {
  const parts: Buffer[] = [];
  let copied = 0;
  let isChanged = false;
  for (const { path, stanza = '' } of [...edits].sort((one, other) => compareText(one.path, other.path))) {
    const { start, end } = placeOf(list, path);
    const added = Buffer.from(stanza);
    isChanged ||= !list.subarray(start, end).equals(added);
    parts.push(list.subarray(copied, start), added);
    copied = end;
  }
  return isChanged ? Buffer.concat([...parts, list.subarray(copied)]) : undefined;
}

/** Finds the stanza with `path`, or the empty place where it belongs. */
function placeOf(list: Buffer, path: string): { readonly start: number; readonly end: number } {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    // The end of a stanza is two bytes, and the middle may be between them.
    const before = middle <= low ? -1 : list.lastIndexOf(END, middle - 1);
    const start = before < low ? low : Math.min(before + END.length, high);
    const from = start >= high ? low : start;
    const end = list.indexOf(END, from) + END.length;
    const order = compareText(pathIn(list, from, end), path);
    if (order === 0) return { start: from, end };
    if (order < 0) low = end;
    else high = from;
  }
  return { start: low, end: low };
}

function pathIn(list: Buffer, start: number, end: number): string {
  const at = list.lastIndexOf(FILENAME, end) + FILENAME.length;
  if (at < start) return '';
  return list.toString('latin1', at, list.indexOf('\n', at));
}
