import { type Clock, systemClock } from '../../src/api/clock.js';
import { packageUrl } from '../../src/api/coordinates.js';
import { asEntrepotError, EntrepotError } from '../../src/api/errors.js';
import type { Finding, Scanner, ScanReport, ScanSubject } from '../../src/api/scanner.js';

export interface FixedScannerOptions {
  /** Default: `npm` and `generic`. */
  readonly ecosystems?: readonly string[];
  /** Default: `coordinates`. */
  readonly needs?: 'coordinates' | 'content';
  /** Findings by package URL. A subject that is not listed is clean. */
  readonly findings?: Readonly<Record<string, readonly Finding[]>>;
  readonly clock?: Clock;
}

/** A scanner with a fixed database. */
export class FixedScanner implements Scanner {
  readonly subjects: { readonly ecosystems: readonly string[] };
  readonly needs: 'coordinates' | 'content';
  /** The package URLs that were asked for, in order. */
  readonly scanned: string[] = [];
  readonly #clock: Clock;
  #findings: Readonly<Record<string, readonly Finding[]>>;
  #revision = 1;
  #online = true;

  constructor({
    ecosystems = ['npm', 'generic'],
    needs = 'coordinates',
    findings = {},
    clock = systemClock,
  }: FixedScannerOptions = {}) {
    this.subjects = { ecosystems };
    this.needs = needs;
    this.#findings = findings;
    this.#clock = clock;
  }

  async scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport> {
    const name = packageUrl(subject.coordinates);
    this.scanned.push(name);
    this.#demandOnline();
    if (!this.subjects.ecosystems.includes(subject.coordinates.ecosystem)) {
      throw new EntrepotError('scan-unavailable', `${name}: expected one of ${this.subjects.ecosystems.join(', ')}`, {
        code: 'SCANNER_UNSUPPORTED',
      });
    }
    if (this.needs === 'content') await readContent(subject, signal);
    if (signal.aborted) throw interrupted(name);
    return {
      scanner: 'fixed',
      revision: this.revision(),
      scannedAt: this.#clock.now(),
      coverage: 'full',
      findings: this.#findings[name] ?? [],
    };
  }

  revision(): string {
    return String(this.#revision);
  }

  async check(): Promise<void> {
    this.#demandOnline();
  }

  /** Puts another database in force, under a new revision. */
  setFindings(findings: Readonly<Record<string, readonly Finding[]>>): void {
    this.#findings = findings;
    this.#revision += 1;
  }

  /** From now on it cannot say. */
  goOffline(): void {
    this.#online = false;
  }

  goOnline(): void {
    this.#online = true;
  }

  #demandOnline(): void {
    if (this.#online) return;
    throw new EntrepotError('scan-unavailable', 'the scanner is offline', { code: 'SCANNER_UNAVAILABLE' });
  }
}

async function readContent(subject: ScanSubject, signal: AbortSignal): Promise<void> {
  const name = packageUrl(subject.coordinates);
  if (subject.content === undefined) {
    throw new EntrepotError('scan-unavailable', `${name}: expected the content, found none`, {
      code: 'SCANNER_FAILED',
    });
  }
  const reading = subject.content.stream()[Symbol.asyncIterator]();
  let giveUp = (): void => {};
  // A content that stands still is given up too, so the signal is not only looked at between two pieces.
  const abortion = new Promise<never>((_, reject) => {
    giveUp = () => reject(interrupted(name));
  });
  abortion.catch(() => {});
  signal.addEventListener('abort', giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    while ((await Promise.race([reading.next(), abortion])).done !== true);
  } catch (error) {
    throw asEntrepotError(error, 'scan-unavailable', `${name}: the content could not be read`);
  } finally {
    signal.removeEventListener('abort', giveUp);
    void reading.return?.();
  }
}

function interrupted(name: string): EntrepotError {
  return new EntrepotError('scan-unavailable', `${name}: the scan was interrupted`, { code: 'SCANNER_INTERRUPTED' });
}
