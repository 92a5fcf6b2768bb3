import { mkdtemp, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type BlobOpenOptions, type BlobStore, type Digest, silentLogger } from '@entrepot/core';
import { digestOf, MemoryBlobStore, sampleBytes } from '@entrepot/core/testing';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { FilesystemBlobStore } from '../../src/drivers/blob/filesystem.js';
import { S3BlobStore } from '../../src/drivers/blob/s3/s3-blob-store.js';
import { SqlMetaStore } from '../../src/drivers/sql/meta-store.js';
import { joinStores } from '../../src/space/belonging.js';
import { type CopyTarget, copyStorage, type StorageCopied } from '../../src/space/copy-storage.js';
import { s3Missing, s3Program, S3Server } from '../drivers/blob/s3-server.js';
import { openSpace, type Opened } from './support.js';

/** More than two pages: how far a copy is, is noted after each. */
const BLOBS = 110;
const PAGE = 50;

async function folder(): Promise<BlobStore> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-copy-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return await FilesystemBlobStore.open({ path, durability: 'relaxed' });
}

interface Run {
  readonly prepare?: boolean;
  /** The number of blobs after which it is stopped. */
  readonly stopAt?: number;
}

async function copy(opened: Opened, to: CopyTarget, { prepare = false, stopAt = Infinity }: Run = {}) {
  const stopping = new AbortController();
  const progress = ({ copied }: StorageCopied): void => {
    if (copied >= stopAt) stopping.abort();
  };
  const { blobs, database, clock } = opened;
  const from = { blobs, database, clock };
  return await copyStorage(from, to, { prepare, signal: stopping.signal, progress, pageSize: PAGE });
}

/** A store that is in use, with blobs. */
async function filled(amount = BLOBS): Promise<Opened> {
  const opened = await openSpace();
  await joinStores(new SqlMetaStore(opened.database), opened.blobs);
  for (let from = 0; from < amount; from += 100) {
    const some = Array.from({ length: Math.min(100, amount - from) }, (_, number) => from + number);
    await Promise.all(some.map((number) => opened.put('hosted', `${number}`, `upload ${number}`)));
  }
  return opened;
}

async function expectSame(opened: Opened, target: BlobStore): Promise<void> {
  const digests: Digest[] = [];
  for await (const { digest } of target.list()) digests.push(digest);
  expect(digests.sort()).toEqual(await opened.files());
}

const SERVERS = [
  { name: 'a folder', program: 'none' as const },
  { name: 'versitygw', program: 'versitygw' as const },
  { name: 'gofakes3', program: 'gofakes3' as const },
];

for (const { name, program: server } of SERVERS) {
  const program = server === 'none' ? 'none' : s3Program(server);
  if (server !== 'none' && program === undefined) console.log(s3Missing(server));

  describe.skipIf(program === undefined)(`a copy to ${name}`, () => {
    let starting: Promise<S3Server> | undefined;
    afterAll(async () => await (await starting)?.stop());

    async function emptyStore(): Promise<BlobStore> {
      if (server === 'none') return await folder();
      starting ??= S3Server.start(server, program as string);
      const store = await S3BlobStore.open({ settings: (await starting).settings(), logger: silentLogger });
      onTestFinished(() => store.dispose());
      return store;
    }

    it('has every blob, and belongs to the database in the place of the source', async () => {
      const opened = await filled();
      const target = await emptyStore();
      const done = await copy(opened, { blobs: target, name: 'there' });
      expect(done).toMatchObject({ copied: BLOBS, missing: [] });
      await expectSame(opened, target);
      const meta = new SqlMetaStore(opened.database);
      await joinStores(meta, target);
      await expect(joinStores(meta, opened.blobs)).rejects.toThrow('the store of blobs was moved to there');
    });

    it('goes on where it was stopped', async () => {
      const opened = await filled();
      const target = await emptyStore();
      const to = { blobs: target, name: 'there' };
      await expect(copy(opened, to, { stopAt: 70 })).rejects.toThrow();
      const meta = new SqlMetaStore(opened.database);
      await joinStores(meta, opened.blobs);
      await expect(joinStores(meta, target)).rejects.toThrow('the store of blobs is a copy that is not finished');
      const { blobs, copied } = await copy(opened, to);
      expect(copied).toBeLessThanOrEqual(BLOBS - 70);
      // The first page was not looked at again, but as what may have been on its way.
      expect(blobs).toBeLessThanOrEqual(BLOBS - PAGE + BLOBS);
      await expectSame(opened, target);
    });

    it('is brought up to date with what came meanwhile', async () => {
      const opened = await filled(20);
      const target = await emptyStore();
      const to = { blobs: target, name: 'there' };
      expect(await copy(opened, to, { prepare: true })).toMatchObject({ copied: 20 });
      await expect(joinStores(new SqlMetaStore(opened.database), target)).rejects.toThrow('not finished');
      opened.clock.advance(100 * 24 * 3_600_000);
      for (let number = 0; number < 20; number += 1) await opened.put('hosted', `late ${number}`, `late ${number}`);
      expect(await copy(opened, to, { prepare: true })).toMatchObject({ copied: 20 });
      await opened.put('hosted', 'last', 'last');
      expect(await copy(opened, to)).toMatchObject({ copied: 1 });
      await expectSame(opened, target);
      await expect(copy(opened, to)).rejects.toThrow('the source was moved to there');
    });
  });
}

