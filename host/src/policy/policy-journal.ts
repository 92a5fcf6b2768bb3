import { packageUrl, type Clock, type Logger, type PackageCoordinates } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import type { DecisionRecord as EngineDecision, EngineObserver } from '@entrepot/core/engine';
import type { DecisionRecord, SqlDecisionLog } from '../drivers/sql/decision-log.js';
import type { Download, SqlDownloadHistory } from '../drivers/sql/download-history.js';
import type { Hold, SqlQuarantineStore } from '../drivers/sql/quarantine-store.js';

export interface PolicyJournalOptions {
  readonly decisions: SqlDecisionLog;
  readonly downloads: SqlDownloadHistory;
  readonly quarantine: SqlQuarantineStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for versions that are held or denied now, and were not when they were last requested. */
  readonly onRefusal: (event: 'denied' | 'held', decision: DecisionRecord) => void;
  /** Retention of decisions and downloads; milliseconds. */
  readonly keepDecisions: number;
  readonly keepDownloads: number;
}

/** The most unwritten records in memory. More are counted and dropped. */
const MAX_PENDING = 20_000;
/** The most decisions that are kept. */
const MAX_DECISIONS = 200_000;
/** A refusal that is repeated within this time is one, in milliseconds. */
const REPEATED = 60_000;
const MAX_REMEMBERED = 20_000;
/** Rows of one version that are searched for a client. */
const MAX_COUNTED = 32;
const HOUR = 3_600_000;

/** A download that is still counted. */
type Counted = Download & { lastAt: number; times: number };
/** Holds are deleted when the version was not requested for so long; milliseconds. */
const KEEP_HOLDS = 30 * 24 * HOUR;

/** Records policy decisions and downloads: in memory at once, in the store at intervals. */
export class PolicyJournal {
  readonly #options: PolicyJournalOptions;
  #decisions: DecisionRecord[] = [];
  #holds = new Map<string, Hold>();
  /** Keyed by identity: the pipeline keeps the coordinates with its decision. The store adds up equal rows. */
  #downloads = new Map<PackageCoordinates, Counted[]>();
  #more: Download[] = [];
  #downloadRows = 0;
  /** When each refusal was last recorded. */
  readonly #refused = new Lru<number>(MAX_REMEMBERED);
  #lost = 0;
  #prunedAt = -Infinity;

  constructor(options: PolicyJournalOptions) {
    this.#options = options;
  }

  /** The observer of the engines: counts their events by `metrics`, and records decisions. */
  observer(metrics: Required<Omit<EngineObserver, 'kept' | 'changed'>>): EngineObserver {
    return {
      upstreamAnswered: (...facts) => metrics.upstreamAnswered(...facts),
      received: (...facts) => metrics.received(...facts),
      upstreamRemaining: (...facts) => metrics.upstreamRemaining(...facts),
      upstreamHealth: (...facts) => metrics.upstreamHealth(...facts),
      integrityFailed: (repository) => metrics.integrityFailed(repository),
      decided: (record) => {
        const { decision, refused } = record;
        const hasFired = decision.rules.length > 0;
        if (hasFired) metrics.decided(record);
        if (!refused) this.#noteDownload(record);
        if (refused || hasFired || decision.wouldBe !== undefined) this.#noteDecision(record);
      },
    };
  }

  /** Writes what is in memory to the store. */
  async flush(): Promise<void> {
    const { decisions, downloads, quarantine, clock, logger } = this.#options;
    const [made, held] = [this.#decisions, this.#holds];
    const served: Download[] = [...this.#more, ...[...this.#downloads.values()].flat()];
    const lost = this.#lost;
    this.#decisions = [];
    this.#downloads = new Map();
    this.#more = [];
    this.#downloadRows = 0;
    this.#holds = new Map();
    this.#lost = 0;
    if (lost > 0) logger.warn({ lost }, 'decisions and downloads came faster than they could be written down');
    await decisions.record(made);
    if (held.size > 0) await quarantine.hold([...held.values()]);
    await downloads.record(served);
    const now = clock.now();
    if (now - this.#prunedAt < HOUR) return;
    this.#prunedAt = now;
    await decisions.prune(now - this.#options.keepDecisions, MAX_DECISIONS);
    await downloads.prune(now - this.#options.keepDownloads);
    await quarantine.prune(now - KEEP_HOLDS, now);
  }

  /** Counts, for every hit: no text is put together, and nothing is made for what was counted before. */
  #noteDownload({ repository, coordinates, digest, context }: EngineDecision): void {
    if (context.request.method !== 'GET') return;
    const { client: address, now: at } = context;
    const caller = context.caller.name;
    const counted = this.#downloads.get(coordinates);
    for (const one of counted ?? []) {
      if (one.address !== address || one.caller !== caller || one.digest !== digest || one.repository !== repository)
        continue;
      one.lastAt = at;
      one.times += 1;
      return;
    }
    if (this.#downloadRows >= MAX_PENDING) {
      this.#lost += 1;
      return;
    }
    this.#downloadRows += 1;
    const first = { repository, coordinates, digest, caller, address, firstAt: at, lastAt: at, times: 1 };
    if (counted === undefined) this.#downloads.set(coordinates, [first]);
    // What many clients ask for has many rows: the newest are found first, and old ones end up apart.
    else if (counted.length < MAX_COUNTED) counted.unshift(first);
    else {
      this.#more.push(...counted);
      this.#downloads.set(coordinates, [first]);
    }
  }

  #noteDecision({ repository, coordinates, stage, decision, context, revision, refused }: EngineDecision): void {
    const { action, wouldBe, rules, exceptions, nextChangeAt } = decision;
    const { now: at } = context;
    const caller = context.caller.name;
    const key = [repository, packageUrl(coordinates), action, wouldBe, caller].join('\n');
    const last = this.#refused.get(key);
    if (last !== undefined && at - last < REPEATED) return;
    this.#refused.set(key, at);
    if (this.#decisions.length >= MAX_PENDING) {
      this.#lost += 1;
      return;
    }
    const record = { at, repository, coordinates, stage, action, wouldBe, rules, exceptions, caller, policy: revision };
    this.#decisions.push(record);
    if (!refused) return;
    if (action === 'hold') {
      const ids = rules.filter((rule) => rule.action === 'hold').map(({ id }) => id);
      this.#holds.set(key, { repository, coordinates, rules: ids, at, until: nextChangeAt });
    }
    if (last === undefined && (action === 'deny' || action === 'hold')) {
      this.#options.onRefusal(action === 'deny' ? 'denied' : 'held', record);
    }
  }
}
