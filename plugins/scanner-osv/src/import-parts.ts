import {
  type AdvisoryGroup,
  packAffected,
  type PackedAffected,
  type PackedPackage,
  packageKey,
  packRecord,
} from './advisories.js';
import type { OsvPackage } from './ecosystems.js';
import type { OsvRecord } from './osv-record.js';
import type { Snapshot, SnapshotWriter } from './snapshot.js';

/** The longest name of a package. */
const LONGEST_NAME = 1000;

/** The part of one record about one package. */
export type PackagePart = Omit<PackedAffected, 'group'>;

/** Yields the parts of `record` by the key of their package or hash. Parts with the same key follow each other. */
export function* partsOf(record: OsvRecord): Generator<[key: string, part: PackagePart]> {
  const head = packRecord(record);
  const hashes = new Set<string>();
  for (const affected of record.affected) {
    for (const hash of affected.hashes) hashes.add(hash);
    const part = affected.name.length > LONGEST_NAME ? undefined : packAffected(head, affected);
    if (part !== undefined) yield [packageKey(affected), part];
  }
  for (const hash of hashes) yield [`h:${hash}`, { ...head, ranges: [], versions: [] }];
}

/** The keys of every package that `record` names, also where it says nothing of it. */
export function keysOf(record: OsvRecord): string[] {
  const names = record.affected.map(packageKey);
  return [...new Set([...names, ...record.affected.flatMap(({ hashes }) => hashes.map((hash) => `h:${hash}`))])];
}

/** A package of its parts: in one order, whatever they were read in, so that equal packages have equal bytes. */
export function packPackage(key: string, parts: readonly (readonly [PackagePart, AdvisoryGroup])[]): Buffer {
  const groups: AdvisoryGroup[] = [];
  const numbers = new Map<string, number>();
  const sorted = parts.toSorted(([one], [other]) => (one.id < other.id ? -1 : Number(one.id > other.id)));
  const affected = sorted.map(([part, group]) => {
    const name = group.ids[0] as string;
    const number = numbers.get(name) ?? groups.length;
    if (number === groups.length) groups.push(group);
    numbers.set(name, number);
    const { id, published, title, url, ranges, versions } = part;
    return { id, published, title, url, ranges, versions, group: number };
  });
  return Buffer.from(JSON.stringify({ ...splitKey(key), groups, affected } satisfies PackedPackage));
}

/** The package of a `p:` key; for a hash both parts are empty. */
export function splitKey(key: string): OsvPackage {
  const end = key.indexOf('\0');
  return end === -1 ? { ecosystem: '', name: '' } : { ecosystem: key.slice(2, end), name: key.slice(end + 1) };
}

/** Writes the ids of a group under the first of them. Those of the others lead to it. */
export function writeGroup(writer: SnapshotWriter, { ids }: AdvisoryGroup): void {
  const [first, ...others] = ids as [string, ...string[]];
  writer.set(`g:${first}`, Buffer.from(JSON.stringify(ids)));
  for (const id of others) writer.set(`g:${id}`, Buffer.from(JSON.stringify([first])));
}

/** The ids of the group of `id`, as `writeGroup` wrote them. Empty: it has none. */
export function idsOfGroup(snapshot: Snapshot, id: string): readonly string[] {
  const read = (name: string): string[] => JSON.parse(snapshot.get(`g:${name}`)?.toString('utf8') ?? '[]') as string[];
  const ids = read(id);
  return ids.length === 1 ? read(ids[0] as string) : ids;
}
