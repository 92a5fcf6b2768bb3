import { randomUUID } from 'node:crypto';
import type { ContentFinding, Digest, Finding, PackageCoordinates, PackageName, ScanReport } from '@entrepot/core';
import { packageUrl } from '@entrepot/core';
import { type Kysely, PostgresAdapter, type Selectable, sql } from 'kysely';
import { countChange, readChanges, type ChangeCounts } from './changes.js';
import type { ReportTable, ScanJobTable, ScannerRevisionTable, Schema } from './schema.js';
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

const KEPT = ['repository', 'digest', 'ecosystem', 'name', 'version', 'fetched_at'] as const;

/** Number of jobs and of reports by state, for each scanner. */
export interface ScanCounts {
  readonly queued: Readonly<Record<string, number>>;
  readonly states: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The most subjects in one query. Databases bound the number of parameters. */
const WIDTH = 200;

/** Scan reports and jobs of all scanners, shared by all processes on one database. */
export class SqlScanStore {
  readonly #database: Kysely<Schema>;
  readonly #skipsLocked: boolean;

  /** @param database with the tables of the newest migration; the caller closes it */
  constructor(database: Kysely<Schema>) {
    this.#database = database;
    this.#skipsLocked = database.getExecutor().adapter instanceof PostgresAdapter;
  }

  /** Reads the reports of all scanners on `target`: on its bytes and on its coordinates. */
  async reports(target: ScanTarget): Promise<readonly KeptReport[]> {
    const subjects = [subjectOf(target), packageUrl(target.coordinates)];
    const rows = await stored('read reports', () =>
      this.#database.selectFrom('reports').selectAll().where('subject', 'in', subjects).execute(),
    );
    return rows.map(toReport);
  }

  /** Reads the reports of all scanners on the versions of a name. */
  async reportsOf({ ecosystem, name, version }: PackageCoordinates): Promise<readonly KeptReport[]> {
    const rows = await stored('read reports', () => {
      const query = this.#database
        .selectFrom('reports')
        .selectAll()
        .where('ecosystem', '=', ecosystem)
        .where('name', '=', name);
      return (version === undefined ? query : query.where('version', '=', version)).execute();
    });
    return rows.map(toReport);
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
    const rows = await stored('read reports', () => {
      const query = this.#database
        .selectFrom('reports')
        .innerJoin('entries', (join) =>
          join
            .onRef('entries.ecosystem', '=', 'reports.ecosystem')
            .onRef('entries.name', '=', 'reports.name')
            .on((on) =>
              on.or([
                on('entries.version', '=', on.ref('reports.version')),
                on.and([on('entries.version', 'is', null), on('reports.version', 'is', null)]),
              ]),
            )
            .on((on) => on.or([on('reports.digest', 'is', null), on('reports.digest', '=', on.ref('entries.digest'))])),
        )
        .selectAll('reports')
        .select(['entries.key as kept_key', 'entries.digest as kept_digest', 'entries.size', 'entries.fetched_at'])
        .where('entries.repository', '=', repository)
        .where('reports.state', '!=', 'clean');
      const named =
        name === undefined
          ? query
          : query.where('reports.ecosystem', '=', name.ecosystem).where('reports.name', '=', name.name);
      return named.orderBy('reports.change', 'desc').limit(limit).execute();
    });
    return rows.map(({ kept_key: key, kept_digest: digest, size, fetched_at: storedAt, ...row }) => ({
      report: toReport(row),
      kept: { key, digest: digest as Digest, size: Number(size), storedAt: Number(storedAt) },
    }));
  }

