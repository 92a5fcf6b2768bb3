import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { silentLogger, type Finding, type PackageCoordinates } from '@entrepot/core';
import { ManualClock, MemoryBlobStore } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AdmittingIndex } from '../drivers/sql/admitting-index.js';
import type { KeptReport, ScanJob } from '../../src/drivers/sql/scan-store.js';
import { JobScanDesk } from '../../src/scanning/job-scan-desk.js';
import { LEASE, MAX_ATTEMPTS, ScanWorker, type HostScanner } from '../../src/scanning/scan-worker.js';
import { bundleProgram } from '../drivers/bundle.js';
import { DATABASES, digest, failure, host, npm, openDatabase, ScriptedScanner, until } from './support.js';

const ASKED = { now: 1, retryAfter: 1_000 };
const FINDING: Finding = { id: 'CVE-1', aliases: [], severity: 'high', fixedIn: [], source: 'test' };

function claimAll(now: number) {
  return { owner: 'me', limit: 10, now, lease: LEASE };
}

function clean(job: ScanJob): KeptReport {
  const { coordinates, digest: bytes, scanner, revision } = job;
  return {
    coordinates,
    digest: bytes,
    scanner,
    revision,
    state: 'clean',
    scannedAt: 5,
    coverage: 'full',
    findings: [],
  };
}

