import { anonymousAccess, type StoredVersion } from '@entrepot/core';
import type { DueVersion, HostedCleanup } from '@entrepot/core/engine';
import {
  MemoryBlobStore,
  MemoryEntryIndex,
  openTestRepository,
  pseudoRandom,
  type TestRepository,
} from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import plugin from '../src/index.js';
import { describeBytes, digestOf, INDEX, indexOf, MANIFEST, manifestOf } from './images.js';

const DAY = 86_400_000;
/** Accesses are noted to the hour. */
const HOUR = 3_600_000;

/** An index in which others get in between any two reads, as in a database. */
class DistantIndex extends MemoryEntryIndex {
  override async list(...given: Parameters<MemoryEntryIndex['list']>): ReturnType<MemoryEntryIndex['list']> {
    const found = await super.list(...given);
    for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate);
    return found;
  }
}

interface Opened extends TestRepository {
  readonly cleanup: HostedCleanup;
  /** Pushes an image of a config and a layer of its own, and says its manifest. */
  image(name: string, reference: string, label?: string, layer?: string): Promise<string>;
  manifest(name: string, reference: string, body: string, mediaType?: string): Promise<number>;
  blob(name: string, bytes: string): Promise<number>;
  /** Begins a day later: nothing was pushed just now. */
  tomorrow(): void;
  /** Names of what may be removed: `name:tag`, or `name@digest`. */
  stored(): Promise<ReadonlyMap<string, StoredVersion>>;
  retire(...versions: string[]): Promise<readonly string[]>;
  /** Keys of a kind, without it. */
  keys(kind: string): Promise<readonly string[]>;
}

async function open(stores?: Pick<TestRepository, 'blobs' | 'entries'>): Promise<Opened> {
  const repository = await openTestRepository({
    plugin,
    stores,
    definition: { kind: 'hosted', access: anonymousAccess(['read', 'write']) },
  });
  onTestFinished(() => repository.close());
  const { ask, engine, entries, clock } = repository;
  const cleanup = engine.cleanup as HostedCleanup;
  const blob: Opened['blob'] = async (name, bytes) =>
    (await ask({ method: 'POST', path: `/${name}/blobs/uploads/?digest=${digestOf(bytes)}`, body: bytes })).status;
  const manifest: Opened['manifest'] = async (name, reference, body, mediaType = MANIFEST) => {
    const path = `/${name}/manifests/${reference}`;
    return (await ask({ method: 'PUT', path, headers: { 'content-type': mediaType }, body })).status;
  };
  const stored: Opened['stored'] = async () => {
    const all = (await Array.fromAsync(cleanup.stored())).flat();
    return new Map(
      all.map((one) => [one.version ? `${one.name}:${one.version}` : `${one.name}@${one.entry.digest}`, one]),
    );
  };
  return {
    ...repository,
    cleanup,
    blob,
    manifest,
    async image(name, reference, label = reference, layer = `layer of ${label}`) {
      const config = JSON.stringify({ label });
      for (const bytes of [config, layer]) expect(await blob(name, bytes)).toBe(201);
      const body = manifestOf(config, layer);
      expect(await manifest(name, reference === '' ? digestOf(body) : reference, body)).toBe(201);
      return body;
    },
    tomorrow: () => clock.advance(DAY + HOUR + 1),
    stored,
    async retire(...versions) {
      const all = await stored();
      const due = versions.map((version) => ({ version: all.get(version) }) as DueVersion);
      return (await cleanup.retire(due)).spared.map(({ reason }) => reason);
    },
    keys: async (kind) =>
      (await entries.list('test', { prefix: `${kind}/`, limit: 1_000 })).map(({ key }) => key.slice(kind.length + 1)),
  };
}

