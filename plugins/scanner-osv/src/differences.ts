import type { ChangedPackage } from './import-task.js';
import { splitKey } from './import-parts.js';
import { Snapshot, type SnapshotFiles } from './snapshot.js';

/** More are not named one by one. */
const MOST_CHANGES = 50_000;

/** The packages of which two snapshots say different things; `undefined` when they cannot be compared, or are too many. */
export function differences(
  directory: string,
  before: SnapshotFiles,
  after: SnapshotFiles,
): readonly ChangedPackage[] | undefined {
  const open: Snapshot[] = [];
  try {
    open.push(Snapshot.open(directory, before));
    open.push(Snapshot.open(directory, after));
    const [older, newer] = open as [Snapshot, Snapshot];
    const changed: ChangedPackage[] = [];
    for (const [key, value] of newer.entries('p:')) {
      if (older.get(key)?.equals(value) !== true) changed.push(splitKey(key));
      if (changed.length > MOST_CHANGES) return undefined;
    }
    for (const [key] of older.entries('p:')) {
      if (newer.placeOf(key) === undefined) changed.push(splitKey(key));
      if (changed.length > MOST_CHANGES) return undefined;
    }
    // Whose bytes a hash names is not known.
    for (const [key, value] of newer.entries('h:')) if (older.get(key)?.equals(value) !== true) return undefined;
    return changed;
  } catch {
    return undefined;
  } finally {
    for (const snapshot of open) snapshot.close();
  }
}
