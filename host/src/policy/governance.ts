import type { BlobStore, Clock, Logger } from '@entrepot/core';
import type { PolicyConfig } from '../config/schema.js';
import { type ChangeCounts, CHANGES, readChanges } from '../drivers/sql/changes.js';
import { SqlDecisionLog } from '../drivers/sql/decision-log.js';
import { SqlDownloadHistory } from '../drivers/sql/download-history.js';
import { SqlExceptionStore } from '../drivers/sql/exception-store.js';
import { SqlFirstSeenStore } from '../drivers/sql/first-seen-store.js';
import type { Notices } from '../drivers/sql/notices.js';
import { SqlQuarantineStore } from '../drivers/sql/quarantine-store.js';
import { SqlScanStore } from '../drivers/sql/scan-store.js';
import type { EventHub } from '../events/event-hub.js';
import type { Webhooks } from '../events/webhooks.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { JobScanDesk } from '../scanning/job-scan-desk.js';
import { ScannerUpdates } from '../scanning/scanner-updates.js';
import { ScanWorker, type FetchPart, type HostScanner } from '../scanning/scan-worker.js';
import { EndingExceptions } from './ending-exceptions.js';
import { FirstSeen } from './first-seen.js';
import type { RepositoryPolicies } from './policy-document.js';
import { PolicyInForce } from './policy-in-force.js';
import { PolicyJournal } from './policy-journal.js';
import { StandingDecisions } from './standing-decisions.js';
import { tellExceptionEnding, tellNewFindings, tellRefused } from './policy-events.js';

export interface GovernanceOptions {
  /** Absent: no rules. */
  readonly policy: PolicyConfig | undefined;
  readonly repositories: RepositoryPolicies;
  readonly scanners: readonly HostScanner[];
  readonly database: SqlDatabase;
  /** Wakes this process when another one has changed something. Absent: it looks once a second. */
  readonly notices?: Notices | undefined;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventHub;
  readonly webhooks: Webhooks;
  readonly fetchPart: FetchPart;
  /** `worker` scans and serves nothing. */
  readonly role: 'server' | 'worker';
  /** Told of what all processes on the database have changed, each time that it is looked for. */
  readonly onChanges?: ((changes: ChangeCounts) => Promise<void>) | undefined;
}

/** Interval of the checks for changes of other processes and for a new policy file; milliseconds. */
const REFRESH = 1_000;
/** Interval of the journal's writes; milliseconds. */
const FLUSH = 5_000;
const DAY = 86_400_000;

/** Owns policy, scanners, decisions of administrators and their journal. */
export class Governance {
  readonly policy: PolicyInForce;
  readonly scanners: readonly HostScanner[];
  readonly desk: JobScanDesk;
  readonly reports: SqlScanStore;
  readonly exceptions: SqlExceptionStore;
  readonly quarantine: SqlQuarantineStore;
  readonly decisions: SqlDecisionLog;
  readonly downloads: SqlDownloadHistory;
  readonly journal: PolicyJournal;
  readonly firstSeen: FirstSeen;
  readonly #standing: StandingDecisions;
  readonly #ending: EndingExceptions;
  readonly #worker: ScanWorker;
  readonly #updates: ScannerUpdates;
  readonly #options: GovernanceOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #last: Promise<void> = Promise.resolve();
  #unlisten = (): void => {};
  #woken = false;
  #refreshed: Promise<void> = Promise.resolve();

