import type { PackageCoordinates } from '@entrepot/core';
import { setImmediate as turn } from 'node:timers/promises';
import type { KeptArtifact, KeptReport, ScanPriority } from '../drivers/sql/scan-store.js';
import { targetFor, type HostScanner, type ScanParts } from './scan-worker.js';

/** Something that is kept has findings that it did not have when it was stored. */
export interface NewFindings {
  readonly artifact: KeptArtifact;
  readonly scanner: string;
  /** The ids of advisories. */
  readonly findings: readonly string[];
}

export interface ScannerUpdatesOptions extends ScanParts {
  /** Called when there are new jobs. */
  readonly wake: () => void;
  readonly onNewFindings: (found: NewFindings) => void;
}

/** With more changed names than this, everything that is stored is judged again. */
const MAX_CHANGED = 20_000;
/** The most lookups in one turn of the event loop. */
const TURN = 200;
/** Errors younger than this are not scanned again, in milliseconds. */
const RETRY_ERRORS = 900_000;

/**
 * Updates the databases of scanners, and judges stored artifacts again by what is new in them: by lookups where
 * possible, else by jobs. Only artifacts that changed advisories affect, where a scanner reports these.
 */
export class ScannerUpdates {
  readonly #options: ScannerUpdatesOptions;
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #starting = new Set<string>();
  #started: Promise<unknown> = Promise.resolve();

  constructor(options: ScannerUpdatesOptions) {
    this.#options = options;
  }

