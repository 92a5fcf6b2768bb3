import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ZipReader, type ZipFile } from '@entrepot/core/formats';
import { type AdvisoryGroup, groupOf, mergeGroups } from './advisories.js';
import { AliasGroups } from './alias-groups.js';
import { AppendFile } from './append-file.js';
import { ContentSum } from './content-sum.js';
import { differences } from './differences.js';
import { baseEcosystem } from './ecosystems.js';
import { type PackagePart, packPackage, parseRecord, partsOf, type StoredGroup } from './import-parts.js';
import type { DumpFile, FullImport, ImportResult } from './import-task.js';
import { readManifest, writeManifest } from './manifest.js';
import { SnapshotWriter } from './snapshot.js';
import { storeRecord } from './stored-record.js';

/** A record is a few KiB; the largest lists of versions are a few MiB. */
const LARGEST_RECORD = 64 * 1024 * 1024;

/**
 * Makes a database of dumps. Memory holds the ids, the names and a few numbers of each record; what records say of packages waits
 * in a file until all groups of aliases are known.
 * @throws Error for a dump that cannot be read; what was in force stays so
 */
export function importFull(task: FullImport): ImportResult {
  const name = uniqueName(task.now);
  const spillPath = join(task.directory, `spill-${name}`);
  const spill = new Spill(spillPath);
  const writer = new SnapshotWriter(task.directory, name);
  try {
    return new FullImporter(task, spill, writer).run();
  } catch (error) {
    writer.abandon();
    throw error;
  } finally {
    spill.close();
    rmSync(spillPath, { force: true });
  }
}