describe.each(DATABASES)('on %s', (kind) => {
  const database = (): ReturnType<typeof openDatabase> => openDatabase(kind);

  describe('scan jobs', () => {
    it('are one for a subject, a scanner and a revision, however many ask', async () => {
      const { store } = await database();
      await store.ask([{ coordinates: npm('a') }, { coordinates: npm('b') }], 's', '1', 'sweep', ASKED);
      await store.ask([{ coordinates: npm('a') }], 's', '1', 'sweep', ASKED);
      await store.ask([{ coordinates: npm('a') }], 's', '2', 'sweep', ASKED);
      expect(
        (await store.jobs(10)).map(({ coordinates, revision }) => `${coordinates.name} ${revision}`).sort(),
      ).toEqual(['a 1', 'a 2', 'b 1']);
    });

    it('move up when somebody waits for them, and never down', async () => {
      const { store } = await database();
      await store.ask([{ coordinates: npm('a') }, { coordinates: npm('b') }], 's', '1', 'sweep', ASKED);
      await store.ask([{ coordinates: npm('b') }], 's', '1', 'waiting', ASKED);
      await store.ask([{ coordinates: npm('b') }], 's', '1', 'delta', ASKED);
      const jobs = await store.claim('s', claimAll(2));
      expect(jobs.map(({ coordinates }) => coordinates.name)).toEqual(['b', 'a']);
    });

    it('are not asked for again where there is a report of that revision, but after an error that is old', async () => {
      const { store } = await database();
      await store.ask([{ coordinates: npm('a') }], 's', '1', 'first', ASKED);
      const [job] = (await store.claim('s', claimAll(2))) as [ScanJob];
      await store.finish(job, { ...clean(job), state: 'error', scannedAt: 100 });
      await store.ask([{ coordinates: npm('a') }], 's', '1', 'first', { now: 200, retryAfter: 1_000 });
      expect(await store.jobs(10)).toEqual([]);
      await store.ask([{ coordinates: npm('a') }], 's', '1', 'first', { now: 1_200, retryAfter: 1_000 });
      expect(await store.jobs(10)).toHaveLength(1);
    });

    it('belong to who has the lease: one that was taken over writes nothing', async () => {
      const { store } = await database();
      await store.ask([{ coordinates: npm('a') }], 's', '1', 'first', ASKED);
      const [first] = (await store.claim('s', claimAll(10))) as [ScanJob];
      expect(await store.claim('s', claimAll(10 + LEASE - 1))).toEqual([]);
      const [second] = (await store.claim('s', claimAll(10 + LEASE))) as [ScanJob];
      expect(second).toMatchObject({ id: first.id, generation: first.generation + 1, attempts: 2 });
      expect(await store.renew(first, 1e9)).toBe(false);
      expect(await store.finish(first, clean(first))).toBe(false);
      expect(await store.reports({ coordinates: npm('a') })).toEqual([]);
      expect(await store.finish(second, clean(second))).toBe(true);
      expect(await store.reports({ coordinates: npm('a') })).toMatchObject([{ state: 'clean' }]);
    });
  });

  async function worker(settings: Partial<HostScanner> = {}) {
    const clock = new ManualClock();
    const { store, ...rest } = await database();
    const scanner = new ScriptedScanner(clock);
    const blobs = new MemoryBlobStore();
    const scanners = [host(scanner, settings)];
    const workers = new ScanWorker({
      scanners,
      store,
      blobs,
      clock,
      logger: silentLogger,
      pollInterval: 5,
      onReport: (report) => desk.take(report),
    });
    const desk = new JobScanDesk({
      scanners,
      store,
      clock,
      logger: silentLogger,
      wake: () => workers.wake(),
      pollInterval: 5,
    });
    onTestFinished(() => workers.stop());
    onTestFinished(() => desk.dispose());
    return { clock, store, scanner, blobs, workers, desk, ...rest };
  }

  const WAITING = { priority: 'waiting', signal: new AbortController().signal } as const;

  describe('a scan desk', () => {
    it('answers from a scan, then from memory, one scan for all who ask', async () => {
      const { desk, workers, scanner } = await worker();
      scanner.says = () => ({ findings: [FINDING] });
      workers.start();
      const subject = { coordinates: npm('a'), digest: digest('a') };
      expect(desk.peek(subject)).toBeUndefined();
      const answers = await Promise.all([desk.request(subject, WAITING), desk.request(subject, WAITING)]);
      expect(answers).toMatchObject([{ reports: [{ findings: [FINDING] }], failures: [] }, { reports: [{}] }]);
      expect(desk.peek(subject)).toMatchObject({ reports: [{ scanner: 'scripted', findings: [FINDING] }] });
      expect(desk.peek(subject)).toBe(desk.peek(subject));
      expect(scanner.scanned).toEqual(['a']);
      expect(desk.waiting).toBe(0);
    });

    it('has nothing to ask where no scanner knows the ecosystem, or each can be looked up', async () => {
      const { desk, scanner } = await worker();
      expect(desk.peek({ coordinates: { ecosystem: 'generic', name: 'x', version: '1' } })).toEqual({
        reports: [],
        failures: [],
      });
      Object.assign(scanner, { lookup: () => [] });
      expect(desk.peek({ coordinates: npm('a') })).toEqual({ reports: [], failures: [] });
    });

    it('says that a scan is pending at the deadline, and the scan goes on', async () => {
      const { desk, workers, scanner, store } = await worker();
      let finish = (): void => {};
      scanner.says = () => new Promise((resolve) => (finish = () => resolve({})));
      workers.start();
      const error = await desk.request({ coordinates: npm('a') }, { ...WAITING, deadline: 1 }).catch((e: unknown) => e);
      expect(error).toMatchObject({ kind: 'scan-unavailable', code: 'SCAN_PENDING', retryAfter: 2 });
      await until(() => scanner.scanned.length === 1);
      finish();
      await until(async () => (await store.reports({ coordinates: npm('a') })).length === 1);
      expect(await desk.request({ coordinates: npm('a') }, WAITING)).toMatchObject({ reports: [{}] });
    });

    it('learns of reports that another process put', async () => {
      const { desk, store } = await worker();
      const asked = desk.request({ coordinates: npm('a') }, WAITING);
      await until(async () => (await store.jobs(1)).length === 1);
      const [job] = (await store.claim('scripted', claimAll(1e15))) as [ScanJob];
      await store.finish(job, clean(job));
      expect(await asked).toMatchObject({ reports: [{ scanner: 'scripted' }], failures: [] });
    });

    it('forgets an answer when there is a new report', async () => {
      const { desk, store } = await worker();
      const report = { ...clean({ coordinates: npm('a'), scanner: 'scripted', revision: '1' } as ScanJob) };
      await store.put(report);
      const subject = { coordinates: npm('a'), digest: digest('a') };
      expect(await desk.request(subject, WAITING)).toMatchObject({ reports: [{ findings: [] }] });
      await store.put({ ...report, state: 'findings', findings: [FINDING] });
      await desk.look();
      expect(desk.peek(subject)).toBeUndefined();
      expect(await desk.request(subject, WAITING)).toMatchObject({ reports: [{ findings: [FINDING] }] });
    });

    it('says what could not be judged, and never that it is clean', async () => {
      const { desk, workers, scanner } = await worker();
      scanner.says = () => {
        throw failure('SCAN_UNSUPPORTED');
      };
      workers.start();
      expect(await desk.request({ coordinates: npm('a') }, WAITING)).toEqual({
        reports: [],
        failures: [{ scanner: 'scripted', status: 'unsupported' }],
      });
    });

    it('says when the database was too old', async () => {
      const { desk, workers, scanner } = await worker();
      scanner.says = () => {
        throw failure('SCAN_STALE');
      };
      workers.start();
      expect(await desk.request({ coordinates: npm('a') }, WAITING)).toEqual({
        reports: [],
        failures: [{ scanner: 'scripted', status: 'stale' }],
      });
      expect(scanner.scanned).toEqual(['a']);
    });

    it('ends with who asked', async () => {
      const { desk } = await worker();
      const gone = new AbortController();
      const asked = desk.request({ coordinates: npm('a') }, { ...WAITING, signal: gone.signal });
      gone.abort(new Error('gone'));
      await expect(asked).rejects.toThrow('gone');
      expect(desk.waiting).toBe(0);
    });
  });

  describe('a scan worker', () => {
    it('tries again later, and gives up after five times', async () => {
      const { desk, workers, scanner, store, clock } = await worker();
      scanner.says = () => {
        throw new Error('it broke');
      };
      workers.start();
      const asked = desk.request({ coordinates: npm('a') }, WAITING);
      for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt += 1) {
        await until(
          async () => (await store.jobs(1))[0]?.attempts === attempt && (await store.jobs(1))[0]?.owner === undefined,
        );
        expect(scanner.scanned).toHaveLength(attempt);
        clock.advance(600_000);
      }
      expect(await asked).toEqual({ reports: [], failures: [{ scanner: 'scripted', status: 'error' }] });
      expect(scanner.scanned).toHaveLength(MAX_ATTEMPTS);
      expect(await store.reports({ coordinates: npm('a') })).toMatchObject([
        { state: 'error', detail: 'the scan failed' },
      ]);
    });

    it('does not try what has ended its worker five times', async () => {
      const { workers, scanner, store, clock } = await worker();
      await store.ask([{ coordinates: npm('a') }], 'scripted', '1', 'first', { now: clock.now(), retryAfter: 1 });
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        await store.claim('scripted', claimAll(clock.now()));
        clock.advance(LEASE);
      }
      workers.start();
      await until(async () => (await store.reports({ coordinates: npm('a') })).length === 1);
      expect(await store.reports({ coordinates: npm('a') })).toMatchObject([{ state: 'error' }]);
      expect(scanner.scanned).toEqual([]);
    });

    it('gives back what it was doing when it is stopped, without counting that', async () => {
      const { workers, scanner, store, clock } = await worker();
      scanner.says = (_subject, signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(failure('SCANNER_INTERRUPTED'))),
        );
      await store.ask([{ coordinates: npm('a') }], 'scripted', '1', 'first', { now: clock.now(), retryAfter: 1 });
      workers.start();
      await until(() => scanner.scanned.length === 1);
      await workers.stop();
      expect(await store.jobs(1)).toMatchObject([{ attempts: 0, owner: undefined }]);
    });

    it('reads the bytes of what needs them, and says so when they are gone', async () => {
      const clock = new ManualClock();
      const { store } = await database();
      const blobs = new MemoryBlobStore();
      const scanner = new ScriptedScanner(clock, 'content');
      const read: string[] = [];
      scanner.says = async ({ content }) => {
        read.push(Buffer.from((await content?.bytes(100)) ?? []).toString());
        return {};
      };
      const bytes = Buffer.from('the bytes');
      await blobs.put(digest('the bytes'), bytes.length, { open: () => Readable.from([bytes]) });
      const workers = new ScanWorker({
        scanners: [host(scanner)],
        store,
        blobs,
        clock,
        logger: silentLogger,
        pollInterval: 5,
      });
      onTestFinished(() => workers.stop());
      const targets = [
        { coordinates: npm('a'), digest: digest('the bytes') },
        { coordinates: npm('b'), digest: digest('others') },
      ];
      await store.ask(targets, 'scripted', '1', 'first', { now: clock.now(), retryAfter: 1 });
      workers.start();
      await until(async () => (await store.jobs(1)).length === 0);
      expect(read).toEqual(['the bytes']);
      expect(await store.reports(targets[0] as (typeof targets)[0])).toMatchObject([
        { state: 'clean', digest: digest('the bytes') },
      ]);
      expect(await store.reports(targets[1] as (typeof targets)[1])).toMatchObject([{ state: 'unsupported' }]);
    });
  });

  describe('scan workers in processes of their own', () => {
    it('scan each digest once, and lose none when one of them is killed', { timeout: 120_000 }, async () => {
      const { place, store } = await database();
      const targets = Array.from({ length: 1_000 }, (_, index) => ({
        coordinates: npm(`package-${index}`),
        digest: digest(String(index)),
      }));
      await store.ask(targets, 'counting', '1', 'first', ASKED);
      const program = await bundleProgram(new URL('./scanning-program.ts', import.meta.url));
      onTestFinished(() => program.remove());
      const children = Array.from({ length: 3 }, () =>
        fork(program.path, [place], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
      );
      onTestFinished(() => children.forEach((child) => child.kill('SIGKILL')));
      const scanned = new Map<string, number>();
      for (const child of children) {
        child.on('message', (name: string) => scanned.set(name, (scanned.get(name) ?? 0) + 1));
      }
      const [victim] = children as [(typeof children)[0]];
      while (scanned.size < 150) await once(victim, 'message');
      victim.kill('SIGKILL');
      await until(async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return (await store.jobs(1)).length === 0;
      });
      const counts = await store.counts();
      expect(counts).toEqual({ queued: {}, states: { counting: { clean: 1_000 } } });
      // What the one that was killed had in its hands was begun again by another, and nothing else.
      const twice = [...scanned.values()].filter((times) => times > 1).length;
      expect(scanned.size).toBe(1_000);
      expect(twice).toBeLessThanOrEqual(2);
      expect(Math.max(...scanned.values())).toBeLessThanOrEqual(2);
    });

    it('gives an image the parts that its own repository has, as what they were stored', async () => {
      const clock = new ManualClock();
      const { store, database: opened } = await database();
      const entries = new AdmittingIndex(opened);
      const blobs = new MemoryBlobStore();
      const image = { ecosystem: 'oci', name: 'demo', version: 'latest' };
      const put = async (repository: string, text: string, mediaType: string, coordinates?: PackageCoordinates) => {
        await blobs.put(digest(text), text.length, { open: () => Readable.from([Buffer.from(text)]) });
        const times = { fetchedAt: clock.now(), checkedAt: clock.now() };
        const entry = {
          repository,
          key: text,
          digest: digest(text),
          size: text.length,
          mediaType,
          coordinates,
          ...times,
        };
        await entries.putIfAbsent([{ ...entry, headers: {}, integrity: [] }]);
      };
      await put('images', 'manifest', 'application/vnd.oci.image.manifest.v1+json', image);
      await put('images', 'layer', 'application/vnd.oci.image.layer.v1.tar');
      await put('secret', 'other', 'application/vnd.oci.image.layer.v1.tar');
      const scanner = new ScriptedScanner(clock, 'content');
      const seen: (string | undefined)[] = [];
      scanner.says = async ({ content, part }) => {
        for (const one of [content, await part?.(digest('layer')), await part?.(digest('other'))])
          seen.push(one?.mediaType);
        return {};
      };
      const workers = new ScanWorker({
        scanners: [host(scanner)],
        store,
        blobs,
        clock,
        logger: silentLogger,
        pollInterval: 5,
      });
      onTestFinished(() => workers.stop());
      const target = { coordinates: image, digest: digest('manifest') };
      await store.ask([target], 'scripted', '1', 'first', { now: clock.now(), retryAfter: 1 });
      workers.start();
      await until(async () => (await store.jobs(1)).length === 0);
      expect(seen).toEqual([
        'application/vnd.oci.image.manifest.v1+json',
        'application/vnd.oci.image.layer.v1.tar',
        undefined,
      ]);
    });
  });
});
