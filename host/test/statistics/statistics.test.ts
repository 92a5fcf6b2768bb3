import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EntrepotError, silentLogger, type Outcome } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { openPostgres } from '../../src/drivers/sql/postgres.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import type { SqlDatabase } from '../../src/drivers/sql/sql-database.js';
import { SqlStatisticsReport } from '../../src/drivers/sql/statistics-report.js';
import { SqlStatisticsStore, type StatisticsBatch } from '../../src/drivers/sql/statistics-store.js';
import type { ExchangeRecord } from '../../src/http/exchange.js';
import { MOST_NAMES, Statistics } from '../../src/statistics/statistics.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from '../drivers/sql/postgres-server.js';

const programs = postgresPrograms();
if (programs === undefined) console.log(POSTGRES_MISSING);
let starting: Promise<PostgresServer> | undefined;
afterAll(async () => await (await starting)?.stop());

const DAY = 86_400_000;
const CONFIG = { enabled: true, interval: 3_600_000, keep: 30 * DAY, packagesPerDay: 5, principalsPerDay: 5 };
const ALL = { by: 'repository', order: 'requests', limit: 1_000, hosted: [] as string[] } as const;

async function openOne(kind: string): Promise<SqlDatabase> {
  const database = kind === 'sqlite' ? await ofSqlite() : await ofPostgres();
  onTestFinished(() => database.destroy());
  return database;
}

async function ofSqlite(): Promise<SqlDatabase> {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-statistics-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return await openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
}

async function ofPostgres(): Promise<SqlDatabase> {
  const server = await (starting ??= PostgresServer.start(programs as string));
  return await openPostgres({ url: await server.database(), maxConnections: 4, logger: silentLogger });
}

/** A request that is over. */
function done(name: string, more: Partial<Outcome & ExchangeRecord> = {}): ExchangeRecord {
  const coordinates = { ecosystem: 'npm', name, version: '1.0.0' };
  const { caller, repository = 'npm', ...record } = more;
  const outcome: Outcome = { name: 'hit', repository, resource: 'tarball', isArtifact: true, coordinates, caller };
  const usual = {
    id: '1',
    method: 'GET',
    path: '/',
    status: 200,
    bytes: 10,
    duration: 1,
    client: '::1',
    aborted: false,
  };
  return { ...usual, repository, outcome, ...record };
}

function start(store: ConstructorParameters<typeof Statistics>[0]['store'], clock = new ManualClock(100 * DAY)) {
  const statistics = new Statistics({ store, clock, logger: silentLogger });
  statistics.configure(CONFIG);
  onTestFinished(() => statistics.dispose());
  return { statistics, clock, today: Math.floor(clock.now() / DAY) };
}

const kinds = programs === undefined ? ['sqlite'] : ['sqlite', 'postgres'];

