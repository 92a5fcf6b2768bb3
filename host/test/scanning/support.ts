import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EntrepotError,
  type Clock,
  type Digest,
  type PackageCoordinates,
  type Scanner,
  type ScanReport,
  type ScanSubject,
} from '@entrepot/core';
import { digestOf } from '@entrepot/core/testing';
import { onTestFinished } from 'vitest';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { SqlScanStore } from '../../src/drivers/sql/scan-store.js';
import type { HostScanner } from '../../src/scanning/scan-worker.js';

/** A database of its own for one test. */
export async function database() {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-scan-'));
  const path = join(root, 'entrepot.db');
  const opened = await openSqlite({ path, durability: 'relaxed' });
  onTestFinished(async () => {
    await opened.destroy();
    await rm(root, { recursive: true, force: true });
  });
  return { root, path, database: opened, store: new SqlScanStore(opened) };
}

export function npm(name: string, version = '1.0.0'): PackageCoordinates {
  return { ecosystem: 'npm', name, version };
}

export function digest(text: string): Digest {
  return digestOf(text);
}

/** A scanner that says what the test wants it to. */
export class ScriptedScanner implements Scanner {
  readonly subjects = { ecosystems: ['npm', 'oci'] };
  readonly needs: 'coordinates' | 'content';
  readonly scanned: string[] = [];
  current = '1';
  date: number | undefined = undefined;
  /** What happens when it is updated. */
  onUpdate: () => void = () => {};
  changed: readonly PackageCoordinates[] | undefined = undefined;
  /** What it does with a subject; absent: it is clean. */
  says: (subject: ScanSubject, signal: AbortSignal) => Promise<Partial<ScanReport>> | Partial<ScanReport> = () => ({});
  readonly #clock: Clock;

  constructor(clock: Clock, needs: 'coordinates' | 'content' = 'coordinates') {
    this.#clock = clock;
    this.needs = needs;
  }

  async scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport> {
    this.scanned.push(subject.coordinates.name);
    const said = await this.says(subject, signal);
    const scannedAt = this.#clock.now();
    return { scanner: 'x', revision: this.current, scannedAt, coverage: 'full', findings: [], ...said };
  }

  revision(): string {
    return this.current;
  }

  databaseDate(): number | undefined {
    return this.date;
  }

  async update(): Promise<readonly PackageCoordinates[] | undefined> {
    this.onUpdate();
    return this.changed;
  }

  async check(): Promise<void> {}
}

export function host(scanner: Scanner, settings: Partial<HostScanner> = {}): HostScanner {
  return { id: 'scripted', scanner, where: 'server', timeout: 60_000, updateInterval: 3_600_000, ...settings };
}

export function failure(code: string): EntrepotError {
  return new EntrepotError('scan-unavailable', `it says ${code}`, { code });
}

/** Resolves when `check` holds; the test's own time limit ends it. */
export async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setImmediate(resolve));
}
