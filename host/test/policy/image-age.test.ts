import { createHash } from 'node:crypto';
import { createPolicy } from '@entrepot/core/engine';
import { openTestRepository, type TestRepository } from '@entrepot/core/testing';
import oci from '@entrepot/plugin-oci';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqlFirstSeenStore } from '../../src/drivers/sql/first-seen-store.js';
import { FirstSeen } from '../../src/policy/first-seen.js';
import { openDatabase } from '../scanning/support.js';

const DAY = 86_400_000;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

const digestOf = (bytes: string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** An image for one platform below an index. */
interface Image {
  readonly index: string;
  readonly manifest: string;
  readonly config: string;
  readonly layer: string;
}

function imageOf(label: string): Image {
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Labels: { label } } });
  // More than is held back until it is verified: it is passed on while it comes.
  const layer = label.repeat(200_000);
  const part = (mediaType: string, bytes: string): object => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: part('application/vnd.oci.image.config.v1+json', config),
    layers: [part(LAYER, layer)],
  });
  const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [part(MANIFEST, manifest)] });
  return { index, manifest, config, layer };
}

function push({ upstream }: TestRepository, tag: string, { index, manifest, config, layer }: Image): void {
  const at = '/upstream/base/v2/team/app';
  for (const [reference, body] of [
    [tag, index],
    [digestOf(index), index],
    [digestOf(manifest), manifest],
  ] as const)
    upstream.serve(`${at}/manifests/${reference}`, {
      body,
      mediaType: body === index ? INDEX : MANIFEST,
      headers: { 'docker-content-digest': digestOf(body) },
    });
  for (const body of [config, layer]) upstream.serve(`${at}/blobs/${digestOf(body)}`, { body });
}

/** A proxy of images under the preset `strict`, with what a server knows of first sights. */
async function open(): Promise<TestRepository & { restart(): Promise<TestRepository> }> {
  const { database } = await openDatabase();
  const store = new SqlFirstSeenStore(database);
  const first = await start(undefined);
  return Object.assign(first.repository, {
    async restart() {
      await first.firstSeen.flush();
      const next = await start(first.repository);
      await next.firstSeen.load();
      return next.repository;
    },
  });

  async function start(stores: TestRepository | undefined) {
    let now = (): number => 0;
    const clock = { now: () => now(), monotonic: () => now() };
    const firstSeen = new FirstSeen(store, clock);
    const repository = await openTestRepository({
      plugin: oci,
      policy: createPolicy({ document: { version: 1, preset: 'strict' } }),
      firstSeen: (_repository, coordinates, since) => firstSeen.meet(coordinates, since),
      stores,
    });
    now = () => repository.clock.now();
    onTestFinished(() => repository.close());
    return { repository, firstSeen };
  }
}

/** Paths that a client pulls, in its order. */
const pull = (tag: string, { index, manifest, config, layer }: Image): readonly string[] => [
  `/team/app/manifests/${tag}`,
  `/team/app/manifests/${digestOf(index)}`,
  `/team/app/manifests/${digestOf(manifest)}`,
  `/team/app/blobs/${digestOf(config)}`,
  `/team/app/blobs/${digestOf(layer)}`,
];

async function statuses(repository: TestRepository, paths: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for (const path of paths) found.push((await repository.ask(path)).status);
  return found;
}

describe('the age of an image', () => {
  const image = imageOf('good');

  it('is one: all of it is held as long as the image is new, and let go at once', async () => {
    const repository = await open();
    push(repository, '1.0', image);
    const [tag = ''] = pull('1.0', image);
    expect((await repository.ask({ path: tag, method: 'HEAD' })).status).toBe(403);
    repository.clock.advance(7 * DAY - 1);
    expect((await repository.ask(tag)).status).toBe(403);
    repository.clock.advance(1);
    expect(await statuses(repository, pull('1.0', image))).toEqual([200, 200, 200, 200, 200]);
    // Again, from what is kept.
    expect(await statuses(repository, pull('1.0', image))).toEqual([200, 200, 200, 200, 200]);
    expect(repository.upstream.count(`/upstream/base/v2/team/app/blobs/${digestOf(image.layer)}`)).toBe(1);
  });

  it('is that of all its tags, and of its digest', async () => {
    const repository = await open();
    push(repository, '1.0', image);
    push(repository, 'latest', image);
    expect((await repository.ask('/team/app/manifests/1.0')).status).toBe(403);
    repository.clock.advance(7 * DAY);
    expect(await statuses(repository, pull('latest', image))).toEqual([200, 200, 200, 200, 200]);
  });

  it('is not that of a tag which is moved to another one', async () => {
    const repository = await open();
    push(repository, '1.0', image);
    await repository.ask('/team/app/manifests/1.0');
    repository.clock.advance(8 * DAY);
    expect((await repository.ask('/team/app/manifests/1.0')).status).toBe(200);
    const other = imageOf('evil');
    push(repository, '1.0', other);
    repository.clock.advance(DAY);
    expect(await statuses(repository, pull('1.0', other))).toEqual([403, 403, 403, 403, 403]);
    repository.clock.advance(8 * DAY);
    expect(await statuses(repository, pull('1.0', other))).toEqual([200, 200, 200, 200, 200]);
  });

  it('does not begin before there is one', async () => {
    const repository = await open();
    expect((await repository.ask('/team/app/manifests/2.0')).status).toBe(404);
    repository.clock.advance(30 * DAY);
    push(repository, '2.0', image);
    expect((await repository.ask('/team/app/manifests/2.0')).status).toBe(403);
  });

  it('holds what is asked for without its image, also while it comes', async () => {
    const repository = await open();
    push(repository, '1.0', image);
    const [, , manifest = '', config = '', layer = ''] = pull('1.0', image);
    expect(await statuses(repository, [manifest, config, layer])).toEqual([403, 403, 403]);
    expect(repository.upstream.count(`/upstream/base/v2/team/app/blobs/${digestOf(image.layer)}`)).toBe(0);
  });

  it('is known after a restart', async () => {
    const repository = await open();
    push(repository, '1.0', image);
    const [tag = '', ...rest] = pull('1.0', image);
    await repository.ask(tag);
    repository.clock.advance(7 * DAY);
    expect((await repository.ask(tag)).status).toBe(200);
    const restarted = await repository.restart();
    restarted.clock.advance(7 * DAY);
    push(restarted, '1.0', image);
    expect(await statuses(restarted, [tag, ...rest])).toEqual([200, 200, 200, 200, 200]);
  });
});