describe('a copy of a store', () => {
  it('is made of no other store, and into none that has something else', async () => {
    const opened = await filled(3);
    const used = await filled(1);
    const other = { blobs: used.blobs, name: 'other' };
    await expect(copy(opened, other)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('other is in use with another store'),
    });
    await expect(copy(opened, { ...opened, name: 'itself' })).rejects.toThrow('is the source itself');
    const strange = await folder();
    await strange.put(digestOf('x'), 1, { open: () => Readable.from([Buffer.from('x')]) });
    await expect(copy(opened, { blobs: strange, name: 'strange' })).rejects.toThrow('has blobs that are of no copy');
    const half = { blobs: await folder(), name: 'half' };
    await copy(used, half, { prepare: true });
    await expect(copy(opened, half)).rejects.toThrow('half is a copy that is not finished');
  });

  it('is finished when only the target did not hear of it', async () => {
    const opened = await filled(3);
    const target = await folder();
    const cut = Object.assign(Object.create(target), {
      setStoreId: async (id: string) => {
        if (!id.startsWith('{')) throw new Error('killed');
        await target.setStoreId?.(id);
      },
    }) as BlobStore;
    for (const method of ['stat', 'open', 'put', 'list', 'storeId', 'delete'] as const)
      Object.assign(cut, { [method]: (target[method] as () => unknown).bind(target) });
    await expect(copy(opened, { blobs: cut, name: 'there' })).rejects.toThrow('killed');
    await expect(joinStores(new SqlMetaStore(opened.database), opened.blobs)).rejects.toThrow('was moved');
    await copy(opened, { blobs: target, name: 'there' });
    await joinStores(new SqlMetaStore(opened.database), target);
  });

  it('is not finished while blobs of entries are missing, unless that is noted', async () => {
    const opened = await filled(3);
    const { digest } = await opened.put('hosted', 'lost', 'lost');
    await unlink((await opened.blobs.pathOf(digest)) as string);
    const to = { blobs: await folder(), name: 'there' };
    expect(await copy(opened, to, { prepare: true })).toMatchObject({ copied: 3, missing: [digest] });
    await expect(copy(opened, to)).rejects.toMatchObject({
      code: 'BLOB_MISSING',
      message: expect.stringContaining(`1 blobs of entries are missing or damaged in the source: ${digest}`),
    });
    await opened.space.room.damaged(digest);
    await copy(opened, to);
    await joinStores(new SqlMetaStore(opened.database), to.blobs);
  });

  it('leaves out what no entry needs and the source does not have', async () => {
    const opened = await filled(1);
    const { digest } = await opened.put('hosted', 'gone', 'gone');
    await opened.storage.entries.remove('hosted', 'gone');
    await unlink((await opened.blobs.pathOf(digest)) as string);
    expect(await copy(opened, { blobs: await folder(), name: 'there' })).toMatchObject({ copied: 1, missing: [] });
  });

  it('is read again where a store takes large blobs unseen', async () => {
    const opened = await filled(1);
    await opened.put('hosted', 'large', sampleBytes(64 * 1024 * 1024 + 1));
    class Careless extends MemoryBlobStore {
      #id: string | undefined;
      storeId = async (): Promise<string | undefined> => this.#id;
      setStoreId = async (id: string): Promise<void> => void (this.#id = id);

      override async open(digest: Digest, options?: BlobOpenOptions): Promise<Readable | undefined> {
        const stream = await super.open(digest, options);
        return stream && Readable.from(changed(stream));
      }
    }
    async function* changed(stream: Readable): AsyncGenerator<Buffer> {
      let isFirst = true;
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        yield isFirst ? Buffer.from(chunk.map((byte) => byte ^ 1)) : chunk;
        isFirst = false;
      }
    }
    await expect(copy(opened, { blobs: new Careless(), name: 'there' })).rejects.toThrow(
      'does not read from the target as it was written',
    );
  });
});