/** A name for files that no other process uses. */
export function uniqueName(now: number): string {
  return `${now.toString(36)}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
}

/** The rating of a record by itself. Without the ids, few of them differ. */
type OwnRating = Omit<AdvisoryGroup, 'ids'>;

class FullImporter {
  readonly #task: FullImport;
  readonly #spill: Spill;
  readonly #writer: SnapshotWriter;
  readonly #aliases = new AliasGroups();
  /** By the number of the id; none for ids that are no records, or withdrawn ones. */
  readonly #ratings: (OwnRating | undefined)[] = [];
  readonly #knownRatings = new Map<string, OwnRating>();
  /** By the number of the id: it is a record. */
  readonly #seen: (true | undefined)[] = [];
  #records = 0;
  /** The number of each package and hash. */
  readonly #keys = new Map<string, number>();
  readonly #covered = new Set<string>();
  readonly #ecosystems = new Set<string>();
  readonly #sum = new ContentSum();
  #refused = 0;

  constructor(task: FullImport, spill: Spill, writer: SnapshotWriter) {
    this.#task = task;
    this.#spill = spill;
    this.#writer = writer;
  }

  run(): ImportResult {
    const { directory, dumps, origin, date, now } = this.#task;
    for (const dump of dumps) this.#read(dump);
    this.#writePackages(this.#writeGroups());
    const files = this.#writer.finish();
    const before = readManifest(directory);
    const changed = before === undefined ? undefined : differences(directory, before.files, files);
    writeManifest(directory, {
      revision: this.#sum.toString(),
      files,
      covered: [...this.#covered].sort(),
      ecosystems: [...this.#ecosystems].sort(),
      records: this.#records,
      fullAt: now,
      date,
      origin,
    });
    return { records: this.#records, refused: this.#refused, changed };
  }

  #read({ ecosystem, path }: DumpFile): void {
    if (ecosystem !== undefined) this.#covered.add(baseEcosystem(ecosystem));
    if (!path.endsWith('.zip')) return this.#add(readFileSync(path), undefined, ecosystem);
    // Synchronously, on a thread of its own: 250,000 small files are read in seconds, where streams take minutes.
    const zip = new ZipReader(path);
    try {
      for (const file of zip.files) if (file.name.endsWith('.json')) this.#addFile(zip, file, ecosystem);
    } finally {
      zip.close();
    }
  }

  #addFile(zip: ZipReader, file: ZipFile, ecosystem: string | undefined): void {
    if (file.size > LARGEST_RECORD || file.compressed > LARGEST_RECORD) {
      throw new Error(`${file.name}: expected at most ${LARGEST_RECORD} bytes`);
    }
    const packed = bufferOf(zip.packed(file));
    this.#add(bufferOf(zip.unpack(file, packed)), file.method === 8 ? packed : undefined, ecosystem);
  }

  #add(content: Buffer, deflated: Buffer | undefined, ecosystem: string | undefined): void {
    const record = parseRecord(content.toString('utf8'));
    if (record === undefined) this.#refused += 1;
    if (record === undefined) return;
    const number = this.#aliases.add(record.id);
    // A record stands in the dump of each ecosystem that it is about.
    if (this.#seen[number] === true) return;
    this.#seen[number] = true;
    this.#records += 1;
    this.#writer.set(`r:${record.id}`, storeRecord(content, deflated));
    for (const affected of record.affected) {
      this.#ecosystems.add(affected.ecosystem);
      if (ecosystem === undefined) this.#covered.add(baseEcosystem(affected.ecosystem));
    }
    if (record.withdrawn) return;
    this.#ratings[number] = this.#share(groupOf(record));
    for (const alias of record.aliases) this.#aliases.join(record.id, alias);
    for (const [key, part] of partsOf(record)) {
      const place = this.#keys.get(key) ?? this.#keys.size;
      this.#keys.set(key, place);
      this.#spill.add(place, number, JSON.stringify(part));
    }
  }

  #share({ severity, cvss, malicious }: AdvisoryGroup): OwnRating {
    const key = `${severity} ${cvss} ${malicious}`;
    const known = this.#knownRatings.get(key) ?? { severity, cvss, malicious };
    this.#knownRatings.set(key, known);
    return known;
  }

  /** Groups of several ids, by the number of their root. */
  #writeGroups(): Map<number, AdvisoryGroup> {
    const merged = new Map<number, AdvisoryGroup>();
    for (const [root, ids] of this.#aliases.groups()) {
      const records = ids.filter((id) => this.#ratings[this.#aliases.add(id)] !== undefined).sort();
      const said = records.map((id) => ({ ids: [], ...(this.#ratings[this.#aliases.add(id)] as OwnRating) }));
      const group = mergeGroups(ids, said);
      merged.set(root, group);
      writeGroup(this.#writer, { ...group, records });
    }
    return merged;
  }

  #writePackages(merged: ReadonlyMap<number, AdvisoryGroup>): void {
    for (const [key, place] of this.#keys) {
      const parts = this.#spill.parts(place).map(([number, text]): [PackagePart, AdvisoryGroup] => {
        const part = JSON.parse(text) as PackagePart;
        const own = this.#ratings[number] as OwnRating;
        return [part, merged.get(this.#aliases.root(number)) ?? { ids: [part.id], ...own }];
      });
      const value = packPackage(key, parts);
      this.#sum.add(key, value);
      this.#writer.set(key, value);
    }
  }
}

/** Writes what stands under the ids of a group. */
export function writeGroup(writer: Pick<SnapshotWriter, 'set'>, group: StoredGroup): void {
  const [first, ...others] = group.ids as [string, ...string[]];
  writer.set(`g:${first}`, Buffer.from(JSON.stringify(group)));
  for (const id of others) writer.set(`g:${id}`, Buffer.from(JSON.stringify(first)));
}

/** Texts that belong to numbered places, each the work of a numbered record, in a file. */
class Spill {
  readonly #file: AppendFile;
  /** By place: the last text that was added to it. */
  readonly #last: number[] = [];
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  readonly #records: number[] = [];
  readonly #previous: number[] = [];

  constructor(path: string) {
    this.#file = new AppendFile(path);
  }

  add(place: number, record: number, text: string): void {
    const number = this.#offsets.length;
    this.#offsets.push(this.#file.size);
    this.#lengths.push(this.#file.appendText(text));
    this.#records.push(record);
    this.#previous.push(this.#last[place] ?? -1);
    this.#last[place] = number;
  }

  /** In the order in which they were added. */
  parts(place: number): [record: number, text: string][] {
    this.#file.flush();
    const parts: [number, string][] = [];
    for (let number = this.#last[place] ?? -1; number !== -1; number = this.#previous[number] as number) {
      const text = this.#file.readText(this.#offsets[number] as number, this.#lengths[number] as number);
      parts.push([this.#records[number] as number, text]);
    }
    return parts.reverse();
  }

  close(): void {
    this.#file.close();
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