describe('the cleanup of images', () => {
  it('removes a tag with its manifest and the layers that no other image has', async () => {
    const { image, tomorrow, retire, keys, ask } = await open();
    await image('app', '1.0', '1.0', 'shared');
    const second = await image('app', '2.0', '2.0', 'shared');
    await image('app', '3.0');
    tomorrow();
    expect(await retire('app:1.0', 'app:3.0')).toEqual([]);
    expect(await keys('tag')).toEqual(['app:/2.0']);
    expect(await keys('manifest')).toEqual([`app@${digestOf(second)}`]);
    expect(await keys('blob')).toEqual([`app@${digestOf('{"label":"2.0"}')}`, `app@${digestOf('shared')}`].sort());
    expect((await ask('/app/tags/list')).body.toString()).toBe('{"name":"app","tags":["2.0"]}');
  });

  it('keeps the manifest while another tag names it', async () => {
    const { image, manifest, tomorrow, retire, keys, ask } = await open();
    const body = await image('app', '1.0');
    await manifest('app', 'latest', body);
    tomorrow();
    await retire('app:1.0');
    expect(await keys('tag')).toEqual(['app:/latest']);
    for (const reference of ['latest', digestOf(body)])
      expect((await ask(`/app/manifests/${reference}`)).status).toBe(200);
    expect(await keys('blob')).toHaveLength(2);
    await retire('app:latest');
    for (const kind of ['tag', 'manifest', 'blob', 'name']) expect(await keys(kind)).toEqual([]);
    expect((await ask('/app/tags/list')).status).toBe(404);
    expect((await ask('/_catalog')).body.toString()).toBe('{"repositories":[]}');
  });

  it('keeps layers that were pushed or asked for within a day', async () => {
    const { image, blob, tomorrow, retire, keys, ask } = await open();
    await image('app', '1.0');
    await image('app', '2.0');
    tomorrow();
    await ask({ method: 'HEAD', path: `/app/blobs/${digestOf('layer of 1.0')}` });
    await blob('app', 'on its way');
    await retire('app:1.0');
    const left = await keys('blob');
    expect(left).toEqual(expect.arrayContaining([`app@${digestOf('layer of 1.0')}`, `app@${digestOf('on its way')}`]));
    expect(left).toHaveLength(4);
    tomorrow();
    await retire('app:2.0');
    expect(await keys('blob')).toEqual([]);
  });

  it('knows no tags of signatures, and lets them go with their image', async () => {
    const { image, manifest, tomorrow, retire, stored, keys, ask } = await open();
    const body = await image('app', '1.0');
    await image('app', '2.0');
    const attached = `sha256-${digestOf(body).slice('sha256:'.length)}`;
    await image('app', `${attached}.sig`, 'signature');
    const referring = manifestOf('{"label":"1.0"}', 'layer of 1.0', { subject: describeBytes(MANIFEST, body) });
    await manifest('app', digestOf(referring), referring);
    await image('app', `sha256-${'0'.repeat(64)}.att`, 'of nothing');
    tomorrow();
    expect([...(await stored()).entries()].map(([name, { version }]) => [name.slice(0, 8), version])).toEqual([
      ['app:1.0', '1.0'],
      ['app:2.0', '2.0'],
      ['app@sha2', undefined],
    ]);
    await retire('app:1.0');
    expect(await keys('tag')).toEqual(['app:/2.0', `app:/sha256-${'0'.repeat(64)}.att`]);
    expect(await keys('manifest')).toHaveLength(2);
    expect(await keys('referrer')).toEqual([]);
    expect((await ask(`/app/referrers/${digestOf(body)}`)).body.toString()).toContain('"manifests":[]');
  });

  it('keeps the images of an index while that stays, and a tagged one after it', async () => {
    const { image, manifest, tomorrow, retire, stored, keys } = await open();
    const arm = await image('app', '');
    const amd = await image('app', 'amd64');
    const index = indexOf(describeBytes(MANIFEST, arm), describeBytes(MANIFEST, amd));
    await manifest('app', 'all', index, INDEX);
    tomorrow();
    const versions = await stored();
    expect([...versions.keys()]).toEqual(['app:all', 'app:amd64']);
    expect([...(versions.get('app:all')?.servedBy ?? [])].sort()).toEqual(
      [index, arm, amd].map((one) => `manifest/app@${digestOf(one)}`).sort(),
    );
    await retire('app:amd64');
    expect(await keys('manifest')).toHaveLength(3);
    await manifest('app', 'amd64', amd);
    tomorrow();
    await retire('app:all');
    expect(await keys('manifest')).toEqual([`app@${digestOf(amd)}`]);
    expect(await keys('blob')).toHaveLength(2);
  });

  it('takes an image that no tag names for one without a version', async () => {
    const { image, manifest, tomorrow, retire, stored, keys, cleanup } = await open();
    const old = await image('app', 'main', 'old');
    await image('app', 'main', 'new');
    tomorrow();
    const untagged = `app@${digestOf(old)}`;
    expect([...(await stored()).keys()]).toEqual(['app:main', untagged]);
    const due = [{ version: (await stored()).get(untagged) as StoredVersion }];
    await manifest('app', 'index', indexOf(describeBytes(MANIFEST, old)), INDEX);
    expect(await cleanup.retire(due)).toMatchObject({ retired: [], spared: [{ reason: 'needed' }] });
    await retire('app:index');
    expect(await keys('tag')).toEqual(['app:/main']);
    expect(await keys('manifest')).toHaveLength(1);
  });

  it('removes an image under all of its digests', async () => {
    const { image, manifest, tomorrow, retire, stored, keys } = await open();
    const body = await image('app', '1.0');
    await manifest('app', digestOf(body, 'sha512'), body);
    tomorrow();
    expect([...(await stored()).keys()]).toEqual(['app:1.0']);
    await retire('app:1.0');
    expect(await keys('manifest')).toEqual([]);
  });

  it('removes nothing where a manifest is lost, for nobody knows what it needs', async () => {
    const first = await open();
    const body = await first.image('app', '1.0');
    await first.image('app', '2.0');
    const index = indexOf(describeBytes(MANIFEST, body));
    await first.manifest('app', 'all', index, INDEX);
    await first.blobs.delete(`sha256:${digestOf(index).slice('sha256:'.length)}`);
    // Nothing is in the memory of another server.
    const second = await open(first);
    for (const version of (await second.stored()).values())
      await expect(second.cleanup.retire([{ version }])).rejects.toMatchObject({ kind: 'storage' });
    expect(await first.keys('tag')).toHaveLength(3);
  });

  it('leaves every image whole, whoever pushes meanwhile', async () => {
    const first = await open({ blobs: new MemoryBlobStore(), entries: new DistantIndex() });
    const second = await open(first);
    const random = pseudoRandom(7);
    const some = (count: number): number => Math.floor(random() * count);
    const config = '{}';
    const images = Array.from({ length: 6 }, (_, n) => manifestOf(config, `layer ${n % 4}`));
    const index = indexOf(...images.slice(0, 2).map((body) => describeBytes(MANIFEST, body)));
    let retired = 0;
    /**
     * Pushes as clients do: layers that are there are not sent. One may go in the very moment in which its client is told that it is
     * there; then the push is refused, and made again.
     */
    const push = async (at: Opened, n: number, tag: string): Promise<void> => {
      for (const bytes of [config, `layer ${n % 4}`]) {
        const { status } = await at.ask({ method: 'HEAD', path: `/app/blobs/${digestOf(bytes)}` });
        if (status === 404) await at.blob('app', bytes);
      }
      const status = await at.manifest('app', tag, images[n] as string);
      expect([201, 400]).toContain(status);
      if (status !== 400) return;
      // By then another server has noticed it.
      at.clock.advance(1_000);
      await push(at, n, tag);
    };
    for (let round = 0; round < 60; round += 1) {
      for (const { clock } of [first, second]) clock.advance(DAY + HOUR + 1);
      const due = [...(await first.stored()).values()].filter(() => random() < 0.5).map((version) => ({ version }));
      const work = Array.from({ length: 3 }, () => push(some(2) === 0 ? first : second, some(6), `t${some(4)}`));
      if (some(3) === 0)
        work.push(
          Promise.all([push(first, 0, 'a'), push(first, 1, 'b')]).then(
            async () => void (await second.manifest('app', 'all', index, INDEX)),
          ),
        );
      const retire = async ({ cleanup }: Opened): Promise<void> => {
        for (let turns = some(25); turns > 0; turns -= 1) await new Promise(setImmediate);
        const result = await cleanup.retire(due);
        retired += result.retired.length;
      };
      await Promise.all([retire(first), retire(second), ...work]);
      const blobs = new Set(await first.keys('blob'));
      const manifests = new Set(await first.keys('manifest'));
      for (const [n, body] of images.entries()) {
        if (!manifests.has(`app@${digestOf(body)}`)) continue;
        for (const bytes of [config, `layer ${n % 4}`])
          expect(blobs.has(`app@${digestOf(bytes)}`), `round ${round}: a layer of image ${n}`).toBe(true);
      }
      for (const entry of await first.entries.list('test', { prefix: 'tag/', limit: 100 }))
        expect(manifests.has(`app@${entry.digest}`), `round ${round}: the manifest of ${entry.key}`).toBe(true);
    }
    expect(retired).toBeGreaterThan(50);
  });
});
