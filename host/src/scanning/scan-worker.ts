import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import {
  asEntrepotError,
  EntrepotError,
  type BlobStore,
  type Clock,
  type Content,
  type Digest,
  type Logger,
  type PackageCoordinates,
  type PartReference,
  type Scanner,
  type ScanReport,
  type ScanSubject,
} from '@entrepot/core';
import { buffer } from 'node:stream/consumers';
import {
  PRIORITIES,
  type KeptReport,
  type ReportState,
  type ScanJob,
  type ScanTarget,
  type SqlScanStore,
} from '../drivers/sql/scan-store.js';

/** A scanner of the configuration. */
export interface HostScanner {
  /** As in its reports. */
  readonly id: string;
  readonly scanner: Scanner;
  /** `worker`: the server leaves scans and updates to processes that do nothing else. */
  readonly where: 'server' | 'worker';
  /** The longest time of one scan, or of one batch of them; milliseconds. */
  readonly timeout: number;
  /** The time between two questions for a newer database; milliseconds. */
  readonly updateInterval: number;
  /** Traces a scan of so many subjects. Absent: nothing is traced. */
  readonly trace?: (<Result>(subjects: number, work: () => Promise<Result>) => Promise<Result>) | undefined;
}

/** Fetches and stores another blob of something in `repository`. `undefined`: not available. */
export type FetchPart = (
  repository: string,
  whole: PackageCoordinates,
  part: PartReference,
) => Promise<Content | undefined>;

/** Dependencies of everything that has to do with scans. */
export interface ScanParts {
  readonly scanners: readonly HostScanner[];
  readonly store: SqlScanStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ScanWorkerOptions extends ScanParts {
  readonly blobs: BlobStore;
  readonly fetchPart?: FetchPart | undefined;
  /** Called for each report that this worker has stored. */
  readonly onReport?: ((report: KeptReport, before: KeptReport | undefined) => void) | undefined;
  /** The time between two polls for jobs of other processes, in milliseconds. */
  readonly pollInterval?: number | undefined;
}

/** Time after the last heartbeat until another worker takes over, in milliseconds. */
export const LEASE = 60_000;
const HEARTBEAT = 20_000;
/** The most attempts of one scan. */
export const MAX_ATTEMPTS = 5;
const FIRST_BACKOFF = 2_000;
const MAX_BACKOFF = 300_000;
/** Scans of one scanner that run at once, where it takes no batches. */
const PARALLEL = 2;
/** The largest batch. */
const BATCH = 500;
const POLL_INTERVAL = 250;
/** Failures that another attempt would not cure, by their codes. */
const FINAL: Readonly<Record<string, ReportState>> = {
  SCAN_UNSUPPORTED: 'unsupported',
  SCANNER_UNSUPPORTED: 'unsupported',
  SCAN_STALE: 'stale',
};

/**
 * Does the scans that are asked for in the store, as long as it runs. Several workers, in one process or in many, share them:
 * each scan is leased, and taken over by another when its worker has been silent for a minute.
 */
export class ScanWorker {
  readonly #options: ScanWorkerOptions;
  readonly #owner = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  readonly #end = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly #alarms = new Set<() => void>();

  constructor(options: ScanWorkerOptions) {
    this.#options = options;
  }

