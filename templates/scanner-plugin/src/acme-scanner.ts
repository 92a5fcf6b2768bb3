import { EntrepotError, type Clock, type Finding, type PackageCoordinates, type Scanner } from '@entrepot/core';
import type { ScanReport, ScanSubject } from '@entrepot/core';
import { Database } from './database.js';

/** Judges by the advisories in a file. */
export class AcmeScanner implements Scanner {
  readonly needs = 'coordinates';
  readonly #path: string;
  readonly #clock: Clock;
  #database: Database | undefined;

  private constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Opens the scanner. A file that is missing is no reason not to start: it may come later, by `update`. */
  static async open(path: string, clock: Clock): Promise<AcmeScanner> {
    const scanner = new AcmeScanner(path, clock);
    scanner.#database = await Database.read(path).catch(() => undefined);
    return scanner;
  }

  get subjects() {
    return { ecosystems: this.#database?.ecosystems ?? [] };
  }

  async scan({ coordinates }: ScanSubject, signal: AbortSignal): Promise<ScanReport> {
    signal.throwIfAborted();
    const { revision } = this.#loaded();
    const findings = this.lookup(coordinates);
    if (findings === undefined) {
      // Not an empty report: that means "looked, and found nothing".
      throw new EntrepotError('scan-unavailable', `No advisories are known of the ecosystem ${coordinates.ecosystem}`, {
        code: 'SCAN_UNSUPPORTED',
      });
    }
    return { scanner: 'acme', revision, scannedAt: this.#clock.now(), coverage: 'full', findings };
  }

  /** Asked for every version of a document that is made: nothing is read here. */
  lookup(coordinates: PackageCoordinates): readonly Finding[] | undefined {
    return this.#database?.find(coordinates);
  }

  revision(): string {
    return this.#database?.revision ?? 'none';
  }

  databaseDate(): number | undefined {
    return this.#database?.date;
  }

  /** Reads the file again. One that cannot be read leaves the database in use as it is. */
  async update(): Promise<undefined> {
    try {
      this.#database = await Database.read(this.#path);
    } catch (cause) {
      throw new EntrepotError('scan-unavailable', `The advisories in ${this.#path} cannot be read`, { cause });
    }
  }

  async check(): Promise<void> {
    this.#loaded();
  }

  #loaded(): Database {
    if (this.#database !== undefined) return this.#database;
    throw new EntrepotError(
      'scan-unavailable',
      `There is no list of advisories at ${this.#path}; expected a JSON file`,
    );
  }
}
