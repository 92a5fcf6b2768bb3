import { gzipSync } from 'node:zlib';
import { anonymousAccess, silentLogger, type AnyDeclaredPlugin, type StoredVersion } from '@entrepot/core';
import type { DueVersion, HostedCleanup, Retired } from '@entrepot/core/engine';
import { Gate, ManualClock, openTestRepository, packTar, type TestRepository } from '@entrepot/core/testing';
import files from '@entrepot/plugin-files';
import helm from '@entrepot/plugin-helm';
import oci from '@entrepot/plugin-oci';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { repositoryConfig } from '../../src/config/schema.js';
import { Cleanup, startOf } from '../../src/space/cleanup.js';
import type { CleanupTarget } from '../../src/space/clean-repository.js';
import type { CleanupReport } from '../../src/space/cleanup-report.js';
import type { Pins } from '../../src/space/pins.js';
import { planCleanup, type CleanupPlan } from '../../src/space/plan-cleanup.js';

const DAY = 86_400_000;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

type CleanupInput = NonNullable<Parameters<typeof repositoryConfig>[0]['cleanup']>;

function planOf(plugin: AnyDeclaredPlugin, input: CleanupInput): CleanupPlan {
  const { cleanup } = repositoryConfig({ type: plugin.id, kind: 'hosted', cleanup: input });
  const { plan, problems } = planCleanup('cleanup', cleanup as NonNullable<typeof cleanup>, plugin);
  expect(problems).toEqual([]);
  return plan as CleanupPlan;
}

async function openRepository(plugin: AnyDeclaredPlugin, stores?: TestRepository): Promise<TestRepository> {
  const definition = { kind: 'hosted', access: anonymousAccess(['read', 'write']) } as const;
  const repository = await openTestRepository({ plugin, stores, definition });
  onTestFinished(() => repository.close());
  return repository;
}

function targetOf({ engine }: TestRepository, plugin: AnyDeclaredPlugin, input: CleanupInput): CleanupTarget {
  return { repository: 'test', plan: planOf(plugin, input), cleanup: engine.cleanup as HostedCleanup };
}

/** Pins of entries whose key has such a text in it. */
function pinning(...texts: string[]): Pick<Pins, 'matcher'> {
  return {
    matcher:
      async () =>
      ({ key }) =>
        texts.some((text) => key.includes(text)),
  };
}

function open(targets: readonly CleanupTarget[], clock = new ManualClock(), pins = pinning()): Cleanup {
  const cleanup = new Cleanup({ targets, pins, clock, logger: silentLogger, begunAt: startOf(clock) });
  onTestFinished(() => cleanup.stop());
  return cleanup;
}

/** Cleans up, and gives the report of the only repository. */
async function clean(cleanup: Cleanup, dryRun = false): Promise<CleanupReport> {
  const { id } = cleanup.begin({ dryRun });
  const { running, reports } = await cleanup.find(id, 20_000);
  expect(running).toBe(false);
  expect(reports).toHaveLength(1);
  return reports[0] as CleanupReport;
}

async function pushTags({ ask }: TestRepository, name: string, ...tags: string[]): Promise<void> {
  for (const tag of tags) {
    const body = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [], annotations: { tag } });
    const request = { method: 'PUT', headers: { 'content-type': MANIFEST }, body };
    expect((await ask({ ...request, path: `/${name}/manifests/${tag}` })).status).toBe(201);
  }
}

async function tagsOf({ entries }: TestRepository): Promise<readonly string[]> {
  const found = await entries.list('test', { prefix: 'tag/', limit: 10_000 });
  return found.map(({ key }) => key.slice('tag/'.length));
}

/** A repository that has `names`, of which nothing is removed but in the report. */
function targetWith(names: readonly string[], more: Partial<HostedCleanup> = {}, input?: Partial<CleanupInput>) {
  const versions = names.map((name): StoredVersion => {
    const entry = { key: name, digest: 'sha256:00', size: 10, fetchedAt: 0 } as unknown as StoredVersion['entry'];
    return { entry, name };
  });
  const cleanup: HostedCleanup = {
    async *stored() {
      for (const version of versions) yield [version];
    },
    lastUses: async (some) => some.map(({ entry }) => entry.fetchedAt),
    retire: async (due) => retiredOf(due),
    ...more,
  };
  const plan = planOf(files, { rules: [{ notDownloadedFor: '1d' }], ...input });
  return { repository: 'fake', plan, cleanup } satisfies CleanupTarget;
}

