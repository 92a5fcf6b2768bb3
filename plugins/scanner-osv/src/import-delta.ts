import { readFileSync } from 'node:fs';
import { type AdvisoryGroup, groupOf, mergeGroups, type PackedPackage } from './advisories.js';
import { AliasGroups } from './alias-groups.js';
import { ContentSum } from './content-sum.js';
import type { DeltaChanges } from './dump-source.js';
import type { OsvPackage } from './ecosystems.js';
import { idsOfGroup, keysOf, type PackagePart, packPackage, partsOf, splitKey, writeGroup } from './import-parts.js';
import type { ImportedFacts, Manifest } from './manifest.js';
import { type OsvRecord, parseRecord } from './osv-record.js';
import type { Snapshot, SnapshotWriter } from './snapshot.js';
import { recordText, storeRecord } from './stored-record.js';

/**
 * Takes changed records into a new snapshot, which shares everything else with the one in force: their groups of aliases, old and
 * new, are made anew, and every package of a record in one of those.
 * @throws Error when a file cannot be read
 */
export function importDelta(
  { changed, removed }: DeltaChanges,
  writer: SnapshotWriter,
  base: Snapshot,
  manifest: Manifest,
): ImportedFacts & { readonly refused: number; readonly changed: readonly OsvPackage[] | undefined } {
  const sum = new ContentSum(manifest.revision);
  const importer = new DeltaImporter(base, writer, sum);
  const refused = changed.filter((path) => !importer.change(readFileSync(path))).length;
  for (const id of removed) importer.remove(id);
  const differing = importer.write();
  return {
    ...manifest,
    revision: sum.toString(),
    ecosystems: [...new Set([...manifest.ecosystems, ...importer.ecosystems])].sort(),
    records: manifest.records + importer.added,
    refused,
    changed: differing,
  };
}

class DeltaImporter {
  readonly ecosystems = new Set<string>();
  /** The number of records that there are more than before. */
  added = 0;
  readonly #base: Snapshot;
  readonly #writer: SnapshotWriter;
  readonly #sum: ContentSum;
  /** The changed records; `undefined`: gone. */
  readonly #records = new Map<string, OsvRecord | undefined>();

  constructor(base: Snapshot, writer: SnapshotWriter, sum: ContentSum) {
    this.#base = base;
    this.#writer = writer;
    this.#sum = sum;
  }

  /** @returns whether it is a record */
  change(content: Buffer): boolean {
    const record = parseRecord(content.toString('utf8'));
    if (record === undefined) return false;
    if (this.#records.has(record.id)) return true;
    this.#records.set(record.id, record);
    if (this.#base.placeOf(`r:${record.id}`) === undefined) this.added += 1;
    this.#writer.set(`r:${record.id}`, storeRecord(content));
    for (const { ecosystem } of record.affected) this.ecosystems.add(ecosystem);
    return true;
  }

  remove(id: string): void {
    if (this.#records.has(id) || this.#base.placeOf(`r:${id}`) === undefined) return;
    this.#records.set(id, undefined);
    this.added -= 1;
    this.#writer.delete(`r:${id}`);
  }

  /** Writes groups and packages. @returns the packages that are not what they were; `undefined` when that is not known */
  write(): readonly OsvPackage[] | undefined {
    const groups = this.#regroup();
    const parts = new Map<string, [PackagePart, AdvisoryGroup][]>();
    for (const [id, group] of groups) {
      const record = this.#current(id);
      for (const each of [record, this.#before(id)]) {
        for (const key of each === undefined ? [] : keysOf(each)) if (!parts.has(key)) parts.set(key, []);
      }
      if (record === undefined || record.withdrawn) continue;
      for (const [key, part] of partsOf(record)) parts.get(key)?.push([part, group]);
    }
    const changed: OsvPackage[] = [];
    let isKnown = true;
    for (const [key, renewed] of parts) {
      const before = this.#base.get(key);
      const all = [...keptParts(before, groups), ...renewed];
      const after = all.length === 0 ? undefined : packPackage(key, all);
      if (after === undefined ? before === undefined : before?.equals(after) === true) continue;
      if (before !== undefined) this.#sum.remove(key, before);
      if (after !== undefined) this.#sum.add(key, after);
      if (after === undefined) this.#writer.delete(key);
      else this.#writer.set(key, after);
      if (key.startsWith('p:')) changed.push(splitKey(key));
      // Whose bytes a hash names is not known.
      else isKnown = false;
    }
    return isKnown ? changed : undefined;
  }

  /** The groups of every record that a change can touch, by the id of the record; ids that are no record have one too. */
  #regroup(): Map<string, AdvisoryGroup> {
    const touched = new Set<string>();
    const open = [...this.#records].flatMap(([id, record]) => [id, ...(record?.aliases ?? [])]);
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (touched.has(id)) continue;
      touched.add(id);
      open.push(...idsOfGroup(this.#base, id));
    }
    const aliases = new AliasGroups();
    const own = new Map<string, AdvisoryGroup>();
    const groups = new Map<string, AdvisoryGroup>();
    for (const id of touched) {
      this.#writer.delete(`g:${id}`);
      aliases.add(id);
      const record = this.#current(id);
      const isCounted = record !== undefined && !record.withdrawn;
      if (isCounted) {
        own.set(id, groupOf(record));
        for (const alias of record.aliases) aliases.join(id, alias);
      }
      groups.set(id, { ...(own.get(id) ?? { severity: 'unknown' }), ids: [id] });
    }
    for (const ids of aliases.groups().values()) {
      const group = mergeGroups(ids, (id) => own.get(id));
      for (const id of ids) groups.set(id, group);
      writeGroup(this.#writer, group);
    }
    return groups;
  }

  #current(id: string): OsvRecord | undefined {
    return this.#records.has(id) ? this.#records.get(id) : this.#before(id);
  }

  #before(id: string): OsvRecord | undefined {
    const stored = this.#base.get(`r:${id}`);
    return stored === undefined ? undefined : parseRecord(recordText(stored));
  }
}

/** The parts of the package from other records. */
function keptParts(
  stored: Buffer | undefined,
  groups: ReadonlyMap<string, AdvisoryGroup>,
): [PackagePart, AdvisoryGroup][] {
  if (stored === undefined) return [];
  const kept = JSON.parse(stored.toString('utf8')) as PackedPackage;
  return kept.affected
    .filter(({ id }) => !groups.has(id))
    .map(({ group, ...part }) => [part, kept.groups[group] as AdvisoryGroup]);
}
