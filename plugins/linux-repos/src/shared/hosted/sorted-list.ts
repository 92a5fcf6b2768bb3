import { compareText } from '@entrepot/core/formats';

/** The form of a list of records that is one text. */
export interface ListForm {
  /** End of each record, which none has within it. */
  readonly end: string;
  /** Reads the path by which a record is sorted. */
  pathIn(list: Buffer, start: number, end: number): string;
}

/** A record that a list gets, by its path. */
export interface RecordEdit {
  readonly path: string;
  /** Absent: the one with that path goes. */
  readonly record?: string | undefined;
}

/** A list with other records. */
export interface ChangedList {
  readonly list: Buffer;
  /** Number of records that it has more than before; negative: less. */
  readonly more: number;
}

/**
 * Puts records into a list, each in place of the one with its path, or takes them out. A list is sorted by path, so that the same records
 * give the same bytes, and places are found by halves: its length does not count, but for the copy.
 * @param edits of different paths
 * @returns `undefined` when nothing changes
 */
export function withRecords(list: Buffer, edits: readonly RecordEdit[], form: ListForm): ChangedList | undefined {
  const parts: Buffer[] = [];
  let copied = 0;
  let more = 0;
  let isChanged = false;
  for (const { path, record = '' } of [...edits].sort((one, other) => compareText(one.path, other.path))) {
    const { start, end } = placeOf(list, path, form);
    const added = Buffer.from(record);
    isChanged ||= !list.subarray(start, end).equals(added);
    more += Number(added.length > 0) - Number(end > start);
    parts.push(list.subarray(copied, start), added);
    copied = end;
  }
  return isChanged ? { list: Buffer.concat([...parts, list.subarray(copied)]), more } : undefined;
}

/** Finds the record with `path`, or the empty place where it belongs. */
function placeOf(list: Buffer, path: string, form: ListForm): { readonly start: number; readonly end: number } {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    // The middle may be within the end of a record.
    const before = middle <= low ? -1 : list.lastIndexOf(form.end, middle - 1);
    const start = before < low ? low : Math.min(before + form.end.length, high);
    const from = start >= high ? low : start;
    const end = list.indexOf(form.end, from) + form.end.length;
    const order = compareText(form.pathIn(list, from, end), path);
    if (order === 0) return { start: from, end };
    if (order < 0) low = end;
    else high = from;
  }
  return { start: low, end: low };
}