function retiredOf(due: readonly DueVersion[]): Retired {
  const retired = due.map(({ version }) => version);
  return { retired, removed: retired.map(({ entry }) => entry), replaced: [], added: [], spared: [] };
}

describe('a cleanup', () => {
  it('reports exactly what it removes, and a dry run what it would', async () => {
    const repository = await openRepository(oci);
    const input = { rules: [{ names: ['app'], versions: ['pr-*'], keepVersions: 1 }, { notDownloadedFor: '90d' }] };
    const cleanup = open([targetOf(repository, oci, input)], repository.clock);
    await pushTags(repository, 'old', 'x');
    repository.clock.advance(60 * DAY);
    await pushTags(repository, 'app', 'pr-1', 'pr-2', 'pr-3', '1.0');
    repository.clock.advance(31 * DAY);
    await repository.ask('/old/tags/list');
    const before = await tagsOf(repository);

    const planned = await clean(cleanup, true);
    expect(await tagsOf(repository)).toEqual(before);
    const done = await clean(cleanup);
    expect(await tagsOf(repository)).toEqual(['app:/1.0', 'app:/pr-3']);

    const sizes = ['pr-1', 'pr-2', 'x'].map(
      (tag) => JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [], annotations: { tag } }).length,
    );
    const expected = {
      repository: 'test',
      looked: 5,
      removed: 3,
      kept: 2,
      bytes: sizes.reduce((sum, size) => sum + size),
      rules: [
        { rule: 'names: app, versions: pr-*, keepVersions: 1', removed: 2 },
        { rule: 'notDownloadedFor: 90d', removed: 1 },
      ],
      refused: { used: 0, changed: 0, needed: 0, pinned: 0, failed: 0 },
      removals: [
        { name: 'app', version: 'pr-1', rule: 0 },
        { name: 'app', version: 'pr-2', rule: 0 },
        { name: 'old', version: 'x', rule: 1 },
      ],
      startedAt: repository.clock.now(),
      endedAt: repository.clock.now(),
    };
    expect(planned).toMatchObject({ ...expected, dryRun: true });
    expect(done).toMatchObject({ ...expected, dryRun: false });
    expect(await clean(cleanup)).toMatchObject({ looked: 2, removed: 0, kept: 2, bytes: 0 });
  });

  it('spares what was served, by any name', async () => {
    const repository = await openRepository(files);
    const cleanup = open([targetOf(repository, files, { rules: [{ notDownloadedFor: '90d' }] })], repository.clock);
    const { ask, clock, entries } = repository;
    for (const path of ['/a/used', '/a/unused', '/b'])
      expect((await ask({ method: 'PUT', path, body: path })).status).toBe(201);
    clock.advance(89 * DAY);
    expect((await ask('/a/used')).status).toBe(200);
    expect(await clean(cleanup)).toMatchObject({ looked: 3, removed: 0 });
    clock.advance(DAY);
    await ask({ method: 'HEAD', path: '/a/used' });
    expect(await clean(cleanup)).toMatchObject({ looked: 3, removed: 2, kept: 1, bytes: '/a/unused/b'.length });
    expect((await entries.list('test', { prefix: '', limit: 10 })).map(({ key }) => key)).toEqual(['a/used']);
  });

  it('keeps what is pinned, by a tag or by the digest of its image', async () => {
    const repository = await openRepository(oci);
    await pushTags(repository, 'app', '1', '2', '3', '4', '5');
    const digest = (await repository.entries.find('test', 'tag/app:/2'))?.digest ?? '';
    const target = targetOf(repository, oci, { rules: [{ keepVersions: 1 }] });
    const cleanup = open([target], repository.clock, pinning('tag/app:/4', `manifest/app@${digest}`));
    const expected = { looked: 5, removed: 2, kept: 3, refused: { pinned: 2 } };
    expect(await clean(cleanup, true)).toMatchObject(expected);
    expect(await clean(cleanup)).toMatchObject(expected);
    expect(await tagsOf(repository)).toEqual(['app:/2', 'app:/4', 'app:/5']);
  });

  it('removes a batch in each change', async () => {
    const repository = await openRepository(oci);
    const input = { batchSize: 4, rules: [{ keepVersions: 1 }] };
    const cleanup = open([targetOf(repository, oci, input)], repository.clock);
    await pushTags(repository, 'app', ...Array.from({ length: 12 }, (_, n) => `t${n}`));
    const before = await repository.entries.revision('test');
    expect(await clean(cleanup, true)).toMatchObject({ removed: 11 });
    expect(await clean(cleanup)).toMatchObject({ removed: 11 });
    expect((await repository.entries.revision('test')) - before).toBe(3);
  });

  it('counts in a dry run what many changes free, documents that shrink included', async () => {
    const repository = await openRepository(helm);
    const target = targetOf(repository, helm, { batchSize: 7, rules: [{ keepVersions: 40 }] });
    const cleanup = open([target], repository.clock);
    for (let n = 0; n < 90; n += 1) {
      const chart = `apiVersion: v2\nname: app\nversion: 1.${n}.0\n`;
      const body = gzipSync(packTar([{ name: 'app/Chart.yaml', content: chart }]));
      expect((await repository.ask({ method: 'POST', path: '/api/charts', body })).status).toBe(201);
    }
    const bytesOf = async (): Promise<number> => {
      const entries = await repository.entries.list('test', { prefix: '', limit: 10_000 });
      const sizes = new Map(entries.map(({ digest, size }) => [digest, size]));
      return [...sizes.values()].reduce((sum, size) => sum + size, 0);
    };
    const before = await bytesOf();
    const planned = await clean(cleanup, true);
    const done = await clean(cleanup);
    expect([planned.removed, done.removed]).toEqual([50, 50]);
    expect([planned.bytes, done.bytes]).toEqual([before - (await bytesOf()), before - (await bytesOf())]);
  });

  it('runs on two servers at once, of which each version goes once', async () => {
    const first = await openRepository(oci);
    const second = await openRepository(oci, first);
    const input = { batchSize: 2, rules: [{ keepVersions: 2 }] };
    for (const name of ['a', 'b', 'c']) await pushTags(first, name, '1', '2', '3', '4', '5');
    const reports = await Promise.all(
      [first, second].map((one) => clean(open([targetOf(one, oci, input)], one.clock))),
    );
    expect(reports.reduce((sum, { removed }) => sum + removed, 0)).toBe(9);
    for (const { refused, error } of reports) expect([refused.failed, error]).toEqual([0, undefined]);
    expect(await tagsOf(first)).toEqual(['a:/4', 'a:/5', 'b:/4', 'b:/5', 'c:/4', 'c:/5']);
  });

  it('goes on after what cannot be removed, and counts why versions stay', async () => {
    const retire: HostedCleanup['retire'] = async ([due]) => {
      const { version } = due as DueVersion;
      if (version.name === 'broken') throw new Error('the disk is full');
      if (version.name === 'gone') return retiredOf([due as DueVersion]);
      return { ...retiredOf([]), spared: [{ version, reason: version.name as 'used' }] };
    };
    const report = await clean(open([targetWith(['used', 'broken', 'changed', 'needed', 'gone', 'used'], { retire })]));
    expect(report).toMatchObject({
      looked: 6,
      removed: 1,
      kept: 5,
      refused: { used: 2, changed: 1, needed: 1, failed: 1 },
    });
    expect(report.error).toBeUndefined();
  });

  it('says that it ended early where it cannot look any further', async () => {
    const target = targetWith([], {
      async *stored() {
        yield [];
        throw new Error('the database is gone');
      },
    });
    expect(await clean(open([target]))).toMatchObject({ looked: 0, error: 'the database is gone' });
  });

  it('lists the first thousand by themselves, and counts all', async () => {
    const report = await clean(open([targetWith(Array.from({ length: 1_500 }, (_, n) => `f${n}`))]), true);
    expect([report.removed, report.removals.length]).toEqual([1_500, 1_000]);
  });
});

