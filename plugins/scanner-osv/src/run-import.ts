import type { DeltaChanges, FullChanges } from './dump-source.js';
import { importDelta } from './import-delta.js';
import { importFull } from './import-full.js';
import type { OsvPackage } from './ecosystems.js';
import { splitKey } from './import-parts.js';
import { type Manifest, readManifest, writeManifest } from './manifest.js';
import { Snapshot, type SnapshotFiles, SnapshotWriter } from './snapshot.js';

/** Changes to import into the database in `directory`. */
export type ImportTask = (FullChanges | DeltaChanges) & {
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
};

/** The result of an import. Its manifest is in force by then. */
export interface ImportResult {
  readonly records: number;
  /** Files that were no records. */
  readonly refused: number;
  /** Packages whose findings may differ; absent: there was nothing before, or too many. */
  readonly changed: readonly OsvPackage[] | undefined;
}

/** More are not named one by one. */
const MOST_CHANGES = 50_000;

/** Does a task on this thread. @throws Error when it cannot be done; what was in force stays so */
export function runImport(task: ImportTask): ImportResult {
  const { directory, origin, date, now } = task;
  const before = readManifest(directory);
  if (task.kind === 'delta' && before === undefined) throw new Error('expected a database to change, found none');
  const base = task.kind === 'delta' ? new Snapshot(directory, (before as Manifest).files) : undefined;
  // No other process uses it.
  const name = `${now.toString(36)}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const writer = new SnapshotWriter(directory, name, base);
  try {
    const { refused, changed, ...facts } =
      task.kind === 'full'
        ? { ...importFull(task, writer, name), changed: undefined }
        : importDelta(task, writer, base as Snapshot, before as Manifest);
    const files = writer.finish();
    const differing =
      task.kind === 'full' && before !== undefined ? differences(directory, before.files, files) : changed;
    writeManifest(directory, { ...facts, files, date, origin });
    return { records: facts.records, refused, changed: differing };
  } catch (error) {
    writer.abandon();
    throw error;
  } finally {
    base?.close();
  }
}

/** The packages of which two snapshots say different things; `undefined` when they cannot be compared, or are too many. */
function differences(
  directory: string,
  before: SnapshotFiles,
  after: SnapshotFiles,
): readonly OsvPackage[] | undefined {
  const open: Snapshot[] = [];
  try {
    for (const files of [before, after]) open.push(new Snapshot(directory, files));
    const [older, newer] = open as [Snapshot, Snapshot];
    const changed: OsvPackage[] = [];
    for (const [key, value] of newer.entries()) {
      if (!/^[ph]:/.test(key) || older.get(key)?.equals(value) === true) continue;
      // Whose bytes a hash names is not known.
      if (key.startsWith('h:') || changed.push(splitKey(key)) > MOST_CHANGES) return undefined;
    }
    for (const [key] of older.entries()) {
      if (!key.startsWith('p:') || newer.placeOf(key) !== undefined) continue;
      if (changed.push(splitKey(key)) > MOST_CHANGES) return undefined;
    }
    return changed;
  } catch {
    return undefined;
  } finally {
    for (const snapshot of open) snapshot.close();
  }
}