describe.each(kinds)('statistics in %s', (kind) => {
  it('of several processes add up', async () => {
    const database = await openOne(kind);
    const processes = [1, 2, 3].map(() => start(new SqlStatisticsStore(database)));
    for (let number = 0; number < 300; number += 1) {
      processes[number % 3]?.statistics.observe(done(`package-${number % 4}`, { caller: `user-${number % 5}` }));
      if (number % 70 === 0) await Promise.all(processes.map(({ statistics }) => statistics.flush()));
    }
    await Promise.all(processes.map(({ statistics }) => statistics.flush()));
    const report = new SqlStatisticsReport(database);
    const query = { ...ALL, from: 100, to: 100 };
    expect(await report.total(query)).toMatchObject({ requests: 300, downloads: 300, bytes: 3000, kept_bytes: 3000 });
    const parts = await report.parts({ ...query, by: 'package' });
    expect(parts.map(({ name, requests }) => [name, requests])).toEqual(
      [0, 1, 2, 3].map((number) => [`pkg:npm/package-${number}`, 75]),
    );
    const users = await report.parts({ ...query, by: 'principal' });
    expect(users.map(({ name, requests }) => [name, requests])).toEqual(
      [0, 1, 2, 3, 4].map((number) => [`user-${number}`, 60]),
    );
  });

  it('take a batch once, also when it is tried again', async () => {
    const database = await openOne(kind);
    const store = new SqlStatisticsStore(database);
    let failing = true;
    const late = {
      add: async (batch: StatisticsBatch, now: number): Promise<void> => {
        await store.add(batch, now);
        // The commit came, and its answer did not.
        if (failing) throw new EntrepotError('storage', 'late', { status: 503 });
      },
      tidy: store.tidy.bind(store),
    };
    const { statistics } = start(late);
    statistics.observe(done('one'));
    await expect(statistics.flush()).rejects.toThrow('late');
    statistics.observe(done('two'));
    await expect(statistics.flush()).rejects.toThrow('late');
    failing = false;
    await statistics.flush();
    const report = new SqlStatisticsReport(database);
    expect(await report.total({ ...ALL, from: 100, to: 100 })).toMatchObject({ requests: 2, bytes: 20 });
  });

  it('keep the largest names of a day, the sum of all, and only so many days', async () => {
    const database = await openOne(kind);
    const store = new SqlStatisticsStore(database);
    const { statistics, clock } = start(store);
    for (let name = 0; name < 600; name += 1)
      for (let times = 0; times <= (name < 5 ? 9 - name : 0); times += 1)
        statistics.observe(done(`package-${name}`, { caller: `user-${name}` }));
    await statistics.flush();
    const report = new SqlStatisticsReport(database);
    const packages = await report.parts({ ...ALL, from: 100, to: 100, by: 'package' });
    expect(packages.map(({ dimension, name, requests }) => [dimension, name, requests])).toEqual([
      ['other-packages', '', 595],
      ...[0, 1, 2, 3, 4].map((name) => ['package', `pkg:npm/package-${name}`, 10 - name]),
    ]);
    const principals = await report.parts({ ...ALL, from: 100, to: 100, by: 'principal' });
    expect(principals).toHaveLength(6);
    for (const parts of [packages, principals])
      expect(parts.reduce((sum, { requests }) => sum + requests, 0)).toBe(635);

    clock.advance(31 * DAY);
    statistics.observe(done('late'));
    await statistics.flush();
    expect(await report.total({ ...ALL, from: 0, to: 100 })).toMatchObject({ requests: 0, savedTime: undefined });
    expect(await report.total({ ...ALL, from: 0, to: 200 })).toMatchObject({ requests: 1 });
    const writers = await database.selectFrom('statistics_writers').selectAll().execute();
    expect(writers).toHaveLength(1);
  });

  it('tell what kept copies saved, by what upstreams took', async () => {
    const database = await openOne(kind);
    const { statistics } = start(new SqlStatisticsStore(database));
    const observer = statistics.observer({ upstreamAnswered: () => {}, integrityFailed: () => {} });
    for (const duration of [100, 300]) observer.upstreamAnswered('npm', '200', duration);
    observer.upstreamAnswered('npm', 'failed', 60_000);
    observer.upstreamAnswered('npm', '503', 60_000);
    // Of each 1,000 bytes one took 2 ms.
    observer.received?.('npm', 100_000, 200);
    statistics.observe(done('a', { bytes: 50_000 }));
    const outcome = done('a').outcome as Outcome;
    statistics.observe(done('a', { bytes: 1_000, outcome: { ...outcome, name: 'stale' } } as never));
    statistics.observe(done('a', { bytes: 2_000, outcome: { ...outcome, name: 'revalidated' } } as never));
    statistics.observe(done('a', { bytes: 7_000, outcome: { ...outcome, name: 'miss' } } as never));
    statistics.observe(done('b', { repository: 'box', bytes: 500 }));
    await statistics.flush();
    const report = new SqlStatisticsReport(database);
    const query = { ...ALL, from: 100, to: 100, hosted: ['box'] };
    expect(await report.parts(query)).toMatchObject([
      { repository: 'npm', savedBytes: 53_000, savedTime: 2 * 200 + 53 * 2, upstream_requests: 2 },
      { repository: 'box', savedBytes: 0, savedTime: undefined },
    ]);
    expect(await report.total(query)).toMatchObject({ savedBytes: 53_000, savedTime: 506, requests: 5 });
  });
});

describe('statistics without a database', () => {
  it('wait in memory, within bounds, and are written when it is back', async () => {
    const written: StatisticsBatch[] = [];
    let isAway = true;
    const store = {
      add: async (batch: StatisticsBatch): Promise<void> => {
        if (isAway) throw new EntrepotError('storage', 'away', { status: 503 });
        written.push(batch);
      },
      tidy: async () => {},
    };
    const { statistics, clock } = start(store);
    const sent = 5 * MOST_NAMES;
    for (let number = 0; number < sent; number += 1) {
      statistics.observe(done(`package-${number}`, { caller: `user-${number % 9_000}` }));
      if (number % 10_000 === 0) await expect(statistics.flush()).rejects.toThrow('away');
      if (number % 20_000 === 0) clock.advance(DAY);
    }
    isAway = false;
    await statistics.flush();
    const rows = written.flatMap((batch) => batch.rows);
    // What was to be written when it went, and what was counted since.
    expect(rows.length).toBeLessThan(2 * MOST_NAMES + 50);
    expect(written.every((batch) => batch.rows.length <= 250)).toBe(true);
    const sum = (...dimensions: string[]): number =>
      rows.filter(({ dimension }) => dimensions.includes(dimension)).reduce((all, { requests }) => all + requests, 0);
    expect(sum('all')).toBe(sent);
    expect(sum('package', 'other-packages')).toBe(sent);
    expect(sum('principal', 'other-principals', 'anonymous')).toBe(sent);
    expect(new Set(rows.map(({ day }) => day)).size).toBeGreaterThan(2);
  });

  it('count nothing while they are switched off', async () => {
    const written: StatisticsBatch[] = [];
    const store = { add: async (batch: StatisticsBatch) => void written.push(batch), tidy: async () => {} };
    const { statistics } = start(store);
    statistics.configure({ ...CONFIG, enabled: false });
    statistics.observe(done('a'));
    await statistics.flush();
    expect(written).toEqual([]);
  });

  it('count names that no database takes with the others', async () => {
    const written: StatisticsBatch[] = [];
    const store = { add: async (batch: StatisticsBatch) => void written.push(batch), tidy: async () => {} };
    const { statistics } = start(store);
    for (const name of ['a\0b', 'a\ud800', 'x'.repeat(501)]) statistics.observe(done(name, { caller: name }));
    await statistics.flush();
    const dimensions = written.flatMap(({ rows }) => rows.map(({ dimension, requests }) => [dimension, requests]));
    expect(dimensions).toEqual([
      ['all', 3],
      ['other-packages', 3],
      ['other-principals', 3],
    ]);
  });
});
