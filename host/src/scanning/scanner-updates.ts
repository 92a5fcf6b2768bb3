import type { Clock, Logger, PackageCoordinates } from '@entrepot/core';
import { setImmediate as turn } from 'node:timers/promises';
import { type KeptArtifact, type KeptReport, type ScanPriority, type SqlScanStore } from '../drivers/sql/scan-store.js';
import { needsContent, type HostScanner } from './scan-worker.js';

/** Something that is kept has findings that it did not have when it was stored. */
export interface NewFindings {
  readonly artifact: KeptArtifact;
  readonly scanner: string;
  /** The ids of advisories. */
  readonly findings: readonly string[];
}

/** What updates stand on. */
export interface ScannerUpdatesOptions {
  readonly scanners: readonly HostScanner[];
  readonly store: SqlScanStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Is told that there is work. */
  readonly wake: () => void;
  readonly onNewFindings: (found: NewFindings) => void;
}

/** Past this many changed names everything that is kept is looked at. */
const MAX_CHANGED = 20_000;
/** How many artifacts are looked up in one turn of the event loop. */
const TURN = 200;
/** No rescan replaces an error that is younger, in milliseconds. */
const RETRY_ERRORS = 900_000;

/**
 * Keeps the databases of scanners new, and has what is kept judged again by what is new in them: what can be looked up at
 * once, the rest by jobs. Only what changed advisories are about, where a scanner says that.
 */
export class ScannerUpdates {
  readonly #options: ScannerUpdatesOptions;
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #starting = new Set<string>();

  constructor(options: ScannerUpdatesOptions) {
    this.#options = options;
  }

  /** The scanners that had no database when this started, and whose first attempt to get one goes on. */
  get starting(): readonly string[] {
    return [...this.#starting];
  }

  /** Looks for newer databases now, and then as often as each scanner is to be asked. */
  start(): void {
    for (const scanner of this.#options.scanners) {
      const { id } = scanner;
      this.#starting.add(id);
      const first = this.#begin(scanner);
      void scanner.scanner
        .check()
        .catch(() => first)
        .then(() => this.#starting.delete(id));
      const timer = setInterval(() => this.#begin(scanner), scanner.updateInterval);
      timer.unref();
      this.#timers.push(timer);
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#running);
  }

  /** Takes a newer database of `scanner` in use where there is one, and has judged again what that is about. */
  async update(scanner: HostScanner): Promise<void> {
    const { store } = this.#options;
    const before = scanner.scanner.revision();
    const changed = await scanner.scanner.update?.(this.#end.signal);
    const revision = scanner.scanner.revision();
    const judged = await store.judgedWith(scanner.id);
    if (judged === revision) return;
    // A delta is from the revision that everything was judged with; of another one nobody knows what has changed.
    const isDelta = changed !== undefined && judged === before && changed.length <= MAX_CHANGED;
    await (isDelta
      ? this.#judge(scanner, this.#touched(changed), 'delta')
      : this.#judge(scanner, this.#all(scanner), 'sweep'));
    if (!this.#end.signal.aborted) await store.setJudgedWith(scanner.id, revision);
  }

  /** Does not reject. */
  #begin(scanner: HostScanner): Promise<void> {
    const { logger } = this.#options;
    const work = this.update(scanner)
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted)
          logger.error({ err: error, scanner: scanner.id }, 'a database cannot be updated');
      })
      .finally(() => this.#running.delete(work));
    this.#running.add(work);
    return work;
  }

  async *#touched(changed: readonly PackageCoordinates[]): AsyncGenerator<readonly KeptArtifact[]> {
    const names = new Map<string, Set<string>>();
    for (const { ecosystem, name } of changed) {
      names.set(ecosystem, (names.get(ecosystem) ?? new Set()).add(name));
    }
    for (const [ecosystem, own] of names) yield await this.#options.store.keptOf(ecosystem, [...own]);
  }

  #all({ scanner }: HostScanner): AsyncIterable<readonly KeptArtifact[]> {
    return this.#options.store.kept(scanner.subjects.ecosystems);
  }

  async #judge(
    scanner: HostScanner,
    kept: AsyncIterable<readonly KeptArtifact[]>,
    priority: ScanPriority,
  ): Promise<void> {
    const { store, clock, wake } = this.#options;
    const revision = scanner.scanner.revision();
    await store.dropOlder(scanner.id, revision);
    for await (const artifacts of kept) {
      const others: KeptArtifact[] = [];
      for (const [index, artifact] of artifacts.entries()) {
        if (this.#end.signal.aborted) return;
        if (index % TURN === TURN - 1) await turn();
        if (!(await this.#lookUp(scanner, artifact))) others.push(artifact);
      }
      const targets = others.map(({ coordinates, digest }) =>
        needsContent(scanner.scanner, coordinates.ecosystem) ? { coordinates, digest } : { coordinates },
      );
      if (targets.length === 0) continue;
      await store.ask(targets, scanner.id, revision, priority, { now: clock.now(), retryAfter: RETRY_ERRORS });
      wake();
    }
  }

  /** @returns whether it can be looked up. What is found is kept, so that it is told once. */
  async #lookUp({ id, scanner }: HostScanner, artifact: KeptArtifact): Promise<boolean> {
    const { coordinates } = artifact;
    const findings = scanner.lookup?.(coordinates);
    if (findings === undefined) return false;
    if (findings.length === 0) return true;
    const { store, clock, onNewFindings } = this.#options;
    const known = (await store.reports({ coordinates })).find((report) => report.scanner === id);
    const told = new Set(known?.findings.map((finding) => finding.id));
    const fresh = findings.filter((finding) => !told.has(finding.id));
    if (fresh.length === 0) return true;
    const scannedAt = clock.now();
    const revision = scanner.revision();
    await store.put({ coordinates, scanner: id, revision, state: 'findings', scannedAt, coverage: 'full', findings });
    this.#tell(artifact, id, fresh, onNewFindings);
    return true;
  }

  /** Is told of a report that a worker put: of kept content it may hold what is new. */
  async reported(report: KeptReport): Promise<void> {
    if (report.findings.length === 0 || report.coordinates.version === undefined) return;
    const { ecosystem, name, version } = report.coordinates;
    const kept = await this.#options.store.keptOf(ecosystem, [name]);
    const artifact = kept.find(({ coordinates, digest }) =>
      report.digest === undefined ? coordinates.version === version : digest === report.digest,
    );
    if (artifact !== undefined) this.#tell(artifact, report.scanner, report.findings, this.#options.onNewFindings);
  }

  /** Of what was known when it was stored, policy decided then. */
  #tell(
    artifact: KeptArtifact,
    scanner: string,
    findings: KeptReport['findings'],
    tell: (found: NewFindings) => void,
  ): void {
    const late = findings.filter(({ publishedAt }) => publishedAt !== undefined && publishedAt > artifact.fetchedAt);
    if (late.length > 0) tell({ artifact, scanner, findings: late.map(({ id }) => id) });
  }
}
