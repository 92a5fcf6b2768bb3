import { randomUUID } from 'node:crypto';
import type { ContentFinding, Digest, Finding, PackageCoordinates, PackageName, ScanReport } from '@entrepot/core';
import { packageUrl } from '@entrepot/core';
import { type Kysely, PostgresAdapter, type Selectable, type SelectQueryBuilder, sql } from 'kysely';
import { slices } from '../slices.js';
import { countChange, readChanges, type ChangeCounts } from './changes.js';
import type { EntryTable, ReportTable, ScanJobTable, Schema } from './schema.js';
import { coordinatesOf, given, rowOf, SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** The outcome of a scan. Only the first two say something about the subject. */
export type ReportState = 'clean' | 'findings' | 'unsupported' | 'error' | 'stale';

/** The subject of a scan. */
export interface ScanTarget {
  readonly coordinates: PackageCoordinates;
  /** Absent: only the coordinates are scanned. */
  readonly digest?: Digest | undefined;
}

/** The latest report of one scanner on one subject. */
export interface KeptReport extends ScanTarget {
  readonly scanner: string;
  readonly revision: string;
  readonly state: ReportState;
  /** Milliseconds since the epoch. */
  readonly scannedAt: number;
  readonly coverage: ScanReport['coverage'];
  readonly findings: readonly Finding[];
  /** Why there is no result, for people. */
  readonly detail?: string | undefined;
}

/** Smaller runs sooner. */
export const PRIORITIES = { waiting: 0, first: 1, delta: 2, sweep: 3 } as const;

/** One of `PRIORITIES`. */
export type ScanPriority = keyof typeof PRIORITIES;

/** A stored blob, as the findings on it name it. */
export type KeptBytes = Pick<ContentFinding, 'key' | 'digest' | 'size' | 'storedAt'>;

/** A scan whose lease this process holds. */
export interface ScanJob extends ScanTarget {
  readonly id: string;
  readonly scanner: string;
  readonly revision: string;
  readonly priority: number;
  /** Includes this one. */
  readonly attempts: number;
  /** Grows with each lease: the holder of an older one has lost the job. */
  readonly generation: number;
  /** Milliseconds since the epoch. */
  readonly askedAt: number;
}

/** A stored artifact. */
export interface KeptArtifact extends ScanTarget {
  readonly digest: Digest;
  readonly repository: string;
  /** When it was stored; milliseconds since the epoch. */
  readonly fetchedAt: number;
}

const KEPT = ['repository', 'key', 'digest', 'ecosystem', 'name', 'version', 'fetched_at'] as const;

/** Number of jobs and of reports by state, for each scanner. */
export interface ScanCounts {
  readonly queued: Readonly<Record<string, number>>;
  readonly states: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The most subjects in one query. */
const WIDTH = 200;
/** The most artifacts in one page. */
const PAGE = 1_000;

const NEW_JOB = { attempts: 0, not_before: 0, lease_until: 0, generation: 0 };

type ReportQuery = SelectQueryBuilder<Schema, 'reports', Selectable<ReportTable>>;

/** Scan reports and jobs of all scanners. */
export class SqlScanStore extends SqlStore {
  /** Reads the reports of all scanners on `target`: on its bytes and on its coordinates. */
  reports(target: ScanTarget): Promise<readonly KeptReport[]> {
    return this.#read((all) => all.where('subject', 'in', [subjectOf(target), packageUrl(target.coordinates)]));
  }

  /** Reads the reports of all scanners on the versions of a name. */
  reportsOf({ ecosystem, name, version }: PackageCoordinates): Promise<readonly KeptReport[]> {
    return this.#read((all) => all.where(({ and }) => and(given({ ecosystem, name, version }))));
  }

  /**
   * Finds reports that are not clean on the stored artifacts of a repository, of one name or of all. The newest `limit`
   * reports.
   */
  async againstKept(
    repository: string,
    name: PackageName | undefined,
    limit: number,
  ): Promise<readonly { readonly report: KeptReport; readonly kept: KeptBytes }[]> {
    const named = name && { 'reports.ecosystem': name.ecosystem, 'reports.name': name.name };
    const rows = await stored('read reports', () =>
      this.database
        .selectFrom('reports')
        .innerJoin('entries', (join) =>
          join
            .onRef('entries.ecosystem', '=', 'reports.ecosystem')
            .onRef('entries.name', '=', 'reports.name')
            .onRef('entries.version', 'is not distinct from', 'reports.version')
            .on((on) => on.or([on('reports.digest', 'is', null), on('reports.digest', '=', on.ref('entries.digest'))])),
        )
        .selectAll('reports')
        .select(['entries.key as kept_key', 'entries.digest as kept_digest', 'entries.size', 'entries.fetched_at'])
        .where(({ and }) => and({ 'entries.repository': repository, ...named }))
        .where('reports.state', '!=', 'clean')
        .orderBy('reports.change', 'desc')
        .limit(limit)
        .execute(),
    );
    return rows.map(({ kept_key: key, kept_digest: digest, size, fetched_at: storedAt, ...row }) => ({
      report: toReport(row),
      kept: { key, digest: digest as Digest, size: Number(size), storedAt: Number(storedAt) },
    }));
  }

  /** Reads the number of changes of reports and of what else processes share. */
  changes(): Promise<ChangeCounts> {
    return readChanges(this.database);
  }

  /** Reads at most `limit` reports after the count `change` of changes, and the count that they reach. */
  async reportsAfter(
    change: number,
    limit: number,
  ): Promise<{ readonly reports: readonly KeptReport[]; readonly change: number }> {
    const rows = await stored('read reports', () =>
      this.database
        .selectFrom('reports')
        .selectAll()
        .where('change', '>', change)
        .orderBy('change')
        .limit(limit)
        .execute(),
    );
    return { reports: rows.map(toReport), change: Number(rows.at(-1)?.change ?? change) };
  }

  /**
   * Finds at most `limit` reports with `text` in their findings. Reads all reports: only for questions of
   * administrators.
   */
  mentioning(text: string, limit: number): Promise<readonly KeptReport[]> {
    const pattern = `%${text.toLowerCase().replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
    return this.#read((all) =>
      all
        .where('state', '=', 'findings')
        .where(sql<boolean>`lower(findings) like ${pattern} escape '\\'`)
        .limit(limit),
    );
  }

  /** The newest reports with findings. */
  newestFindings(limit: number): Promise<readonly KeptReport[]> {
    return this.#read((all) => all.where('state', '=', 'findings').orderBy('scanned_at', 'desc').limit(limit));
  }

  async #read(choose: (all: ReportQuery) => ReportQuery): Promise<readonly KeptReport[]> {
    const rows = await stored('read reports', () => choose(this.database.selectFrom('reports').selectAll()).execute());
    return rows.map(toReport);
  }

  /**
   * Adds jobs for targets without a report or a job of this revision. A job with a lower priority is raised.
   * @param retryAfter age in milliseconds from which an `error` or `stale` report does not count
   */
  async ask(
    targets: readonly ScanTarget[],
    scanner: string,
    revision: string,
    urgency: ScanPriority,
    { now, retryAfter }: { readonly now: number; readonly retryAfter: number },
  ): Promise<void> {
    const priority = PRIORITIES[urgency];
    const job = { ...NEW_JOB, scanner, revision, priority, asked_at: now };
    const wanted = [...new Map(targets.map((target) => [subjectOf(target), target]))];
    for (const part of slices(wanted, WIDTH)) {
      await this.transaction('ask for scans', async (transaction) => {
        const subjects = part.map(([subject]) => subject);
        const done = await transaction
          .selectFrom('reports')
          .select('subject')
          .where('subject', 'in', subjects)
          .where(({ and }) => and({ scanner, revision }))
          .where(({ eb, or }) =>
            or([eb('state', 'not in', ['error', 'stale']), eb('scanned_at', '>', now - retryAfter)]),
          )
          .execute();
        const known = new Set(done.map(({ subject }) => subject));
        const rows = part
          .filter(([subject]) => !known.has(subject))
          .map(([subject, { coordinates, digest = null }]) => {
            return { ...job, id: randomUUID(), subject, digest, ...rowOf(coordinates) };
          });
        if (rows.length === 0) return;
        await transaction
          .insertInto('scan_jobs')
          .values(rows)
          .onConflict((conflict) =>
            conflict
              .columns(['subject', 'scanner', 'revision'])
              .doUpdateSet({ priority })
              .where('scan_jobs.priority', '>', priority),
          )
          .execute();
      });
    }
  }

  /** Leases up to `limit` free jobs of `scanner` for `lease` milliseconds, the most urgent first. */
  async claim(
    scanner: string,
    options: { readonly owner: string; readonly limit: number; readonly now: number; readonly lease: number },
  ): Promise<readonly ScanJob[]> {
    const { owner, limit, now, lease } = options;
    const writesAtOnce = this.database.getExecutor().adapter instanceof PostgresAdapter;
    const rows = await stored('take scans', () =>
      this.database
        .updateTable('scan_jobs')
        .set((row) => ({
          lease_owner: owner,
          lease_until: now + lease,
          attempts: row('attempts', '+', 1),
          generation: row('generation', '+', 1),
        }))
        .where('id', 'in', (select) =>
          select
            .selectFrom('scan_jobs')
            .select('id')
            .where('scanner', '=', scanner)
            .where('lease_until', '<=', now)
            .where('not_before', '<=', now)
            .orderBy('priority')
            .orderBy('asked_at')
            .limit(limit)
            // Not those that another one is just taking.
            .$if(writesAtOnce, (free) => free.forUpdate().skipLocked()),
        )
        // Where several may write at once, another one may have taken it between the two.
        .where('lease_until', '<=', now)
        .returningAll()
        .execute(),
    );
    return rows.map(toJob).sort((one, other) => one.priority - other.priority || one.askedAt - other.askedAt);
  }

  /** Keeps a lease. @returns whether it was still held. */
  async renew({ id, generation }: ScanJob, until: number): Promise<boolean> {
    const { numUpdatedRows } = await stored('renew a lease', () =>
      this.database
        .updateTable('scan_jobs')
        .set({ lease_until: until })
        .where(({ and }) => and({ id, generation }))
        .executeTakeFirst(),
    );
    return numUpdatedRows > 0n;
  }

  /** Ends a scan with its report. @returns whether the lease was still held: without it nothing is written. */
  async finish({ id, generation }: ScanJob, report: KeptReport): Promise<boolean> {
    return this.transaction('store a report', async (transaction) => {
      const { numDeletedRows } = await transaction
        .deleteFrom('scan_jobs')
        .where(({ and }) => and({ id, generation }))
        .executeTakeFirst();
      if (numDeletedRows === 0n) return false;
      await put(transaction, report);
      return true;
    });
  }

  /** Gives a scan back, to be taken again from `notBefore` on. `uncounted`: this was no attempt. */
  async giveBack({ id, generation }: ScanJob, notBefore: number, uncounted = false): Promise<void> {
    const free = { lease_owner: null, lease_until: 0, not_before: notBefore };
    await stored('give a scan back', () =>
      this.database
        .updateTable('scan_jobs')
        .set((row) => (uncounted ? { ...free, attempts: row('attempts', '-', 1) } : free))
        .where(({ and }) => and({ id, generation }))
        .execute(),
    );
  }

  /** Stores a report without a job. */
  async put(report: KeptReport): Promise<void> {
    await this.transaction('store a report', (transaction) => put(transaction, report));
  }

  /** Deletes free jobs for an older database. Those for the newer one replace them. */
  async dropOlder(scanner: string, revision: string): Promise<void> {
    await stored('drop scans', () =>
      this.database
        .deleteFrom('scan_jobs')
        .where('scanner', '=', scanner)
        .where('revision', '!=', revision)
        .where('priority', '>=', PRIORITIES.delta)
        .where('lease_until', '=', 0)
        .execute(),
    );
  }

  /**
   * Reads the revision of the database with which everything kept was last judged, and until when (milliseconds since the
   * epoch) what was stored has its findings of that database noted.
   */
  async judgedWith(scanner: string): Promise<{ readonly revision?: string; readonly notedUntil?: number }> {
    const row = await stored('read a revision', () =>
      this.database.selectFrom('scanner_revisions').selectAll().where('scanner', '=', scanner).executeTakeFirst(),
    );
    if (row === undefined) return {};
    return { revision: row.revision, ...(row.noted_until !== null && { notedUntil: Number(row.noted_until) }) };
  }

  /**
   * Records that everything kept is judged with `revision`, or is asked for.
   * @param notedUntil what was stored until then has its findings noted. Absent: as before
   */
  async setJudgedWith(scanner: string, revision: string, notedUntil?: number): Promise<void> {
    const judged = { revision, ...(notedUntil !== undefined && { noted_until: notedUntil }) };
    await stored('record a revision', () =>
      this.database
        .insertInto('scanner_revisions')
        .values({ scanner, ...judged })
        .onConflict((conflict) => conflict.column('scanner').doUpdateSet(judged))
        .execute(),
    );
  }

  /** The versions of `names` that are kept. */
  async keptOf(ecosystem: string, names: readonly string[]): Promise<readonly KeptArtifact[]> {
    const found: KeptArtifact[] = [];
    for (const part of slices(names, WIDTH)) {
      const rows = await stored('read kept artifacts', () =>
        this.database
          .selectFrom('entries')
          .select(KEPT)
          .where('ecosystem', '=', ecosystem)
          .where('name', 'in', part)
          .where('version', 'is not', null)
          .execute(),
      );
      found.push(...rows.map(toKept));
    }
    return found;
  }

  /** Lists the artifacts of `ecosystems` that were stored after `since`, in pages, the oldest first. */
  async *keptSince(ecosystems: readonly string[], since: number): AsyncGenerator<readonly KeptArtifact[]> {
    let last = { fetched_at: since, repository: '', key: '' };
    for (;;) {
      const { fetched_at: at, repository, key } = last;
      const rows = await stored('read kept artifacts', () =>
        this.database
          .selectFrom('entries')
          .select(KEPT)
          .where(({ eb, refTuple, tuple }) =>
            eb(refTuple('fetched_at', 'repository', 'key'), '>', tuple(at, repository, key)),
          )
          .orderBy('fetched_at')
          .orderBy('repository')
          .orderBy('key')
          .limit(PAGE)
          .execute(),
      );
      // Not in the query: SQLite would then read all of an ecosystem for each page.
      yield rows
        .filter(({ ecosystem, version }) => ecosystems.includes(ecosystem ?? '') && version !== null)
        .map(toKept);
      const final = rows.at(-1);
      if (final === undefined || rows.length < PAGE) return;
      last = final;
    }
  }

  /** The entries that store the bytes of a target under its name. */
  async placesOf({
    coordinates: { ecosystem, name },
    digest,
  }: ScanTarget): Promise<readonly { readonly repository: string; readonly mediaType: string }[]> {
    if (digest === undefined) return [];
    return await stored('read where something is kept', () =>
      this.database
        .selectFrom('entries')
        .select(['repository', 'media_type as mediaType'])
        .distinct()
        .where(({ and }) => and({ digest, ecosystem, name }))
        .execute(),
    );
  }

  /** The media type that one of `repositories` stores the blob `digest` with. `undefined` when none has it. */
  async mediaTypeIn(repositories: readonly string[], digest: Digest): Promise<string | undefined> {
    if (repositories.length === 0) return undefined;
    const row = await stored('read whether something is kept', () =>
      this.database
        .selectFrom('entries')
        .select('media_type')
        .where('digest', '=', digest)
        .where('repository', 'in', repositories)
        .limit(1)
        .executeTakeFirst(),
    );
    return row?.media_type;
  }

  async jobs(limit: number): Promise<readonly (ScanJob & { readonly owner: string | undefined })[]> {
    const rows = await stored('read scans', () =>
      this.database.selectFrom('scan_jobs').selectAll().orderBy('priority').orderBy('asked_at').limit(limit).execute(),
    );
    return rows.map((row) => ({ ...toJob(row), owner: row.lease_owner ?? undefined }));
  }

  async counts(): Promise<ScanCounts> {
    const count = sql<number>`count(*)`.as('rows');
    const [jobs, reports] = await stored('count scans', () =>
      Promise.all([
        this.database.selectFrom('scan_jobs').select(['scanner', count]).groupBy('scanner').execute(),
        this.database.selectFrom('reports').select(['scanner', 'state', count]).groupBy(['scanner', 'state']).execute(),
      ]),
    );
    const states: Record<string, Record<string, number>> = {};
    for (const { scanner, state, rows } of reports) (states[scanner] ??= {})[state] = Number(rows);
    return { queued: Object.fromEntries(jobs.map(({ scanner, rows }) => [scanner, Number(rows)])), states };
  }
}

/** The key of a subject. The same bytes under two names are two subjects, since advisories are about names. */
export function subjectOf({ coordinates, digest }: ScanTarget): string {
  const name = packageUrl(coordinates);
  return digest === undefined ? name : `${digest} ${name}`;
}

async function put(database: Kysely<Schema>, report: KeptReport): Promise<void> {
  // First of all, so that those who ask for what changed after a count miss nothing.
  const change = await countChange(database, 'reports');
  const { scanner, revision, state, coverage, coordinates, digest = null, detail = null } = report;
  const findings = JSON.stringify(report.findings);
  const columns = { revision, state, coverage, findings, digest, detail, scanned_at: report.scannedAt, change };
  const row = { ...columns, ...rowOf(coordinates) };
  await database
    .insertInto('reports')
    .values({ subject: subjectOf(report), scanner, ...row })
    .onConflict((conflict) => conflict.columns(['subject', 'scanner']).doUpdateSet(row))
    .execute();
}

function toReport(row: Selectable<ReportTable>): KeptReport {
  return {
    ...targetOf(row),
    scanner: row.scanner,
    revision: row.revision,
    state: row.state as ReportState,
    scannedAt: Number(row.scanned_at),
    coverage: (row.coverage ?? 'partial') as ScanReport['coverage'],
    findings: JSON.parse(row.findings) as Finding[],
    ...(row.detail === null ? {} : { detail: row.detail }),
  };
}

function toJob(row: Selectable<ScanJobTable>): ScanJob {
  return {
    ...targetOf(row),
    id: row.id,
    scanner: row.scanner,
    revision: row.revision,
    priority: Number(row.priority),
    attempts: Number(row.attempts),
    generation: Number(row.generation),
    askedAt: Number(row.asked_at),
  };
}

function toKept(row: Pick<Selectable<EntryTable>, (typeof KEPT)[number]>): KeptArtifact {
  const { repository, digest, version, fetched_at } = row;
  const coordinates = { ecosystem: row.ecosystem as string, name: row.name as string, version: version as string };
  return { repository, digest: digest as Digest, coordinates, fetchedAt: Number(fetched_at) };
}

function targetOf(row: Selectable<Pick<ReportTable, 'ecosystem' | 'name' | 'version' | 'digest'>>): ScanTarget {
  return { coordinates: coordinatesOf(row), ...(row.digest === null ? {} : { digest: row.digest as Digest }) };
}
