import { setTimeout as wait } from 'node:timers/promises';
import { messageOf, type Clock, type Digest, type Logger, type StoredVersion } from '@entrepot/core';
import type { HostedCleanup, Retired } from '@entrepot/core/engine';
import { WorkTurns } from '@entrepot/core/formats';
import { LISTED, type CleanupReport } from './cleanup-report.js';
import { judgeVersions, type Judged } from './judge-versions.js';
import type { Pins } from './pins.js';
import type { CleanupPlan } from './plan-cleanup.js';

/** After each change a pause follows that is so many times as long: what clients ask for goes on beside it. */
const PAUSE = 4;

/** A repository that is cleaned up by rules. */
export interface CleanupTarget {
  readonly repository: string;
  readonly plan: CleanupPlan;
  readonly cleanup: HostedCleanup;
}

export interface CleaningOptions {
  readonly dryRun: boolean;
  readonly pins: Pick<Pins, 'matcher'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends it between two changes. */
  readonly signal: AbortSignal;
}

/** Begins a report of a repository. */
export function beginReport({ repository, plan }: CleanupTarget, dryRun: boolean, startedAt: number): CleanupReport {
  return {
    repository,
    dryRun,
    startedAt,
    looked: 0,
    removed: 0,
    kept: 0,
    bytes: 0,
    rules: plan.rules.map(({ text }) => ({ rule: text, removed: 0 })),
    refused: { used: 0, changed: 0, needed: 0, pinned: 0, failed: 0 },
    removals: [],
  };
}

/** Applies the rules of a repository to all that it stores, and removes what they say. Writes into `report`. Does not reject. */
export async function cleanRepository(
  target: CleanupTarget,
  report: CleanupReport,
  options: CleaningOptions,
): Promise<void> {
  const { clock, logger, signal } = options;
  const { repository, cleanup } = target;
  const turns = new WorkTurns();
  try {
    for await (const versions of cleanup.stored()) {
      signal.throwIfAborted();
      await cleanVersions(target, versions, report, options);
      await turns.pause();
    }
  } catch (error) {
    report.error = signal.aborted ? 'the server is stopping' : messageOf(error);
    if (!signal.aborted) logger.error({ err: error, repository }, 'the cleanup of a repository has failed');
  }
  report.endedAt = clock.now();
}

/** Applies the rules to all versions of one name, or to some files. */
async function cleanVersions(
  { repository, plan, cleanup }: CleanupTarget,
  versions: readonly StoredVersion[],
  report: CleanupReport,
  { dryRun, pins, clock, logger, signal }: CleaningOptions,
): Promise<void> {
  const asksForUse = plan.rules.some(({ notDownloadedFor }) => notDownloadedFor !== undefined);
  const uses = asksForUse ? await cleanup.lastUses(versions) : versions.map(({ entry }) => entry.fetchedAt);
  const used = versions.map((version, index) => ({ version, usedAt: uses[index] as number }));
  const due = judgeVersions(plan, used, clock.now());
  report.looked += versions.length;
  report.kept += versions.length;
  const counted = new Set<Digest>();
  // Entries that one batch leaves behind may be needed by the next one alone: a dry run has to see both at once.
  const size = dryRun ? due.length : plan.batchSize;
  for (let start = 0; start < due.length; start += size) {
    signal.throwIfAborted();
    const batch = due.slice(start, start + size);
    const begun = clock.monotonic();
    const standing = Array.from(new Set(batch.flatMap((one) => one.standing)), ({ entry }) => entry);
    try {
      const isPinned = await pins.matcher();
      const result = await cleanup.retire(batch, { dryRun, standing, isPinned });
      count(result, batch, report, counted);
      const removed = result.retired.map(labelOf);
      if (!dryRun && removed.length > 0) logger.info({ repository, removed }, 'cleanup has removed versions');
    } catch (error) {
      report.refused.failed += batch.length;
      const { name } = (batch[0] as Judged).version;
      logger.error({ err: error, repository, name, versions: batch.length }, 'versions could not be removed');
    }
    if (!dryRun) await wait(PAUSE * (clock.monotonic() - begun), undefined, { signal });
  }
}

function labelOf({ name, version, entry }: StoredVersion): string {
  return `${name} ${version ?? entry.digest}`;
}

function count(
  { retired, removed, replaced, added, spared }: Retired,
  batch: readonly Judged[],
  report: CleanupReport,
  counted: Set<Digest>,
): void {
  const rules = new Map(batch.map(({ version, rule }) => [version, rule]));
  report.removed += retired.length;
  report.kept -= retired.length;
  for (const version of retired) {
    const rule = rules.get(version) as number;
    (report.rules[rule] as CleanupReport['rules'][number]).removed += 1;
    const { name, version: text, entry } = version;
    if (report.removals.length < LISTED) report.removals.push({ name, version: text, digest: entry.digest, rule });
  }
  for (const { reason } of spared) report.refused[reason] += 1;
  for (const { digest, size } of [...removed, ...replaced]) {
    if (!counted.has(digest)) report.bytes += size;
    counted.add(digest);
  }
  for (const { digest, size } of added) {
    report.bytes -= size;
    counted.delete(digest);
  }
}
