import { withRecords, type ListForm } from '../../shared/hosted/sorted-list.js';
import type { DebFile } from './deb-file.js';

/** The line by which stanzas are sorted: it is ours, and no control file has one. */
const FILENAME = '\nFilename: ';

const FORM: ListForm = {
  end: '\n\n',
  pathIn(list, start, end) {
    const at = list.lastIndexOf(FILENAME, end) + FILENAME.length;
    if (at < start) return '';
    return list.toString('latin1', at, list.indexOf('\n', at));
  },
};

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

/** Puts stanzas into a list of packages, as `withRecords` does. */
export function withStanzas(list: Buffer, edits: readonly StanzaEdit[]): Buffer | undefined {
  const records = edits.map(({ path, stanza }) => ({ path, record: stanza }));
  return withRecords(list, records, FORM)?.list;
}