  /** @throws ConfigurationError with everything that is wrong with the policy */
  constructor(options: GovernanceOptions) {
    const { policy, repositories, scanners, database, blobs, clock, logger, events, fetchPart, role } = options;
    this.#options = options;
    this.scanners = scanners;
    this.reports = new SqlScanStore(database);
    this.exceptions = new SqlExceptionStore(database);
    this.quarantine = new SqlQuarantineStore(database);
    this.decisions = new SqlDecisionLog(database);
    this.downloads = new SqlDownloadHistory(database);
    this.firstSeen = new FirstSeen(new SqlFirstSeenStore(database), clock);
    this.#standing = new StandingDecisions(this.exceptions, this.quarantine, clock);
    this.#ending = new EndingExceptions({
      store: this.exceptions,
      notice: policy?.exceptionNotice ?? 0,
      clock,
      logger,
      onEnding: (exception) => tellExceptionEnding(events, exception),
    });
    this.policy = new PolicyInForce({
      config: policy,
      repositories,
      scanners: scanners.map(({ id, scanner }) => ({ id, scanner })),
      decisions: this.#standing,
      firstSeen: this.firstSeen,
      clock,
      logger,
    });
    const wake = (): void => this.#worker.wake();
    const parts = { scanners, store: this.reports, clock, logger };
    const own = { ...parts, scanners: scanners.filter(({ where }) => role === 'worker' || where === 'server') };
    this.desk = new JobScanDesk({ ...parts, wake });
    this.#updates = new ScannerUpdates({ ...own, wake, onNewFindings: (found) => tellNewFindings(events, found) });
    this.#worker = new ScanWorker({
      ...own,
      blobs,
      fetchPart,
      onReport: (report, before) => {
        this.desk.take(report);
        this.#updates
          .reported(report, before)
          .catch((error: unknown) => logger.warn({ err: error }, 'the webhooks of new findings were not called'));
      },
    });
    this.journal = new PolicyJournal({
      decisions: this.decisions,
      downloads: this.downloads,
      quarantine: this.quarantine,
      clock,
      logger,
      onRefusal: (event, decision) => tellRefused(events, event, decision),
      keepDecisions: policy?.keepDecisions ?? 30 * DAY,
      keepDownloads: policy?.keepDownloads ?? 180 * DAY,
    });
  }

  /** The scanners that wait for their first database: until then rules that need them do not work. */
  get starting(): readonly string[] {
    return this.#updates.starting;
  }

  /** Settles when no scanner is `starting` any more. */
  get started(): Promise<unknown> {
    return this.#updates.started;
  }

  /** Begins to call webhooks. */
  begin(): void {
    this.#options.webhooks.begin();
  }

  /** Ends the work in the background; what runs is still judged. */
  async retire(): Promise<void> {
    this.#options.webhooks.retire();
    await this.#updates.stop();
    await this.#worker.stop();
  }

  /** Reads what people decided, and begins to scan, to update and to write down. */
  async start(): Promise<void> {
    await this.firstSeen.load();
    await this.refresh();
    this.#unlisten = this.#options.notices?.listen(CHANGES, () => this.#wake()) ?? this.#unlisten;
    this.#worker.start();
    this.#updates.start();
    this.#timers.push(
      this.#repeat(REFRESH, () => this.refresh()),
      this.#repeat(FLUSH, () => this.flush()),
    );
  }

  /** Takes in what has changed: the policy file, and what other processes and the administration did. */
  refresh(): Promise<void> {
    // One after another: what was read first must not come last.
    this.#refreshed = this.#refreshed.catch(() => {}).then(() => this.#refresh());
    return this.#refreshed;
  }

  /** Writes down what is only in memory. */
  async flush(): Promise<void> {
    await this.journal.flush();
    await this.#standing.flush();
    await this.firstSeen.flush();
  }

  async dispose(): Promise<void> {
    this.#unlisten();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#last;
    this.desk.dispose();
    await this.retire();
    for (const { scanner } of this.scanners) await scanner.dispose?.();
    await this.flush().catch((error: unknown) =>
      this.#options.logger.error({ err: error }, 'the journal is not written'),
    );
    await this.#options.webhooks.dispose();
  }

  /** Looks at once. Many notices are one look. */
  #wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    this.#last = this.#last
      .then(() => {
        this.#woken = false;
        return this.refresh();
      })
      .catch((error: unknown) => this.#complain(error));
  }

  #complain(error: unknown): void {
    this.#options.logger.error({ err: error }, 'policy cannot be brought up to date');
  }

  async #refresh(): Promise<void> {
    this.policy.refresh();
    await this.firstSeen.flush();
    const changes = await readChanges(this.#options.database);
    await this.#options.onChanges?.(changes);
    await this.#standing.refresh(changes);
    await this.#ending.look(this.#standing.exceptions);
    await this.desk.look(changes.reports);
  }

  #repeat(interval: number, work: () => Promise<void>): NodeJS.Timeout {
    const timer = setInterval(() => {
      this.#last = this.#last.then(work).catch((error: unknown) => this.#complain(error));
    }, interval);
    timer.unref();
    return timer;
  }
}