  /** The scanners that had no database when this started, and whose first attempt to get one goes on. */
  get starting(): readonly string[] {
    return [...this.#starting];
  }

  /** Settles when no scanner is `starting` any more. */
  get started(): Promise<unknown> {
    return this.#started;
  }

  /** Looks for newer databases now, and then as often as each scanner is to be asked. */
  start(): void {
    for (const scanner of this.#options.scanners) {
      const { id } = scanner;
      this.#starting.add(id);
      const first = this.#begin(scanner);
      const checked = scanner.scanner
        .check()
        .catch(() => first)
        .then(() => this.#starting.delete(id));
      this.#started = Promise.all([this.#started, checked]);
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
    const { clock, store } = this.#options;
    const before = scanner.scanner.revision();
    const begun = clock.now();
    await this.#noteKnown(scanner, before);
    const changed = await scanner.scanner.update?.(this.#end.signal);
    const revision = scanner.scanner.revision();
    const { revision: judged, notedUntil } = await store.judgedWith(scanner.id);
    if (judged === revision) return;
    // A delta is from the revision that everything was judged with; of another one nobody knows what has changed.
    const isDelta = changed !== undefined && judged === before && changed.length <= MAX_CHANGED;
    await (isDelta
      ? this.#judge(scanner, this.#touched(changed), 'delta', notedUntil)
      : this.#judge(scanner, store.keptSince(scanner.scanner.subjects.ecosystems, 0), 'sweep', notedUntil));
    if (!this.#end.signal.aborted) await store.setJudgedWith(scanner.id, revision, begun);
  }

  /**
   * Notes the findings of the database in use on artifacts that were stored since the last time: policy knew these.
   * Other findings of a newer database are new, however old its advisories are.
   */
  async #noteKnown({ id, scanner }: HostScanner, revision: string): Promise<void> {
    const { clock, store } = this.#options;
    // Stored content is judged by another database than this one, or by none.
    if (scanner.lookup === undefined) return;
    const { revision: judged, notedUntil = 0 } = await store.judgedWith(id);
    if (judged !== revision) return;
    const until = clock.now();
    let count = 0;
    for await (const artifacts of store.keptSince(scanner.subjects.ecosystems, notedUntil)) {
      for (const { coordinates } of artifacts) {
        if (this.#end.signal.aborted) return;
        if ((count += 1) % TURN === 0) await turn();
        const findings = scanner.lookup(coordinates) ?? [];
        if (findings.length === 0) continue;
        const known = (await store.reports({ coordinates })).find((report) => report.scanner === id);
        if (newSince(known, findings).length > 0) await store.put(lookedUp(id, revision, coordinates, findings, until));
      }
    }
    await store.setJudgedWith(id, revision, until);
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

  async #judge(
    scanner: HostScanner,
    kept: AsyncIterable<readonly KeptArtifact[]>,
    priority: ScanPriority,
    notedUntil: number | undefined,
  ): Promise<void> {
    const { store, clock, wake } = this.#options;
    const revision = scanner.scanner.revision();
    await store.dropOlder(scanner.id, revision);
    for await (const artifacts of kept) {
      const others: KeptArtifact[] = [];
      for (const [index, artifact] of artifacts.entries()) {
        if (this.#end.signal.aborted) return;
        if (index % TURN === TURN - 1) await turn();
        if (!(await this.#lookUp(scanner, artifact, notedUntil))) others.push(artifact);
      }
      const targets = others.map((artifact) => targetFor(scanner.scanner, artifact));
      if (targets.length === 0) continue;
      await store.ask(targets, scanner.id, revision, priority, { now: clock.now(), retryAfter: RETRY_ERRORS });
      wake();
    }
  }

  /**
   * Looks an artifact up, and stores the findings, so that each is reported once.
   * @returns whether it can be looked up
   */
  async #lookUp(
    { id, scanner }: HostScanner,
    artifact: KeptArtifact,
    notedUntil: number | undefined,
  ): Promise<boolean> {
    const { coordinates } = artifact;
    const findings = scanner.lookup?.(coordinates);
    if (findings === undefined) return false;
    if (findings.length === 0) return true;
    const { store, clock } = this.#options;
    const known = (await store.reports({ coordinates })).find((report) => report.scanner === id);
    const fresh = newSince(known, findings);
    if (fresh.length === 0) return true;
    await store.put(lookedUp(id, scanner.revision(), coordinates, findings, clock.now()));
    const isNoted = notedUntil !== undefined && artifact.fetchedAt <= notedUntil;
    this.#tell(artifact, id, isNoted ? fresh : lateOf(artifact, fresh));
    return true;
  }

  /**
   * Reports new findings on stored content in a worker's report.
   * @param before the scanner's previous report
   */
  async reported(report: KeptReport, before?: KeptReport): Promise<void> {
    if (report.findings.length === 0 || report.coordinates.version === undefined) return;
    const { ecosystem, name, version } = report.coordinates;
    const kept = await this.#options.store.keptOf(ecosystem, [name]);
    const artifact = kept.find(({ coordinates, digest }) =>
      report.digest === undefined ? coordinates.version === version : digest === report.digest,
    );
    if (artifact === undefined) return;
    const fresh = newSince(before, report.findings);
    const isJudged = before?.state === 'clean' || before?.state === 'findings';
    this.#tell(artifact, report.scanner, isJudged ? fresh : lateOf(artifact, fresh));
  }

  #tell(artifact: KeptArtifact, scanner: string, findings: KeptReport['findings']): void {
    if (findings.length > 0) this.#options.onNewFindings({ artifact, scanner, findings: findings.map(({ id }) => id) });
  }
}

/** The findings that a scanner has not reported before. */
function newSince(before: KeptReport | undefined, findings: KeptReport['findings']): KeptReport['findings'] {
  const told = new Set(before?.findings.map(({ id }) => id));
  return findings.filter(({ id }) => !told.has(id));
}

/** Findings that were published after the artifact was stored, for when it is unknown which ones were known by then. */
function lateOf({ fetchedAt }: KeptArtifact, findings: KeptReport['findings']): KeptReport['findings'] {
  return findings.filter(({ publishedAt }) => publishedAt !== undefined && publishedAt > fetchedAt);
}

function lookedUp(
  scanner: string,
  revision: string,
  coordinates: PackageCoordinates,
  findings: KeptReport['findings'],
  scannedAt: number,
): KeptReport {
  return { coordinates, scanner, revision, state: 'findings', scannedAt, coverage: 'full', findings };
}
