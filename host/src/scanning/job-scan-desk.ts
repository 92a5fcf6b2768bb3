import {
  EntrepotError,
  packageUrl,
  type ContentFinding,
  type Digest,
  type PackageName,
  type ScanAnswer,
  type ScanDesk,
  type ScanFailure,
  type ScanReport,
  type ScanSubject,
  type ScanWish,
} from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import type { KeptReport } from '../drivers/sql/scan-store.js';
import { targetFor, type HostScanner, type ScanParts } from './scan-worker.js';

export interface JobScanDeskOptions extends ScanParts {
  /** Called when there are new jobs. */
  readonly wake: () => void;
  /** The time between two polls for reports of other processes while a request waits, in milliseconds. */
  readonly pollInterval?: number | undefined;
}

interface Waiter {
  readonly subject: ScanSubject;
  readonly resolve: (answer: ScanAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** Names whose answers are kept in memory, and digests of each. */
const MAX_NAMES = 50_000;
const MAX_DIGESTS = 100;
/** The most content reports for one document, the newest. */
const MAX_FINDINGS = 10_000;
/** The age at which an `error` is retried; milliseconds. */
const RETRY_ERRORS = 900_000;
const POLL_INTERVAL = 250;
/** The most reports of other processes that one poll reads. */
const LOOK = 1_000;
const NOTHING_TO_ASK: ScanAnswer = Object.freeze({ reports: Object.freeze([]), failures: Object.freeze([]) });

/** A scan desk over the jobs in the store. Reports arrive here from workers of this process and of others. */
export class JobScanDesk implements ScanDesk {
  readonly #options: JobScanDeskOptions;
  /** By package URL, then by digest: a report is of a name, or of bytes under a name. */
  readonly #answers = new Lru<Map<string, ScanAnswer>>(MAX_NAMES);
  /** By package URL. */
  readonly #waiters = new Map<string, Set<Waiter>>();
  /** The number of times that a name was found to hold something that is not clean. */
  readonly #marks = new Lru<number>(MAX_NAMES);
  #mark = 0;
  /** The count of changes up to which reports of others are known. */
  #seen: number | undefined;
  /** The revisions with which the answers in memory were made. */
  #databases = '';
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  constructor(options: JobScanDeskOptions) {
    this.#options = options;
  }

  /** The number of clients that wait for reports. */
  get waiting(): number {
    let count = 0;
    for (const waiters of this.#waiters.values()) count += waiters.size;
    return count;
  }

  peek(subject: ScanSubject): ScanAnswer | undefined {
    const known = this.#answers.get(packageUrl(subject.coordinates))?.get(subject.digest ?? '');
    if (known !== undefined) return known;
    if (this.#asked(subject).length > 0) return undefined;
    this.#remember(subject, NOTHING_TO_ASK);
    return NOTHING_TO_ASK;
  }

  async request(subject: ScanSubject, { priority, deadline, signal }: ScanWish): Promise<ScanAnswer> {
    signal.throwIfAborted();
    if (this.#asked(subject).length === 0) return NOTHING_TO_ASK;
    // Before the store is read: what comes in between is then seen.
    this.#seen ??= (await this.#options.store.changes()).reports;
    const kept = await this.#read(subject);
    if (kept !== undefined) return kept;
    const { store, clock, wake } = this.#options;
    const reports = await store.reports(subject);
    const now = clock.now();
    for (const { id, scanner } of this.#asked(subject)) {
      if (reports.some((report) => report.scanner === id && !isWorthRetry(report, now))) continue;
      const urgency = priority === 'waiting' ? 'waiting' : 'first';
      await store.ask([targetFor(scanner, subject)], id, scanner.revision(), urgency, {
        now,
        retryAfter: RETRY_ERRORS,
      });
    }
    wake();
    return await this.#wait(subject, deadline, signal);
  }

  async contents(repository: string, name?: PackageName): Promise<readonly ContentFinding[]> {
    const found = new Map<string, { readonly finding: ContentFinding; readonly reports: KeptReport[] }>();
    for (const { report, kept } of await this.#options.store.againstKept(repository, name, MAX_FINDINGS)) {
      const { coordinates } = report;
      const known = found.get(kept.key) ?? { finding: { ...kept, coordinates, answer: NOTHING_TO_ASK }, reports: [] };
      known.reports.push(report);
      found.set(kept.key, known);
    }
    return [...found.values()].map(({ finding, reports }) => ({ ...finding, answer: saidBy(reports) }));
  }

  mark(name?: PackageName): number {
    return name === undefined ? this.#mark : (this.#marks.get(nameOf(name)) ?? 0);
  }

  /** Takes in a report of this process. */
  take(report: KeptReport): void {
    void this.#renew(report).catch((error: unknown) => this.#complain(error));
  }

  /** Takes in what other processes have reported. @param change the count of changes, where it is known: nothing is read for one that was seen */
  async look(change?: number): Promise<void> {
    const databases = this.#options.scanners.map(({ scanner }) => scanner.revision()).join('\n');
    // What can be looked up, and so need not be asked, is another matter in another database.
    if (databases !== this.#databases) this.#answers.clear();
    this.#databases = databases;
    if (change !== undefined && change === this.#seen) return;
    this.#looking ??= this.#lookOnce().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /** Nobody is answered any more. */
  dispose(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    const error = new EntrepotError('scan-unavailable', 'the server is stopping', { retryAfter: 5 });
    for (const waiters of this.#waiters.values()) for (const { reject } of waiters) reject(error);
    this.#waiters.clear();
  }

  async #lookOnce(): Promise<void> {
    const { store } = this.#options;
    this.#seen ??= (await store.changes()).reports;
    for (;;) {
      const { reports, change } = await store.reportsAfter(this.#seen, LOOK);
      this.#seen = change;
      for (const report of reports) await this.#renew(report);
      if (reports.length < LOOK) return;
    }
  }

  /** The scanners that say something which policy cannot look up by itself. */
  #asked({ coordinates }: ScanSubject): readonly HostScanner[] {
    return this.#options.scanners.filter(({ scanner }) => {
      if (!scanner.subjects.ecosystems.includes(coordinates.ecosystem)) return false;
      return scanner.lookup?.(coordinates) === undefined;
    });
  }

  /** The answer from the store, if it is all there. */
  async #read(subject: ScanSubject): Promise<ScanAnswer | undefined> {
    const reports = await this.#options.store.reports(subject);
    const answer = answerOf(this.#asked(subject), reports);
    if (answer === undefined) return undefined;
    const now = this.#options.clock.now();
    // What kept it from being judged may have passed. Nobody waits for that.
    if (!reports.some((report) => isWorthRetry(report, now))) this.#remember(subject, answer);
    return answer;
  }

  #remember({ coordinates, digest = '' as Digest }: ScanSubject, answer: ScanAnswer): void {
    const name = packageUrl(coordinates);
    const answers = this.#answers.get(name) ?? new Map<string, ScanAnswer>();
    answers.set(digest, answer);
    if (answers.size > MAX_DIGESTS) this.#answers.delete(name);
    else this.#answers.set(name, answers);
  }

  /** There is a report: what was known of its name is no longer, and who waits for it may have all now. */
  async #renew({ coordinates, state }: KeptReport): Promise<void> {
    // Content that has always been clean is listed as before. So is content that cannot be judged, until it is refused.
    const marked = nameOf(coordinates);
    const mark = this.#marks.get(marked);
    if ((state !== 'clean' && state !== 'unsupported') || mark !== undefined) {
      this.#marks.set(marked, (mark ?? 0) + 1);
      this.#mark += 1;
    }
    const name = packageUrl(coordinates);
    this.#answers.delete(name);
    for (const { subject, resolve } of this.#waiters.get(name) ?? []) {
      const answer = this.#answers.get(name)?.get(subject.digest ?? '') ?? (await this.#read(subject));
      if (answer !== undefined) resolve(answer);
    }
  }

  async #wait(subject: ScanSubject, deadline: number | undefined, signal: AbortSignal): Promise<ScanAnswer> {
    signal.throwIfAborted();
    const key = packageUrl(subject.coordinates);
    const { promise, resolve, reject } = Promise.withResolvers<ScanAnswer>();
    promise.catch(() => {});
    const waiter: Waiter = { subject, resolve, reject };
    const waiters = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, waiters.add(waiter));
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    const left = deadline === undefined ? undefined : Math.max(0, deadline - this.#options.clock.now());
    const timer = left === undefined ? undefined : setTimeout(() => reject(pending(subject)), left);
    try {
      this.#poll();
      // It may have come in while it was asked for.
      return (await this.#read(subject)) ?? (await promise);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
    }
  }

  /** Polls as long as a request waits. */
  #poll(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.look()
        .catch((error: unknown) => this.#complain(error))
        .finally(() => {
          this.#timer = undefined;
          if (this.#waiters.size > 0) this.#poll();
        })
        .catch(() => {});
    }, this.#options.pollInterval ?? POLL_INTERVAL);
  }

  #complain(error: unknown): void {
    this.#options.logger.warn({ err: error }, 'reports of scanners cannot be read');
  }
}

function pending({ coordinates }: ScanSubject): EntrepotError {
  const message = `${packageUrl(coordinates)} is being scanned`;
  return new EntrepotError('scan-unavailable', message, { code: 'SCAN_PENDING', retryAfter: 2 });
}

function isWorthRetry({ state, scannedAt }: KeptReport, now: number): boolean {
  return (state === 'error' || state === 'stale') && now - scannedAt > RETRY_ERRORS;
}

function nameOf({ ecosystem, name }: PackageName): string {
  return `${ecosystem}/${name}`;
}

/** The reports of `scanners`. `undefined` until all of them have reported. */
function answerOf(scanners: readonly HostScanner[], kept: readonly KeptReport[]): ScanAnswer | undefined {
  const said: KeptReport[] = [];
  for (const { id } of scanners) {
    const found = kept.find((report) => report.scanner === id);
    if (found === undefined) return undefined;
    said.push(found);
  }
  return saidBy(said);
}

function saidBy(kept: readonly KeptReport[]): ScanAnswer {
  const reports: ScanReport[] = [];
  const failures: ScanFailure[] = [];
  for (const { scanner, state, revision, scannedAt, coverage, findings } of kept) {
    if (state === 'clean' || state === 'findings') reports.push({ scanner, revision, scannedAt, coverage, findings });
    else failures.push({ scanner, status: state });
  }
  return { reports, failures };
}
