import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { BlobInfo, BlobStore, Digest } from '../../src/index.js';
import type { BlobCondition } from '../../src/engine/index.js';
import { MemoryBlobStore, MemoryEntryIndex, sampleBytes } from '../../src/testing/index.js';
import { openHarness, patterned, type Harness, type HarnessOptions } from './harness.js';

const SMALL = patterned(300_000);
const LARGE = patterned(900_000);

/** Blobs on a disk that changes a bit of each, or loses the end, when the test says so. */
class FailingDisk {
  readonly blobs = new MemoryBlobStore();
  readonly entries = new MemoryEntryIndex();
  readonly damaged = new Map<Digest, 'flipped' | 'truncated'>();
  readonly store: BlobStore = new Proxy<BlobStore>(this.blobs, {
    get: (blobs, name: keyof BlobStore) => {
      if (name === 'open') return this.#open;
      if (name === 'stat') return this.#stat;
      if (name === 'put') return this.#put;
      const method = blobs[name];
      return typeof method === 'function' ? method.bind(blobs) : method;
    },
  });

  async damage(how: 'flipped' | 'truncated'): Promise<void> {
    for await (const { digest } of this.blobs.list()) this.damaged.set(digest, how);
  }

  readonly #open: BlobStore['open'] = async (digest, options = {}) => {
    const how = this.damaged.get(digest);
    const stream = how === undefined ? undefined : await this.blobs.open(digest);
    if (stream === undefined) return await this.blobs.open(digest, options);
    const parts: Buffer[] = [];
    for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
    let bytes = Buffer.concat(parts);
    if (how === 'truncated') bytes = bytes.subarray(0, bytes.length / 2);
    else bytes[100] = (bytes[100] as number) ^ 1;
    const other = new MemoryBlobStore();
    const found: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    await other.put(found, bytes.length, { open: () => Readable.from([bytes]) });
    return await other.open(found, options);
  };

  readonly #stat: BlobStore['stat'] = async (digest) => {
    const found = await this.blobs.stat(digest);
    return found && this.damaged.get(digest) === 'truncated' ? { digest, size: found.size / 2 } : found;
  };

  readonly #put: BlobStore['put'] = async (digest, ...given) => {
    await this.blobs.put(digest, ...given);
    this.damaged.delete(digest);
  };

  /** A server on this disk. */
  open(options: HarnessOptions = {}): Promise<Harness> {
    const { store, entries } = this;
    return openHarness({ ...options, shared: { blobs: store as MemoryBlobStore, entries } });
  }
}

function serve({ upstream }: Harness): void {
  upstream.serve('/files/small', { body: SMALL });
  upstream.serve('/files/large', { body: LARGE });
}

async function expectRight({ get }: Harness): Promise<void> {
  expect((await (await get('/files/small')).bytes()).equals(SMALL)).toBe(true);
  expect((await (await get('/files/large')).bytes()).equals(LARGE)).toBe(true);
}

describe('blobs that the disk has damaged', () => {
  it('are noticed when the server starts anew, and fetched again: truncated', async () => {
    const disk = new FailingDisk();
    const before = await disk.open();
    serve(before);
    await expectRight(before);
    await disk.damage('truncated');
    // The one that is running, and one that starts on it.
    await expectRight(before);
    await disk.damage('truncated');
    const after = await disk.open();
    serve(after);
    await expectRight(after);
    expect(after.upstream.requests.length).toBe(2);
    await expectRight(after);
    expect(after.upstream.requests.length).toBe(2);
  });

  it('are noticed when they come into memory, or on the first read where that is wanted: flipped', async () => {
    const disk = new FailingDisk();
    const before = await disk.open();
    serve(before);
    await expectRight(before);
    await disk.damage('flipped');
    const after = await disk.open({ verifyFirstRead: true });
    serve(after);
    await expectRight(after);
    await expectRight(after);
    expect(after.upstream.requests.length).toBe(2);
  });

  it('are found while they are sent for the first time, whose reader does not get the end of them', async () => {
    const disk = new FailingDisk();
    const before = await disk.open();
    serve(before);
    await expectRight(before);
    await disk.damage('flipped');
    const after = await disk.open();
    serve(after);
    await expect((await after.get('/files/large')).bytes()).rejects.toThrow('damaged');
    await expectRight(after);
    expect(after.upstream.requests.length).toBe(2);
  });

  it('are not looked for in what was found right once', async () => {
    const disk = new FailingDisk();
    const before = await disk.open();
    serve(before);
    await expectRight(before);
    const after = await disk.open();
    await expectRight(after);
    const large: Digest = `sha256:${createHash('sha256').update(LARGE).digest('hex')}`;
    // As the store gave it: nothing stands between it and the connection.
    const opened = await after.storage.blobs.open(large, LARGE.length);
    expect(opened?.constructor).toBe((await disk.blobs.open(large))?.constructor);
  });

  it('are out of the store once they are verified, and fetched again', async () => {
    const disk = new FailingDisk();
    const server = await disk.open();
    serve(server);
    await expectRight(server);
    const verified = async (): Promise<readonly BlobCondition[]> => {
      const found: BlobInfo[] = [];
      for await (const blob of disk.blobs.list()) found.push(blob);
      return await Promise.all(found.map((blob) => server.storage.blobs.verify(blob)));
    };
    expect(await verified()).toEqual(['intact', 'intact']);
    await disk.damage('flipped');
    expect(await verified()).toEqual(['damaged', 'damaged']);
    expect(await verified()).toEqual([]);
    await expectRight(server);
    expect(await verified()).toEqual(['intact', 'intact']);
  });

  it('are repaired by an upload of the right bytes', async () => {
    const disk = new FailingDisk();
    const before = await disk.open({ kind: 'hosted' });
    const bytes = Buffer.from(sampleBytes(300_000));
    expect((await before.ask('PUT', '/files/a', {}, bytes)).status).toBe(201);
    await disk.damage('flipped');
    const after = await disk.open({ kind: 'hosted' });
    expect((await after.get('/files/a')).status).toBe(500);
    expect((await after.ask('PUT', '/files/a?overwrite', {}, bytes)).status).toBeLessThan(300);
    expect((await (await after.get('/files/a')).bytes()).equals(bytes)).toBe(true);
  });

  it('are repaired by the same upload where nothing is overwritten, and by no other', async () => {
    const server = await openHarness({ kind: 'hosted' });
    const [small, large, other] = [300_000, 900_000, 900_001].map((size) => Buffer.from(sampleBytes(size)));
    const put = async (path: string, bytes = Buffer.alloc(0)) => (await server.ask('PUT', path, {}, bytes)).status;
    for (const [path, bytes] of [
      ['/files/small', small],
      ['/files/large', large],
      ['/files/empty', Buffer.alloc(0)],
    ] as const) {
      expect(await put(path, bytes)).toBe(201);
      const entry = await server.entries.find('test', path.slice(1));
      expect(await put(path, bytes)).toBe(409);
      await server.blobs.delete(entry?.digest as Digest);
      server.storage.blobs.forget(entry?.digest as Digest);
      expect((await server.get(path)).status).toBe(500);
      expect(await put(path, other)).toBe(409);
      expect((await server.get(path)).status).toBe(500);
      expect(await put(path, bytes)).toBe(200);
      expect((await (await server.get(path)).bytes()).equals(bytes ?? Buffer.alloc(0))).toBe(true);
      expect(await server.entries.find('test', path.slice(1))).toEqual(entry);
      expect(await put(path, bytes)).toBe(409);
    }
  });
});
