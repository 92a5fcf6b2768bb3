import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  asEntrepotError,
  type Clock,
  EntrepotError,
  type Finding,
  type Integrity,
  type Logger,
  messageOf,
  type PackageCoordinates,
  type Scanner,
  scanError,
  type ScannerAnswer,
  type ScannerQuestion,
  type ScanReport,
  type ScanSubject,
} from '@entrepot/core';
import type { PackageVerdict } from './advisories.js';
import { answer } from './answer.js';
import { Database } from './database.js';
import type { DumpSource, SourceState } from './dump-source.js';
import { coordinatesOf } from './ecosystems.js';
import { importAside } from './import-thread.js';
import type { ExploitLists } from './exploit-lists.js';
import { type Manifest, readManifest, writeManifest } from './manifest.js';
import { advisoryCoordinates, reportOf, throwIfAborted, unsupported } from './scan-report.js';
import { MOST_LOGS } from './snapshot.js';

/** The most deltas before the next full import. Each is a file that is kept open. */
const MOST_DELTAS = MOST_LOGS / 2;

export interface LocalScannerParts {
  readonly directory: string;
  readonly source: DumpSource;
  /** The package URL types that the database will cover, as far as known before the first import. */
  readonly expected: readonly string[];
  readonly lists: ExploitLists;
  /** Milliseconds. */
  readonly fullImportEvery: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Scans with a local database of OSV records. */
export class LocalScanner implements Scanner {
  readonly needs = 'coordinates';
  readonly #parts: LocalScannerParts;
  #database: Database | undefined;
  #updating: Promise<readonly PackageCoordinates[] | undefined> | undefined;

  constructor(parts: LocalScannerParts) {
    this.#parts = parts;
    makeFolder(parts.directory);
    this.#open();
  }

  /** Those of the database. Before there is one, those that it is for: not to be able to judge is another thing than to have no say. */
  get subjects(): { readonly ecosystems: readonly string[] } {
    return { ecosystems: this.#database?.types ?? this.#parts.expected };
  }

  revision(): string {
    return `${this.#database?.manifest.revision ?? 'none'}${this.#parts.lists.revision()}`;
  }

  databaseDate(): number | undefined {
    return this.#database?.manifest.date;
  }

  async check(): Promise<void> {
    this.#demand();
  }

  async scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport> {
    throwIfAborted(signal);
    return this.#scan(subject);
  }

  async scanAll(subjects: readonly ScanSubject[], signal: AbortSignal): Promise<readonly (ScanReport | Error)[]> {
    throwIfAborted(signal);
    return subjects.map((subject) => {
      try {
        return this.#scan(subject);
      } catch (error) {
        return asEntrepotError(error, 'scan-unavailable', 'the database could not be read');
      }
    });
  }

  lookup(coordinates: PackageCoordinates, integrity: readonly Integrity[] = []): readonly Finding[] | undefined {
    const verdict = this.#database?.lookup(coordinates, integrity, this.#parts.lists);
    return verdict === undefined || isUnknown(verdict) ? undefined : verdict.findings;
  }

  async answer(question: ScannerQuestion): Promise<ScannerAnswer | undefined> {
    return await answer(question, () => this.#demand());
  }

  update(signal: AbortSignal): Promise<readonly PackageCoordinates[] | undefined> {
    // One at a time: who comes meanwhile gets what that one brings.
    this.#updating ??= this.#update(signal).finally(() => {
      this.#updating = undefined;
    });
    return this.#updating;
  }

  async dispose(): Promise<void> {
    await this.#updating?.catch(() => {});
    this.#database?.close();
    this.#database = undefined;
  }

  #scan(subject: ScanSubject): ScanReport {
    const coordinates = advisoryCoordinates(subject);
    const verdict = this.#demand().lookup(coordinates, subject.integrity ?? [], this.#parts.lists);
    if (verdict === undefined) throw unsupported(coordinates, 'the database is not about its ecosystem');
    if (isUnknown(verdict)) {
      throw unsupported(coordinates, 'there are advisories on it, and its version cannot be compared with theirs');
    }
    return reportOf(verdict.findings, verdict.undecided, this.revision(), this.#parts.clock.now());
  }

  async #update(signal: AbortSignal): Promise<readonly PackageCoordinates[] | undefined> {
    const { directory } = this.#parts;
    const staging = mkdtempSync(join(directory, 'staging-'));
    try {
      const changed = await this.#updateDatabase(staging, signal);
      const isListed = await this.#parts.lists.update(signal);
      return isListed ? undefined : changed;
    } catch (error) {
      throw asEntrepotError(error, 'scan-unavailable', `the OSV database could not be updated: ${messageOf(error)}`);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
  }

  /** Another process may have brought it: what is on disk is taken first. */
  async #updateDatabase(staging: string, signal: AbortSignal): Promise<readonly PackageCoordinates[] | undefined> {
    const { directory, source, clock, fullImportEvery, logger } = this.#parts;
    const before = this.#database?.manifest.revision;
    this.#open();
    const isForeign = this.#database?.manifest.revision !== before;
    const manifest = this.#database?.manifest;
    const now = clock.now();
    const isFullDue =
      manifest === undefined || now - manifest.fullAt >= fullImportEvery || manifest.files.logs.length > MOST_DELTAS;
    const modified = (id: string): string | undefined => this.#database?.record(id)?.modified;
    const changes = await source.changes({ origin: manifest?.origin, isFullDue, modified }, staging, signal);
    if (changes.kind === 'none') {
      if (manifest !== undefined) this.#renew(manifest, changes);
      return isForeign ? undefined : [];
    }
    const start = clock.monotonic();
    const { records, refused, changed } = await importAside({ ...changes, directory, now }, signal);
    this.#open();
    const milliseconds = Math.round(clock.monotonic() - start);
    const facts = { import: changes.kind, records, refused, changed: changed?.length, milliseconds };
    logger.info(facts, 'OSV database updated');
    return isForeign || changed === undefined ? undefined : changed.flatMap((each) => coordinatesOf(each) ?? []);
  }

  /** The same records, of a source that has moved on. */
  #renew(manifest: Manifest, { origin, date }: SourceState): void {
    if (manifest.date === date && JSON.stringify(manifest.origin) === JSON.stringify(origin)) return;
    writeManifest(this.#parts.directory, { ...manifest, origin, date });
    this.#open();
  }

  /** Takes what the manifest names in use, if it is another one. What is in use stays when that cannot be read. */
  #open(): void {
    const { directory, logger } = this.#parts;
    const manifest = readManifest(directory);
    if (manifest === undefined) return;
    const inUse = this.#database?.manifest;
    if (manifest.files.index === inUse?.files.index && manifest.date === inUse.date) return;
    try {
      const next = new Database(directory, manifest);
      this.#database?.close();
      this.#database = next;
    } catch (error) {
      logger.error({ directory, error: messageOf(error) }, 'OSV database cannot be read');
    }
  }

  #demand(): Database {
    if (this.#database !== undefined) return this.#database;
    throw scanError('SCAN_DATABASE', 'the OSV database was not imported yet');
  }
}

/** Whether all that there is cannot be compared with the version. */
function isUnknown({ undecided, findings }: PackageVerdict): boolean {
  return undecided && findings.length === 0;
}

/** @throws EntrepotError `configuration` */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const message = `${path}: expected a folder that can be written, found none: ${messageOf(error)}`;
    throw new EntrepotError('configuration', message, { cause: error });
  }
}
