import { silentLogger, type Entry, type Finding, type PackageCoordinates } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AdmittingIndex } from '../drivers/sql/admitting-index.js';
import { ScannerUpdates, type NewFindings } from '../../src/scanning/scanner-updates.js';
import { digest, host, npm, openDatabase, ScriptedScanner, until } from './support.js';

const NOW = new ManualClock().now();

function entry(coordinates: PackageCoordinates): Entry {
  const key = `${coordinates.name}-${coordinates.version}.tgz`;
  return {
    repository: 'npm',
    key,
    digest: digest(key),
    size: 1,
    mediaType: 'application/gzip',
    headers: {},
    fetchedAt: NOW - 1_000,
    checkedAt: NOW,
    integrity: [],
    coordinates,
  };
}

async function updates(kept: readonly PackageCoordinates[]) {
  const { store, database: opened } = await openDatabase();
  const index = new AdmittingIndex(opened);
  for (let start = 0; start < kept.length; start += 5_000) {
    await index.change({ repository: 'npm', expect: [], put: kept.slice(start, start + 5_000).map(entry), remove: [] });
  }
  const clock = new ManualClock();
  const scanner = new ScriptedScanner(clock);
  const told: NewFindings[] = [];
  const one = host(scanner);
  const updating = new ScannerUpdates({
    scanners: [one],
    store,
    clock,
    logger: silentLogger,
    wake: () => {},
    onNewFindings: (found) => told.push(found),
  });
  onTestFinished(() => updating.stop());
  return {
    index,
    clock,
    updating,
    store,
    scanner,
    told,
    update: () => updating.update(one),
  };
}

function finding(id: string, publishedAt = NOW): Finding {
  return { id, aliases: [], severity: 'high', fixedIn: [], source: 'test', publishedAt };
}

describe('the first database', () => {
  it.each([
    ['comes', undefined],
    ['cannot be had', new Error('there is none')],
  ])('is waited for until it %s', async (_, fault) => {
    const { scanner, updating } = await updates([]);
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    scanner.check = async () => {
      throw new Error('without a database');
    };
    scanner.update = async () => {
      await opened;
      if (fault !== undefined) throw fault;
      return undefined;
    };
    updating.start();
    await new Promise(setImmediate);
    expect(updating.starting).toEqual(['scripted']);
    open();
    await until(() => updating.starting.length === 0);
  });

  it('is not waited for where there is one', async () => {
    const { scanner, updating } = await updates([]);
    let end: (changed: readonly PackageCoordinates[]) => void = () => {};
    scanner.update = () => new Promise((resolve) => (end = resolve));
    updating.start();
    await until(() => updating.starting.length === 0);
    end([]);
  });
});

