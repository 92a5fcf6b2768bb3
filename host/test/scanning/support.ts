import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EntrepotError,
  silentLogger,
  type Clock,
  type Digest,
  type PackageCoordinates,
  type Scanner,
  type ScanReport,
  type ScanSubject,
} from '@entrepot/core';
import { digestOf } from '@entrepot/core/testing';
import { afterAll, onTestFinished } from 'vitest';
import { openPostgres } from '../../src/drivers/sql/postgres.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { SqlScanStore } from '../../src/drivers/sql/scan-store.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from '../drivers/sql/postgres-server.js';
import type { HostScanner } from '../../src/scanning/scan-worker.js';

const programs = postgresPrograms();
if (programs === undefined) console.log(POSTGRES_MISSING);

/** Databases that are available on this machine. */
export const DATABASES = programs === undefined ? (['sqlite'] as const) : (['sqlite', 'postgres'] as const);

let postgres: Promise<PostgresServer> | undefined;
afterAll(async () => await (await postgres)?.stop());

/** A database of its own for one test. `place`: what another process opens it by. */
export async function openDatabase(kind: (typeof DATABASES)[number] = 'sqlite') {
  if (kind === 'postgres') {
    const url = await (await (postgres ??= PostgresServer.start(programs as string))).database();
    const opened = await openPostgres({ url, maxConnections: 4, logger: silentLogger });
    onTestFinished(() => opened.destroy());
    return { place: url, database: opened, store: new SqlScanStore(opened) };
  }
  const root = await mkdtemp(join(tmpdir(), 'entrepot-scan-'));
  const place = join(root, 'entrepot.db');
  const opened = await openSqlite({ path: place, durability: 'relaxed' });
  onTestFinished(async () => {
    await opened.destroy();
    await rm(root, { recursive: true, force: true });
  });
  return { place, database: opened, store: new SqlScanStore(opened) };
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
  /** Called on each update. */
  onUpdate: () => void = () => {};
  changed: readonly PackageCoordinates[] | undefined = undefined;
  /** Scans a subject. Default: it is clean. */
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
