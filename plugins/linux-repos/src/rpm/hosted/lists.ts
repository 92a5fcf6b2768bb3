import { withRecords, type ChangedList, type ListForm } from '../../shared/hosted/sorted-list.js';
import { END, nevraOf, type Elements } from './elements.js';
import { fileName, type ListName } from './keys.js';

/** A package that the lists get, by the name of its file. */
export interface PackageEdit {
  readonly file: string;
  /** Absent: the one with that name goes. */
  readonly elements?: Elements | undefined;
}

/** Bytes of an element that name its package. */
const BEGINNING = 1024;

const FORM: ListForm = {
  end: END,
  pathIn: (list, start, end) => fileName(nevraOf(list.toString('latin1', start, Math.min(end, start + BEGINNING)))),
};

/** Puts the elements of packages into a list, sorted by the names of their files, as `withRecords` does. */
export function withPackages(list: Buffer, name: ListName, edits: readonly PackageEdit[]): ChangedList | undefined {
  const records = edits.map(({ file, elements }) => ({ path: file, record: elements?.[name] }));
  return withRecords(list, records, FORM);
}

/** The root element of each document. */
const ROOTS: Readonly<Record<ListName, string>> = {
  primary: 'metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
  filelists: 'filelists xmlns="http://linux.duke.edu/metadata/filelists"',
  other: 'otherdata xmlns="http://linux.duke.edu/metadata/other"',
};

/** Makes the document of a list. @param packages how many it has */
export function documentOf(list: Buffer, name: ListName, packages: number): Buffer {
  const root = ROOTS[name];
  const start = `<?xml version="1.0" encoding="UTF-8"?>\n<${root} packages="${packages}">\n`;
  return Buffer.concat([Buffer.from(start), list, Buffer.from(`</${root.split(' ', 1)[0]}>\n`)]);
}