describe('cleanups of a server', () => {
  it('are of one repository or of all, and of none without rules', async () => {
    const [one, two] = [targetWith(['a']), { ...targetWith(['b', 'c']), repository: 'other' }];
    const cleanup = open([one, two]);
    const all = await cleanup.find(cleanup.begin({ dryRun: true }).id, 20_000);
    expect(all.reports.map(({ repository, looked }) => [repository, looked])).toEqual([
      ['fake', 1],
      ['other', 2],
    ]);
    const other = await cleanup.find(cleanup.begin({ repository: 'other', dryRun: true }).id, 20_000);
    expect(other.reports.map(({ repository }) => repository)).toEqual(['other']);
    expect(() => cleanup.begin({ repository: 'none', dryRun: true })).toThrow('found fake, other');
    await expect(cleanup.find('none', 0)).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('come one after the other, and tell how far they are', async () => {
    const gate = new Gate();
    const retire: HostedCleanup['retire'] = async (due) => {
      await gate.pass();
      return retiredOf(due);
    };
    const cleanup = open([targetWith(['a', 'b'], { retire })]);
    const [first, second] = [cleanup.begin({ dryRun: false }), cleanup.begin({ dryRun: true })];
    expect(await cleanup.find(first.id, 1)).toMatchObject({ running: true, reports: [{ looked: 1, removed: 0 }] });
    expect(await cleanup.find(second.id, 1)).toMatchObject({ running: true, reports: [] });
    gate.open();
    expect(await cleanup.find(second.id, 20_000)).toMatchObject({ running: false, reports: [{ removed: 2 }] });
    expect(await cleanup.find(first.id, 0)).toMatchObject({ running: false, reports: [{ removed: 2 }] });
  });

  it('end between two changes when the server stops', async () => {
    const gate = new Gate();
    const retire: HostedCleanup['retire'] = async (due) => {
      await gate.pass();
      return retiredOf(due);
    };
    const cleanup = open([targetWith(['a', 'b', 'c'], { retire })]);
    const { id } = cleanup.begin({ dryRun: false });
    await gate.reached;
    const stopping = cleanup.stop();
    gate.open();
    await stopping;
    expect(gate.waiting).toBe(1);
    expect((await cleanup.find(id, 0)).reports).toMatchObject([{ removed: 1, error: 'the server is stopping' }]);
  });

  it('come by themselves: soon after the start, and then at the interval', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    let looks = 0;
    const stored: HostedCleanup['stored'] = async function* () {
      looks += 1;
      yield* [];
    };
    const seldom = targetWith([], { stored }, { interval: '7d' });
    const cleanup = open([seldom]);
    const settle = async (): Promise<void> => {
      for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate);
    };
    cleanup.start();
    vi.advanceTimersByTime(299_999);
    await settle();
    expect(looks).toBe(0);
    vi.advanceTimersByTime(1);
    await settle();
    expect(looks).toBe(1);
    vi.advanceTimersByTime(7 * DAY - 1);
    await settle();
    expect(looks).toBe(1);
    vi.advanceTimersByTime(1);
    await settle();
    expect(looks).toBe(2);
    await cleanup.stop();
    vi.advanceTimersByTime(30 * DAY);
    await settle();
    expect(looks).toBe(2);
  });

  it('do not come after a jump of the clock, to which everything has been unused for long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    let looks = 0;
    const stored: HostedCleanup['stored'] = async function* () {
      looks += 1;
      yield* [];
    };
    const clock = new ManualClock();
    const cleanup = open([targetWith([], { stored })], clock);
    cleanup.start();
    clock.set(clock.now() + 365 * DAY);
    vi.advanceTimersByTime(300_000);
    for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate);
    expect(looks).toBe(0);
    await cleanup.stop();
  });
});
