import type { Content, Integrity, Parsed } from '@entrepot/core';
import { malformed, printed, XmlReader } from '@entrepot/core/formats';
import { checksumOf, numberOf, pathOf } from '../shared/listed.js';

/** The largest `repomd.xml` that is read, in bytes. Large ones have 20 KB. */
export const LARGEST_REPOMD = 1024 * 1024;
/** The bound on metadata files of one repository. */
const MOST = 1000;

/** A metadata file, as `repomd.xml` lists it. */
export interface RepomdItem {
  /** The kind of metadata: `primary`, `filelists`, `updateinfo`, `primary_zck`. */
  readonly type: string;
  /** Of the file as it is fetched. */
  readonly checksum: Integrity;
  /** Of the file unpacked. */
  readonly openChecksum: Integrity | undefined;
  /** Of the header of a zchunk file. */
  readonly headerChecksum: Integrity | undefined;
  /** The path below the repository. */
  readonly path: string;
  /** Bytes, as fetched. */
  readonly size: number | undefined;
  /** Bytes, unpacked. */
  readonly openSize: number | undefined;
  /** Bytes of the header of a zchunk file. */
  readonly headerSize: number | undefined;
  /** Milliseconds since the epoch. */
  readonly date: number | undefined;
}

/** A `repomd.xml` that was read. */
export interface Repomd extends Parsed {
  /** As it stands there: seconds since the epoch, mostly. */
  readonly revision: string | undefined;
  /** The newest date of its files, else its revision where that is one; milliseconds since the epoch. */
  readonly date: number | undefined;
  /** The distributions that it names, as CPE: `cpe:/o:fedoraproject:fedora:42`. */
  readonly distributions: readonly string[];
  /** Metadata files in their order. */
  readonly items: readonly RepomdItem[];
  /** The same by their path. */
  readonly byPath: ReadonlyMap<string, RepomdItem>;
}

/** Reads `repomd.xml`. @throws EntrepotError `upstream-unavailable` for what is none */
export async function readRepomd(content: Content, name: string): Promise<Repomd> {
  if (content.size > LARGEST_REPOMD) throw malformed(name, `expected ${LARGEST_REPOMD} bytes at most`);
  return parseRepomd(await content.bytes(LARGEST_REPOMD), name);
}

/** Reads the bytes of `repomd.xml`. @throws EntrepotError `upstream-unavailable` for what is none */
export function parseRepomd(bytes: Uint8Array, name: string): Repomd {
  if (bytes.length > LARGEST_REPOMD) throw malformed(name, `expected ${LARGEST_REPOMD} bytes at most`);
  const items: RepomdItem[] = [];
  const byPath = new Map<string, RepomdItem>();
  const distributions: string[] = [];
  let revision: string | undefined;
  let fields = new Map<string, string>();
  let root: string | undefined;
  const reader = new XmlReader(name, {
    open(path, attributes) {
      root ??= path;
      if (path === '/repomd/data') fields = new Map(Object.entries(attributes));
      if (path.startsWith(ITEM)) {
        const field = path.slice(ITEM.length);
        if (fields.has(`<${field}>`)) throw new Error(`a file has two elements "${field}"`);
        fields.set(`<${field}>`, '');
        for (const [attribute, value] of Object.entries(attributes)) fields.set(`<${field}>${attribute}`, value);
      }
      const { cpeid } = attributes;
      if (path === '/repomd/tags/distro' && cpeid !== undefined && distributions.length < MOST)
        distributions.push(cpeid);
    },
    close(path, text) {
      if (path === '/repomd/revision') revision = text;
      if (path.startsWith(ITEM)) fields.set(`<${path.slice(ITEM.length)}>`, text);
      if (path !== '/repomd/data') return;
      if (items.length === MOST) throw new Error(`expected ${MOST} files at most`);
      const item = itemOf(fields);
      // Kinds that one tool alone writes may share a file.
      if (byPath.has(item.path) && byPath.get(item.path)?.checksum.hex !== item.checksum.hex)
        throw new Error(`the file ${printed(item.path)} stands there twice`);
      items.push(item);
      byPath.set(item.path, item);
    },
  });
  reader.write(bytes);
  reader.end();
  if (root !== '/repomd') throw malformed(name, 'expected an element "repomd"');
  const dates = items.flatMap(({ date }) => date ?? []);
  const date = dates.length > 0 ? Math.max(...dates) : dateOf(revision);
  return { weight: 4 * bytes.length, revision, date, distributions, items, byPath };
}

const ITEM = '/repomd/data/';

function itemOf(fields: ReadonlyMap<string, string>): RepomdItem {
  const sum = (field: string): Integrity | undefined =>
    checksumOf(fields.get(`<${field}>type`), fields.get(`<${field}>`));
  const type = fields.get('type');
  const href = fields.get('<location>href');
  const path = pathOf(href);
  const checksum = sum('checksum');
  if (type === undefined || type === '') throw new Error('expected a type for each file');
  if (fields.has('<location>xml:base')) throw new Error(`${printed(type)} is at another place (xml:base)`);
  if (path === undefined) throw new Error(`${printed(type)}: expected a path, found ${printed(href ?? '')}`);
  if (checksum === undefined) throw new Error(`${printed(type)}: expected a checksum`);
  return {
    type,
    checksum,
    openChecksum: sum('open-checksum'),
    headerChecksum: sum('header-checksum'),
    path,
    size: numberOf(fields.get('<size>')),
    openSize: numberOf(fields.get('<open-size>')),
    headerSize: numberOf(fields.get('<header-size>')),
    date: dateOf(fields.get('<timestamp>')),
  };
}

/** Seconds since the epoch, with a fraction in old repositories, as milliseconds. */
function dateOf(text: string | undefined): number | undefined {
  const seconds = numberOf(text?.split('.')[0]);
  // Other revisions are counted, or are dates with their digits in a row.
  return seconds !== undefined && seconds > 1e8 && seconds < 1e10 ? seconds * 1000 : undefined;
}