describe('a newer database', () => {
  it('has everything that is kept scanned where it is the first one, and nothing when it is the same', async () => {
    const { store, scanner, update } = await updates([npm('a'), npm('b'), npm('b', '2.0.0')]);
    await update();
    expect((await store.jobs(10)).map(({ coordinates }) => coordinates)).toHaveLength(3);
    expect((await store.judgedWith('scripted')).revision).toBe('1');
    const [job] = await store.claim('scripted', { owner: 'x', limit: 10, now: 1, lease: 1 });
    expect(job).toBeDefined();
    scanner.changed = undefined;
    await update();
    expect((await store.jobs(10)).map(({ revision }) => revision)).toEqual(['1', '1', '1']);
  });

  it('has only that scanned again which its changed advisories are about', async () => {
    const { store, scanner, update } = await updates([npm('a'), npm('b'), npm('c')]);
    await store.setJudgedWith('scripted', '1');
    scanner.changed = [
      { ecosystem: 'npm', name: 'b' },
      { ecosystem: 'npm', name: 'nobody' },
    ];
    scanner.onUpdate = () => (scanner.current = '2');
    await update();
    expect(await store.jobs(10)).toMatchObject([{ coordinates: { name: 'b' }, revision: '2' }]);
  });

  it('has everything scanned again when the revision in between is not known', async () => {
    const { store, scanner, update } = await updates([npm('a'), npm('b')]);
    await store.setJudgedWith('scripted', '0');
    scanner.changed = [{ ecosystem: 'npm', name: 'b' }];
    scanner.onUpdate = () => (scanner.current = '2');
    await update();
    expect(await store.jobs(10)).toHaveLength(2);
  });

  it('tells of findings that are newer than what is kept, once', async () => {
    const { store, scanner, told, update } = await updates([npm('a'), npm('b'), npm('c')]);
    Object.assign(scanner, {
      lookup: ({ name }: PackageCoordinates) =>
        name === 'a' ? [finding('CVE-1')] : name === 'b' ? [finding('CVE-OLD', NOW - 5_000)] : [],
    });
    await update();
    expect(await store.jobs(10)).toEqual([]);
    expect(told).toMatchObject([{ artifact: { repository: 'npm', coordinates: { name: 'a' } }, findings: ['CVE-1'] }]);
    scanner.current = '2';
    await update();
    expect(told).toHaveLength(1);
  });

  it('tells of what it says of kept content and the one before did not, however old its advisories are', async () => {
    const { store, scanner, told, update } = await updates([npm('a'), npm('b'), npm('c')]);
    let late: readonly Finding[] = [];
    const known = finding('CVE-KNOWN', NOW - 5_000);
    Object.assign(scanner, { lookup: ({ name }: PackageCoordinates) => (name === 'a' ? [known, ...late] : []) });
    await store.setJudgedWith('scripted', '1');
    scanner.changed = [{ ecosystem: 'npm', name: 'a' }];
    scanner.onUpdate = () => {
      scanner.current = '2';
      const { publishedAt: _date, ...undated } = finding('CVE-UNDATED');
      late = [finding('CVE-LATE', NOW - 900_000), undated];
    };
    await update();
    expect(told).toMatchObject([{ artifact: { coordinates: { name: 'a' } }, findings: ['CVE-LATE', 'CVE-UNDATED'] }]);
    scanner.onUpdate = () => {};
    await update();
    expect(told).toHaveLength(1);
  });

  it('tells nothing of what was known when it was stored, also after the last look', async () => {
    const { index, store, scanner, told, update, clock } = await updates([npm('a')]);
    Object.assign(scanner, { lookup: () => [finding('CVE-KNOWN', NOW - 5_000)] });
    await update();
    clock.advance(60_000);
    await index.replace({ ...entry(npm('b')), fetchedAt: clock.now() - 1_000 });
    clock.advance(60_000);
    scanner.onUpdate = () => (scanner.current = '2');
    await update();
    expect(told).toEqual([]);
    expect(await store.reports({ coordinates: npm('b') })).toMatchObject([{ findings: [{ id: 'CVE-KNOWN' }] }]);
  });

  it('tells of what a later scan found and the one before did not', async () => {
    const { updating, told } = await updates([npm('a')]);
    const report = {
      coordinates: npm('a'),
      scanner: 'scripted',
      revision: '2',
      state: 'findings' as const,
      scannedAt: NOW,
      coverage: 'full' as const,
      findings: [finding('CVE-OLD', NOW - 900_000), finding('CVE-TOLD', NOW - 900_000)],
    };
    await updating.reported(report);
    expect(told).toEqual([]);
    const before = { ...report, revision: '1', findings: [finding('CVE-TOLD', NOW - 900_000)] };
    await updating.reported(report, before);
    expect(told).toMatchObject([{ findings: ['CVE-OLD'] }]);
  });

  it(
    'takes less than two seconds for a hundred advisories over a hundred thousand artifacts',
    { timeout: 120_000 },
    async () => {
      const kept = Array.from({ length: 100_000 }, (_, index) => npm(`package-${index >> 1}`, `${index & 1}.0.0`));
      const { store, scanner, update } = await updates(kept);
      await store.setJudgedWith('scripted', '1');
      scanner.changed = Array.from({ length: 100 }, (_, index) => ({
        ecosystem: 'npm',
        name: `package-${index * 499}`,
      }));
      scanner.onUpdate = () => (scanner.current = '2');
      const before = performance.now();
      await update();
      expect(performance.now() - before).toBeLessThan(2_000);
      expect(await store.jobs(1_000)).toHaveLength(200);
    },
  );
});