  start(): void {
    for (const scanner of this.#options.scanners) this.#loops.push(this.#work(scanner));
  }

  /** Looks for jobs now, after this process has added some. */
  wake(): void {
    for (const ring of this.#alarms) ring();
  }

  /** Ends after what runs is given back. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.wake();
    await Promise.all(this.#loops);
  }

  async #work(scanner: HostScanner): Promise<void> {
    const { store, clock, logger } = this.#options;
    const batch = scanner.scanner.scanAll === undefined ? PARALLEL : BATCH;
    while (!this.#end.signal.aborted) {
      let found = 0;
      try {
        const now = clock.now();
        const jobs = await store.claim(scanner.id, { owner: this.#owner, limit: batch, now, lease: LEASE });
        found = jobs.length;
        if (found > 0) await this.#scan(scanner, jobs);
      } catch (error) {
        logger.error({ err: error, scanner: scanner.id }, 'scans cannot be taken or stored');
      }
      // A batch that was full is followed by the next one.
      if (found === 0) await this.#rest();
    }
  }

  async #rest(): Promise<void> {
    if (this.#end.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const ring = (): void => {
        clearTimeout(timer);
        this.#alarms.delete(ring);
        resolve();
      };
      const timer = setTimeout(ring, this.#options.pollInterval ?? POLL_INTERVAL);
      this.#alarms.add(ring);
    });
  }

  async #scan(scanner: HostScanner, jobs: readonly ScanJob[]): Promise<void> {
    const held = new Map(jobs.map((job) => [job.id, job]));
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(scanner.timeout)]);
    const heartbeat = setInterval(() => void this.#keep(held), HEARTBEAT);
    try {
      const exhausted = jobs.filter(({ attempts }) => attempts > MAX_ATTEMPTS);
      // Its worker ended every time before it could say why.
      for (const job of exhausted) await this.#settle(job, new Error('the scan never came to an end'), held);
      const rest = jobs.filter((job) => !exhausted.includes(job));
      const batches = scanner.scanner.scanAll === undefined ? rest.map((job) => [job]) : [rest];
      await Promise.all(batches.map((batch) => this.#scanBatch(scanner, batch, held, signal)));
    } finally {
      clearInterval(heartbeat);
    }
  }

  async #scanBatch(
    { scanner, trace }: HostScanner,
    jobs: readonly ScanJob[],
    held: Map<string, ScanJob>,
    signal: AbortSignal,
  ): Promise<void> {
    let results: readonly (ScanReport | Error)[];
    try {
      const subjects = await Promise.all(jobs.map((job) => this.#subjectOf(scanner, job)));
      const [only] = subjects;
      if (only === undefined) return;
      const scan = async (): Promise<readonly (ScanReport | Error)[]> =>
        subjects.length === 1
          ? [await scanner.scan(only, signal)]
          : ((await scanner.scanAll?.(subjects, signal)) ?? []);
      results = await (trace === undefined ? scan() : trace(subjects.length, scan));
    } catch (error) {
      results = jobs.map(() => asEntrepotError(error, 'scan-unavailable', 'the scan failed'));
    }
    for (const [index, job] of jobs.entries()) {
      const result = results[index] ?? new EntrepotError('scan-unavailable', 'the scanner said nothing of it');
      await this.#settle(job, result, held);
    }
  }

  async #settle(job: ScanJob, result: ScanReport | Error, held: Map<string, ScanJob>): Promise<void> {
    const { store, clock, logger } = this.#options;
    held.delete(job.id);
    const now = clock.now();
    if (!(result instanceof Error)) {
      await this.#finish(job, reportOf(job, result));
      return;
    }
    if (this.#end.signal.aborted) {
      await store.giveBack(job, 0, true);
      return;
    }
    const final = result instanceof EntrepotError ? FINAL[(result as EntrepotError).code] : undefined;
    const fields = { err: result, scanner: job.scanner, subject: job.coordinates, attempt: job.attempts };
    if (final === undefined && job.attempts < MAX_ATTEMPTS) {
      logger.warn(fields, 'a scan failed; it is tried again');
      await store.giveBack(job, now + Math.min(MAX_BACKOFF, FIRST_BACKOFF * 4 ** (job.attempts - 1)));
      return;
    }
    if (final === undefined) logger.error(fields, 'a scan failed');
    await this.#finish(job, failureOf(job, final ?? 'error', result, now));
  }

  async #finish(job: ScanJob, report: KeptReport): Promise<void> {
    const { store, onReport } = this.#options;
    const said = await store.reports({ coordinates: job.coordinates, digest: job.digest });
    const before = said.find(({ scanner, digest }) => scanner === job.scanner && digest === job.digest);
    if (await store.finish(job, report)) onReport?.(report, before);
  }

  async #keep(held: ReadonlyMap<string, ScanJob>): Promise<void> {
    const { store, clock, logger } = this.#options;
    try {
      for (const job of held.values()) await store.renew(job, clock.now() + LEASE);
    } catch (error) {
      logger.warn({ err: error }, 'leases of scans cannot be renewed');
    }
  }

  async #subjectOf(scanner: Scanner, { coordinates, digest, priority }: ScanJob): Promise<ScanSubject> {
    if (digest === undefined || !needsContent(scanner, coordinates.ecosystem)) return { coordinates };
    const { store, fetchPart } = this.#options;
    const places = await store.placesOf({ coordinates, digest });
    const content = await this.#contentOf(digest, places[0]?.mediaType);
    if (content === undefined) {
      throw new EntrepotError('scan-unavailable', 'its bytes are no longer here', { code: 'SCAN_UNSUPPORTED' });
    }
    // What another repository has may not be for who reads this one.
    const repositories = [...new Set(places.map(({ repository }) => repository))];
    const part = async (other: Digest, named?: string): Promise<Content | undefined> => {
      const mediaType = await store.mediaTypeIn(repositories, other);
      if (mediaType !== undefined) return await this.#contentOf(other, mediaType);
      // A client waits who cannot bring it before it is scanned. Where none does, one may bring it yet.
      if (priority !== PRIORITIES.waiting || fetchPart === undefined) return undefined;
      for (const repository of repositories) {
        const fetched = await fetchPart(repository, coordinates, { digest: other, mediaType: named });
        if (fetched !== undefined) return (await this.#contentOf(other, fetched.mediaType)) ?? fetched;
      }
      return undefined;
    };
    return { coordinates, digest, content, part };
  }

  async #contentOf(digest: Digest, mediaType = 'application/octet-stream'): Promise<Content | undefined> {
    const { blobs } = this.#options;
    const info = await blobs.stat(digest);
    if (info === undefined) return undefined;
    return { ...contentOf(blobs, digest, info.size, mediaType), path: await blobs.pathOf?.(digest) };
  }
}

/** Whether `scanner` looks at the bytes of what is in `ecosystem`. */
function needsContent({ needs, subjects }: Scanner, ecosystem: string): boolean {
  return needs === 'content' || subjects.withContent?.includes(ecosystem) === true;
}

/** The subject of a scan: the version, or its bytes where `scanner` looks at these. */
export function targetFor(scanner: Scanner, { coordinates, digest }: ScanTarget): ScanTarget {
  return needsContent(scanner, coordinates.ecosystem) ? { coordinates, digest } : { coordinates };
}

function reportOf(job: ScanJob, { revision, scannedAt, coverage, findings }: ScanReport): KeptReport {
  const { coordinates, digest, scanner } = job;
  const state: ReportState = findings.length > 0 ? 'findings' : 'clean';
  return { coordinates, digest, scanner, revision, scannedAt, coverage, findings, state };
}

function failureOf(job: ScanJob, state: ReportState, { message }: Error, now: number): KeptReport {
  const { coordinates, digest, scanner, revision } = job;
  const detail = message.slice(0, 500);
  return { coordinates, digest, scanner, revision, state, scannedAt: now, coverage: 'partial', findings: [], detail };
}

function contentOf(blobs: BlobStore, digest: Digest, size: number, mediaType: string): Content {
  async function* stream(): AsyncIterable<Uint8Array> {
    const body = await blobs.open(digest);
    if (body === undefined) throw new EntrepotError('storage', `the blob ${digest} is gone`);
    try {
      yield* body as AsyncIterable<Uint8Array>;
    } finally {
      body.destroy();
    }
  }
  return {
    size,
    mediaType,
    stream,
    async bytes(limit) {
      if (size > limit) throw new EntrepotError('too-large', `expected at most ${limit} bytes, found ${size}`);
      return buffer(stream());
    },
  };
}
