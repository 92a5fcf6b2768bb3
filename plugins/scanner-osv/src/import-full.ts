import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ZipReader, type ZipFile } from '@entrepot/core/formats';
import { type AdvisoryGroup, groupOf, mergeGroups, type OwnRating } from './advisories.js';
import { AliasGroups } from './alias-groups.js';
import { AppendFile } from './append-file.js';
import { ContentSum } from './content-sum.js';
import type { DumpFile, FullChanges } from './dump-source.js';
import { baseEcosystem } from './ecosystems.js';
import { type PackagePart, packPackage, partsOf, writeGroup } from './import-parts.js';
import type { ImportedFacts } from './manifest.js';
import { parseRecord } from './osv-record.js';
import type { SnapshotWriter } from './snapshot.js';
import { storeRecord } from './stored-record.js';

/** A record is a few KiB; the largest lists of versions are a few MiB. */
const LARGEST_RECORD = 64 * 1024 * 1024;

/**
 * Makes a database of dumps. Memory holds the ids, the names and a few numbers of each record; what records say of packages waits
 * in a file until all groups of aliases are known.
 * @param name makes that file unique
 * @throws Error for a dump that cannot be read
 */
export function importFull(
  { directory, dumps, now }: FullChanges & { readonly directory: string; readonly now: number },
  writer: SnapshotWriter,
  name: string,
): ImportedFacts & { readonly refused: number } {
  const path = join(directory, `spill-${name}`);
  const spill = new AppendFile(path);
  try {
    const importer = new FullImporter(spill, writer);
    for (const dump of dumps) importer.read(dump);
    return { ...importer.write(), fullAt: now };
  } finally {
    spill.close();
    rmSync(path, { force: true });
  }
}

class FullImporter {
  readonly #spill: AppendFile;
  readonly #writer: SnapshotWriter;
  readonly #aliases = new AliasGroups();
  /** By the number of the id: a record, or a withdrawn one without a rating. */
  readonly #ratings = new Map<number, OwnRating | undefined>();
  /** By package and hash: the number of the record, the offset and the length of each part in the file. */
  readonly #parts = new Map<string, number[]>();
  readonly #covered = new Set<string>();
  readonly #ecosystems = new Set<string>();
  #refused = 0;

  constructor(spill: AppendFile, writer: SnapshotWriter) {
    this.#spill = spill;
    this.#writer = writer;
  }

  read({ ecosystem, path }: DumpFile): void {
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

  /** Writes groups and packages. */
  write(): Omit<ImportedFacts, 'fullAt'> & { readonly refused: number } {
    const sum = new ContentSum();
    const merged = this.#writeGroups();
    this.#spill.flush();
    for (const [key, places] of this.#parts) {
      const parts: [PackagePart, AdvisoryGroup][] = [];
      for (let at = 0; at < places.length; at += 3) {
        const [number, offset, length] = places.slice(at, at + 3) as [number, number, number];
        const part = JSON.parse(this.#spill.readText(offset, length)) as PackagePart;
        const group = merged.get(this.#aliases.root(number));
        parts.push([part, group ?? { ids: [part.id], ...(this.#ratings.get(number) as OwnRating) }]);
      }
      const value = packPackage(key, parts);
      sum.add(key, value);
      this.#writer.set(key, value);
    }
    return {
      revision: sum.toString(),
      covered: [...this.#covered].sort(),
      ecosystems: [...this.#ecosystems].sort(),
      records: this.#ratings.size,
      refused: this.#refused,
    };
  }

  #addFile(zip: ZipReader, file: ZipFile, ecosystem: string | undefined): void {
    if (file.size > LARGEST_RECORD || file.compressed > LARGEST_RECORD) {
      throw new Error(`${file.name}: expected at most ${LARGEST_RECORD} bytes`);
    }
    const packed = zip.packed(file);
    this.#add(zip.unpack(file, packed), file.method === 8 ? packed : undefined, ecosystem);
  }

  #add(content: Uint8Array, deflated: Uint8Array | undefined, ecosystem: string | undefined): void {
    const record = parseRecord(Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('utf8'));
    if (record === undefined) this.#refused += 1;
    if (record === undefined) return;
    const number = this.#aliases.add(record.id);
    // A record stands in the dump of each ecosystem that it is about.
    if (this.#ratings.has(number)) return;
    this.#writer.set(`r:${record.id}`, storeRecord(content, deflated));
    for (const affected of record.affected) {
      this.#ecosystems.add(affected.ecosystem);
      if (ecosystem === undefined) this.#covered.add(baseEcosystem(affected.ecosystem));
    }
    const { severity, cvss, malicious } = groupOf(record);
    this.#ratings.set(number, record.withdrawn ? undefined : { severity, cvss, malicious });
    if (record.withdrawn) return;
    for (const alias of record.aliases) this.#aliases.join(record.id, alias);
    for (const [key, part] of partsOf(record)) {
      const text = Buffer.from(JSON.stringify(part));
      const places = this.#parts.get(key);
      if (places === undefined) this.#parts.set(key, [number, this.#spill.size, text.length]);
      else places.push(number, this.#spill.size, text.length);
      this.#spill.append(text);
    }
  }

  /** Groups of several ids, by the number of their root. */
  #writeGroups(): Map<number, AdvisoryGroup> {
    const merged = new Map<number, AdvisoryGroup>();
    for (const [root, ids] of this.#aliases.groups()) {
      const group = mergeGroups(ids, (id) => this.#ratings.get(this.#aliases.add(id)));
      merged.set(root, group);
      writeGroup(this.#writer, group);
    }
    return merged;
  }
}
