import type { Entry, StoredVersion } from '@entrepot/core';
import type { HostedCleanup } from '@entrepot/core/engine';
import { slices } from '../drivers/slices.js';
import type { Selector } from './selector.js';

export interface RetireNamedOptions {
  readonly repository: string;
  readonly selector: Selector;
  readonly dryRun: boolean;
  /** The number of versions that are removed in one change. */
  readonly batchSize: number;
  /** Absent: nothing is pinned. */
  readonly isPinned: ((entry: Entry) => boolean) | undefined;
}

/**
 * Removes the versions of a hosted repository that a selector takes: by the entry that stands for them, or by another one by which clients
 * get them. Yields what is gone after each change: all that was there for their sake alone.
 */
export async function* retireNamed(
  cleanup: HostedCleanup,
  { repository, selector, dryRun, batchSize, isPinned }: RetireNamedOptions,
): AsyncGenerator<readonly Entry[]> {
  const isNamed = ({ entry, servedBy = [] }: StoredVersion): boolean =>
    selector.takes(entry) || servedBy.some((key) => selector.takes({ repository, key }));
  for await (const versions of cleanup.stored()) {
    const due = versions.filter(isNamed).map((version) => ({ version }));
    if (due.length === 0) continue;
    // Entries that one change leaves behind may be needed by the next one alone: a dry run has to see both at once.
    for (const batch of slices(due, dryRun ? due.length : batchSize)) {
      const { removed } = await cleanup.retire(batch, { dryRun, isPinned });
      yield removed;
    }
  }
}
