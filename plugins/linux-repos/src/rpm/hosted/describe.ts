import { EntrepotError } from '@entrepot/core';
import { printElements, type Elements } from './elements.js';
import { TEXTS, type ChangelogEntry, type PackageFacts, type PackageFile } from './facts.js';
import { broken, Header } from './header.js';
import { fileName, wrongPart, type Nevra } from './keys.js';
import { readRelations } from './relations.js';
import { TAG } from './tags.js';

/** The largest element of a package, in characters. */
const LARGEST_ELEMENT = 64 * 1024 * 1024;
/** The longest path of a file, in characters, as file systems have it. */
const LONGEST_PATH = 4096;
/** Entries of a changelog that a list of packages has. */
const MOST_CHANGES = 10;

/** A package to describe: its header, and what the file around it says. */
export interface DescribeTask {
  readonly header: Uint8Array;
  /** Of the whole file, in hex. */
  readonly sha256: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Offset of the header, in bytes. */
  readonly start: number;
  /** Bytes of the payload unpacked; 0 where the file does not say. */
  readonly archiveSize: number;
  /** Time of its publication, in seconds since the epoch. */
  readonly time: number;
}

/** A package, described. */
export interface Description {
  readonly nevra: Nevra;
  readonly epoch: string;
  /** The file that it was built from. Empty: it is a source itself. */
  readonly sourceRpm: string;
  readonly elements: Elements;
}

export type DescribeAnswer = Description | { readonly refused: string };

/** Describes packages for other threads: a refusal is an answer. */
export function describing(): (task: DescribeTask) => DescribeAnswer {
  return (task) => {
    try {
      return describe(task);
    } catch (error) {
      if (!(error instanceof EntrepotError)) throw error;
      return { refused: error.message };
    }
  };
}

/** Reads what the header of a package says. @throws EntrepotError `bad-request` for one that rpm would not have made */
export function describe({ header: bytes, sha256, size, start, archiveSize, time }: DescribeTask): Description {
  const header = Header.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 'its header');
  const nevra = nevraIn(header);
  const epoch = String(header.number(TAG.epoch) ?? 0);
  const texts = Object.fromEntries(TEXTS.map((name) => [name, header.text(TAG[name]) ?? ''])) as PackageFacts['texts'];
  const facts: PackageFacts = {
    nevra,
    epoch,
    sha256,
    location: `Packages/${fileName(nevra)}`,
    texts,
    time,
    buildTime: header.number(TAG.buildTime) ?? 0,
    size,
    installedSize: header.number(TAG.longSize) ?? header.number(TAG.size) ?? 0,
    archiveSize: archiveSize || (header.number(TAG.archiveSize) ?? 0),
    range: { start, end: start + bytes.length },
  };
  const relations = readRelations(header, (paths) => {
    const found = new Set<string>();
    if (paths.size > 0) for (const { path } of filesOf(header)) if (paths.has(path)) found.add(path);
    return found;
  });
  const elements = printElements(facts, relations, bounded(filesOf(header)), changelogOf(header));
  for (const element of Object.values(elements)) if (element.length > LARGEST_ELEMENT) throw tooLarge();
  return { nevra, epoch, sourceRpm: texts.sourceRpm, elements };
}

function nevraIn(header: Header): Nevra {
  const isSource = (header.number(TAG.isSource) ?? 0) > 0 || !header.has(TAG.sourceRpm);
  const isWithout = header.has(TAG.noSource) || header.has(TAG.noPatch);
  const field = (name: 'name' | 'version' | 'release' | 'architecture'): string => {
    const value = header.text(TAG[name]);
    if (value === undefined) throw broken(`its header has no ${name}`);
    return value;
  };
  const nevra = {
    name: field('name'),
    version: field('version'),
    release: field('release'),
    architecture: isSource ? (isWithout ? 'nosrc' : 'src') : field('architecture'),
  };
  const wrong = wrongPart(nevra);
  if (wrong !== undefined) throw broken(`its header has ${wrong}, expected it as rpmbuild takes it`);
  return nevra;
}

/** The kind of a file, in its mode. */
const KIND = 0o170000;
const FOLDER = 0o040000;
/** A file that belongs to a package, and is not in it. */
const GHOST = 1 << 6;

function* filesOf(header: Header): Generator<PackageFile> {
  const isOld = header.has(TAG.oldFileNames);
  const tag = isOld ? TAG.oldFileNames : TAG.baseNames;
  const count = header.count(tag);
  for (const other of isOld ? [TAG.fileModes, TAG.fileFlags] : [TAG.fileModes, TAG.fileFlags, TAG.dirIndexes])
    if (header.count(other) !== count)
      throw broken(`its header has ${count} files, and ${header.count(other)} values of the entry ${other} for them`);
  const folders = isOld ? [] : [...header.texts(TAG.dirNames)];
  const [modes, flags, indexes] = [TAG.fileModes, TAG.fileFlags, TAG.dirIndexes].map((one) => header.numbers(one)) as [
    (index: number) => number,
    (index: number) => number,
    (index: number) => number,
  ];
  let index = 0;
  for (const name of header.texts(tag)) {
    const folder = isOld ? '' : folders[indexes(index)];
    if (folder === undefined) throw broken(`its header has the file ${index} in a folder that it has not`);
    if (folder.length + name.length > LONGEST_PATH)
      throw broken(
        `its header has a path of ${folder.length + name.length} characters, expected ${LONGEST_PATH} at most`,
      );
    const path = folder + name;
    if ((modes(index) & KIND) === FOLDER) yield { path, type: 'dir' };
    else yield (flags(index) & GHOST) > 0 ? { path, type: 'ghost' } : { path };
    index += 1;
  }
}

/** Many files share a folder, which a header has once. */
function* bounded(files: Iterable<PackageFile>): Generator<PackageFile> {
  let length = 0;
  for (const file of files) {
    length += file.path.length;
    if (length > LARGEST_ELEMENT) throw tooLarge();
    yield file;
  }
}

function tooLarge(): EntrepotError {
  return broken(`its paths or its relations take more than ${LARGEST_ELEMENT} characters in a list of packages`);
}

/** The newest entries, the oldest first. Entries of one time get different ones, as their order is by that. */
function changelogOf(header: Header): readonly ChangelogEntry[] {
  const count = header.count(TAG.changelogTimes);
  if (header.count(TAG.changelogNames) !== count || header.count(TAG.changelogTexts) !== count)
    throw broken(`its header has ${count} times of changes, and not as many names and texts`);
  const times = header.numbers(TAG.changelogTimes);
  const [names, texts] = [header.texts(TAG.changelogNames), header.texts(TAG.changelogTexts)];
  const newestFirst: ChangelogEntry[] = [];
  for (let index = 0; index < Math.min(count, MOST_CHANGES); index += 1) {
    const author = (names.next().value ?? '').trimEnd();
    newestFirst.push({ author, time: times(index), text: texts.next().value ?? '' });
  }
  const changes: ChangelogEntry[] = [];
  let last = { written: -1, given: -1 };
  for (const change of newestFirst.reverse()) {
    const time = change.time === last.written ? last.given + 1 : change.time;
    last = { written: change.time, given: time };
    changes.push({ ...change, time });
  }
  return changes;
}