  /** Reads the number of changes of reports and of what else processes share. */
  changes(): Promise<ChangeCounts> {
    return readChanges(this.#database);
  }

  /** Reads at most `limit` reports after the count `change` of changes, and the count that they reach. */
  async reportsAfter(
    change: number,
    limit: number,
  ): Promise<{ readonly reports: readonly KeptReport[]; readonly change: number }> {
    const rows = await stored('read reports', () =>
      this.#database
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
  async mentioning(text: string, limit: number): Promise<readonly KeptReport[]> {
    const pattern = `%${text.toLowerCase().replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
    const rows = await stored('search reports', () =>
      this.#database
        .selectFrom('reports')
        .selectAll()
        .where('state', '=', 'findings')
        .where(sql<boolean>`lower(findings) like ${pattern} escape '\\'`)
        .limit(limit)
        .execute(),
    );
    return rows.map(toReport);
  }

  /** The newest reports in one of `states`. */
  async newest(states: readonly ReportState[], limit: number): Promise<readonly KeptReport[]> {
    const rows = await stored('read reports', () =>
      this.#database
        .selectFrom('reports')
        .selectAll()
        .where('state', 'in', [...states])
        .orderBy('scanned_at', 'desc')
        .limit(limit)
        .execute(),
    );
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
    priority: ScanPriority,
    { now, retryAfter }: { readonly now: number; readonly retryAfter: number },
  ): Promise<void> {
    const wanted = new Map(targets.map((target) => [subjectOf(target), target]));
    const subjects = [...wanted.keys()];
    for (let start = 0; start < subjects.length; start += WIDTH) {
      const part = subjects.slice(start, start + WIDTH);
      await stored('ask for scans', () =>
        this.#database.transaction().execute(async (transaction) => {
          const done = await transaction
            .selectFrom('reports')
            .select('subject')
            .where('subject', 'in', part)
            .where('scanner', '=', scanner)
            .where('revision', '=', revision)
            .where((where) =>
              where.or([where('state', 'not in', ['error', 'stale']), where('scanned_at', '>', now - retryAfter)]),
            )
            .execute();
          const known = new Set(done.map(({ subject }) => subject));
          const rows = part.flatMap((subject) =>
            known.has(subject)
              ? []
              : [toJobRow(subject, wanted.get(subject) as ScanTarget, scanner, revision, PRIORITIES[priority], now)],
          );
          if (rows.length === 0) return;
          await transaction
            .insertInto('scan_jobs')
            .values(rows)
            .onConflict((conflict) =>
              conflict
                .columns(['subject', 'scanner', 'revision'])
                .doUpdateSet({ priority: PRIORITIES[priority] })
                .where('scan_jobs.priority', '>', PRIORITIES[priority]),
            )
            .execute();
        }),
      );
    }
  }

  /** Leases up to `limit` free jobs of `scanner` for `lease` milliseconds, the most urgent first. */
  async claim(
    scanner: string,
    {
      owner,
      limit,
      now,
      lease,
    }: { readonly owner: string; readonly limit: number; readonly now: number; readonly lease: number },
  ): Promise<readonly ScanJob[]> {
    const rows = await stored('take scans', () =>
      this.#database
        .updateTable('scan_jobs')
        .set((row) => ({
          lease_owner: owner,
          lease_until: now + lease,
          attempts: row('attempts', '+', 1),
          generation: row('generation', '+', 1),
        }))
        .where('id', 'in', (select) => {
          const free = select
            .selectFrom('scan_jobs')
            .select('id')
            .where('scanner', '=', scanner)
            .where('lease_until', '<=', now)
            .where('not_before', '<=', now)
            .orderBy('priority')
            .orderBy('asked_at')
            .limit(limit);
          // Where several write at once: not those that another one is just taking.
          return this.#skipsLocked ? free.forUpdate().skipLocked() : free;
        })
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
      this.#database
        .updateTable('scan_jobs')
        .set({ lease_until: until })
        .where('id', '=', id)
        .where('generation', '=', generation)
        .executeTakeFirst(),
    );
    return numUpdatedRows > 0n;
  }

  /** Ends a scan with its report. @returns whether the lease was still held: without it nothing is written. */
  async finish({ id, generation }: ScanJob, report: KeptReport): Promise<boolean> {
    return stored('store a report', () =>
      this.#database.transaction().execute(async (transaction) => {
        const { numDeletedRows } = await transaction
          .deleteFrom('scan_jobs')
          .where('id', '=', id)
          .where('generation', '=', generation)
          .executeTakeFirst();
        if (numDeletedRows === 0n) return false;
        await put(transaction, report);
        return true;
      }),
    );
  }

  /** Gives a scan back, to be taken again from `notBefore` on. `uncounted`: this was no attempt. */
  async giveBack({ id, generation }: ScanJob, notBefore: number, uncounted = false): Promise<void> {
    await stored('give a scan back', () =>
      this.#database
        .updateTable('scan_jobs')
        .set((row) => ({
          lease_owner: null,
          lease_until: 0,
          not_before: notBefore,
          ...(uncounted ? { attempts: row('attempts', '-', 1) } : {}),
        }))
        .where('id', '=', id)
        .where('generation', '=', generation)
        .execute(),
    );
  }

  /** Stores a report without a job. */
  async put(report: KeptReport): Promise<void> {
    await stored('store a report', () =>
      this.#database.transaction().execute((transaction) => put(transaction, report)),
    );
  }

  /** Deletes free jobs for an older database. Those for the newer one replace them. */
  async dropOlder(scanner: string, revision: string): Promise<void> {
    await stored('drop scans', () =>
      this.#database
        .deleteFrom('scan_jobs')
        .where('scanner', '=', scanner)
        .where('revision', '!=', revision)
        .where('priority', '>=', PRIORITIES.delta)
        .where('lease_until', '=', 0)
        .execute(),
    );
  }

  /** The revision of the database with which everything kept was last judged. */
  async judgedWith(scanner: string): Promise<string | undefined> {
    return (await this.#judged(scanner))?.revision;
  }

  /** Until when (milliseconds since the epoch) what was stored has its findings of that database noted. */
  async notedUntil(scanner: string): Promise<number | undefined> {
    const { noted_until: at } = (await this.#judged(scanner)) ?? { noted_until: null };
    return at === null ? undefined : Number(at);
  }

  async #judged(scanner: string): Promise<Pick<ScannerRevisionTable, 'revision' | 'noted_until'> | undefined> {
    return await stored('read a revision', () =>
      this.#database
        .selectFrom('scanner_revisions')
        .select(['revision', 'noted_until'])
        .where('scanner', '=', scanner)
        .executeTakeFirst(),
    );
  }

  /**
   * Records that everything kept is judged with `revision`, or is asked for.
   * @param notedUntil what was stored until then has its findings noted. Absent: as before
   */
  async setJudgedWith(scanner: string, revision: string, notedUntil?: number): Promise<void> {
    const renewed = { revision, ...(notedUntil !== undefined && { noted_until: notedUntil }) };
    await stored('record a revision', () =>
      this.#database
        .insertInto('scanner_revisions')
        .values({ scanner, revision, noted_until: notedUntil ?? null })
        .onConflict((conflict) => conflict.column('scanner').doUpdateSet(renewed))
        .execute(),
    );
  }

  /** The versions of `names` that are kept. */
  async keptOf(ecosystem: string, names: readonly string[]): Promise<readonly KeptArtifact[]> {
    const found: KeptArtifact[] = [];
    for (let start = 0; start < names.length; start += WIDTH) {
      const rows = await stored('read kept artifacts', () =>
        this.#database
          .selectFrom('entries')
          .select(KEPT)
          .where('ecosystem', '=', ecosystem)
          .where('name', 'in', names.slice(start, start + WIDTH))
          .where('version', 'is not', null)
          .execute(),
      );
      found.push(...rows.map(toKept));
    }
    return found;
  }

  /** Lists the artifacts that were stored after `since`, in pages, the oldest first. */
  async *keptSince(ecosystems: readonly string[], since: number): AsyncGenerator<readonly KeptArtifact[]> {
    let last = { at: since, repository: '', key: '' };
    for (;;) {
      const after = last;
      const rows = await stored('read kept artifacts', () =>
        this.#database
          .selectFrom('entries')
          .select([...KEPT, 'key'])
          .where('fetched_at', '>=', after.at)
          .where((where) =>
            where.or([
              where('fetched_at', '>', after.at),
              where('repository', '>', after.repository),
              where.and([where('repository', '=', after.repository), where('key', '>', after.key)]),
            ]),
          )
          .where('ecosystem', 'in', [...ecosystems])
          .where('version', 'is not', null)
          .orderBy('fetched_at')
          .orderBy('repository')
          .orderBy('key')
          .limit(WIDTH)
          .execute(),
      );
      yield rows.map(toKept);
      const final = rows.at(-1);
      if (final === undefined || rows.length < WIDTH) return;
      last = { at: Number(final.fetched_at), repository: final.repository, key: final.key };
    }
  }

  /** The entries that store the bytes of a target under its name. */
  async placesOf({
    coordinates: { ecosystem, name },
    digest,
  }: ScanTarget): Promise<readonly { readonly repository: string; readonly mediaType: string }[]> {
    if (digest === undefined) return [];
    return await stored('read where something is kept', () =>
      this.#database
        .selectFrom('entries')
        .select(['repository', 'media_type as mediaType'])
        .distinct()
        .where('digest', '=', digest)
        .where('ecosystem', '=', ecosystem)
        .where('name', '=', name)
        .execute(),
    );
  }

  /** The media type that one of `repositories` stores the blob `digest` with. `undefined` when none has it. */
  async mediaTypeIn(repositories: readonly string[], digest: Digest): Promise<string | undefined> {
    if (repositories.length === 0) return undefined;
    const row = await stored('read whether something is kept', () =>
      this.#database
        .selectFrom('entries')
        .select('media_type')
        .where('digest', '=', digest)
        .where('repository', 'in', [...repositories])
        .limit(1)
        .executeTakeFirst(),
    );
    return row?.media_type;
  }

  /** All versions of `ecosystems` that are kept, in pages. */
  async *kept(ecosystems: readonly string[]): AsyncGenerator<readonly KeptArtifact[]> {
    let last: { readonly name: string; readonly ecosystem: string } | undefined;
    for (;;) {
      const after = last;
      // Whole names: what is left of one that a page cuts off comes with the next page.
      const names = await stored('read kept names', () => {
        const query = this.#database
          .selectFrom('entries')
          .select(['ecosystem', 'name'])
          .distinct()
          .where('ecosystem', 'in', [...ecosystems])
          .where('name', 'is not', null);
        return (
          after === undefined
            ? query
            : query.where((where) =>
                where.or([
                  where('ecosystem', '>', after.ecosystem),
                  where.and([where('ecosystem', '=', after.ecosystem), where('name', '>', after.name)]),
                ]),
              )
        )
          .orderBy('ecosystem')
          .orderBy('name')
          .limit(WIDTH)
          .execute();
      });
      for (const ecosystem of new Set(names.map((row) => row.ecosystem as string))) {
        const own = names.filter((row) => row.ecosystem === ecosystem).map(({ name }) => name as string);
        yield await this.keptOf(ecosystem, own);
      }
      const final = names.at(-1);
      if (final === undefined || names.length < WIDTH) return;
      last = { ecosystem: final.ecosystem as string, name: final.name as string };
    }
  }

  async jobs(limit: number): Promise<readonly (ScanJob & { readonly owner: string | undefined })[]> {
    const rows = await stored('read scans', () =>
      this.#database.selectFrom('scan_jobs').selectAll().orderBy('priority').orderBy('asked_at').limit(limit).execute(),
    );
    return rows.map((row) => ({ ...toJob(row), owner: row.lease_owner ?? undefined }));
  }

  async counts(): Promise<ScanCounts> {
    const [jobs, reports] = await stored('count scans', () =>
      Promise.all([
        this.#database
          .selectFrom('scan_jobs')
          .select(['scanner', sql<number>`count(*)`.as('rows')])
          .groupBy('scanner')
          .execute(),
        this.#database
          .selectFrom('reports')
          .select(['scanner', 'state', sql<number>`count(*)`.as('rows')])
          .groupBy(['scanner', 'state'])
          .execute(),
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
  const { subject, scanner, ...rest } = { ...toReportRow(report), change };
  await database
    .insertInto('reports')
    .values({ subject, scanner, ...rest })
    .onConflict((conflict) => conflict.columns(['subject', 'scanner']).doUpdateSet(rest))
    .execute();
}

function toReportRow(report: KeptReport): Omit<ReportTable, 'change'> {
  const { ecosystem, name, version } = report.coordinates;
  return {
    subject: subjectOf(report),
    scanner: report.scanner,
    revision: report.revision,
    state: report.state,
    coverage: report.coverage,
    findings: JSON.stringify(report.findings),
    detail: report.detail ?? null,
    digest: report.digest ?? null,
    scanned_at: report.scannedAt,
    ecosystem,
    name,
    version: version ?? null,
  };
}

function toReport(row: Selectable<ReportTable>): KeptReport {
  return {
    ...targetOf(row.ecosystem, row.name, row.version, row.digest),
    scanner: row.scanner,
    revision: row.revision,
    state: row.state as ReportState,
    scannedAt: Number(row.scanned_at),
    coverage: (row.coverage ?? 'partial') as ScanReport['coverage'],
    findings: JSON.parse(row.findings) as Finding[],
    ...(row.detail === null ? {} : { detail: row.detail }),
  };
}

function toJobRow(
  subject: string,
  { coordinates: { ecosystem, name, version }, digest }: ScanTarget,
  scanner: string,
  revision: string,
  priority: number,
  now: number,
): ScanJobTable {
  return {
    id: randomUUID(),
    subject,
    scanner,
    revision,
    digest: digest ?? null,
    ecosystem,
    name,
    version: version ?? null,
    priority,
    attempts: 0,
    not_before: 0,
    lease_owner: null,
    lease_until: 0,
    generation: 0,
    asked_at: now,
  };
}

function toJob(row: Selectable<ScanJobTable>): ScanJob {
  return {
    ...targetOf(row.ecosystem, row.name, row.version, row.digest),
    id: row.id,
    scanner: row.scanner,
    revision: row.revision,
    priority: Number(row.priority),
    attempts: Number(row.attempts),
    generation: Number(row.generation),
    askedAt: Number(row.asked_at),
  };
}

function toKept(row: Pick<Selectable<Schema['entries']>, (typeof KEPT)[number]>): KeptArtifact {
  const { coordinates } = targetOf(row.ecosystem as string, row.name as string, row.version, null);
  const { repository, digest, fetched_at } = row;
  return { repository, digest: digest as Digest, coordinates, fetchedAt: Number(fetched_at) };
}

function targetOf(ecosystem: string, name: string, version: string | null, digest: string | null): ScanTarget {
  return {
    coordinates: { ecosystem, name, ...(version === null ? {} : { version }) },
    ...(digest === null ? {} : { digest: digest as Digest }),
  };
}
