import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { EntrepotError } from '@entrepot/core';
import { type BlobStoreFixture, blobStoreSuite, digestOf, readStream, sampleBytes } from '@entrepot/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Durability, FilesystemBlobStore } from '../../../src/drivers/blob/filesystem.js';
import { storageError } from '../../../src/drivers/blob/storage-error.js';

async function fixture(durability: Durability): Promise<BlobStoreFixture> {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-blobs-'));
  const path = join(root, 'blobs');
  return {
    store: await FilesystemBlobStore.open({ path, durability }),
    reopen: () => FilesystemBlobStore.open({ path, durability }),
    breakDown: () => rename(path, `${path}-gone`),
    close: () => rm(root, { recursive: true, force: true }),
  };
}

for (const durability of ['strict', 'relaxed'] as const) {
  describe(durability, () => {
    blobStoreSuite({ describe, it }, () => fixture(durability), { pathOf: true, replicas: true, outage: true });
  });
}

describe('in a folder', () => {
  let root: string;
  let path: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'entrepot-blobs-'));
    path = join(root, 'deep', 'blobs');
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const open = (durability: Durability = 'relaxed') => FilesystemBlobStore.open({ path, durability });
  const fileOf = (digest: string) => join(path, 'v1', 'sha256', digest.slice(7, 9), digest.slice(7));
  const source = (bytes: Buffer) => ({ open: () => Readable.from([bytes]) });

  it('lays its files out as documented', async () => {
    const store = await open('strict');
    const bytes = sampleBytes(1000);
    await store.put(digestOf(bytes), 1000, source(bytes));
    expect(JSON.parse(await readFile(join(path, 'layout.json'), 'utf8'))).toEqual({ version: 1 });
    expect(await readFile(fileOf(digestOf(bytes)))).toEqual(bytes);
    expect((await readdir(path)).sort()).toEqual(['layout.json', 'tmp', 'v1']);
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
  });

  it('replaces a damaged blob, and sets one aside', async () => {
    const store = await open();
    const bytes = sampleBytes(1000);
    const digest = digestOf(bytes);
    await store.put(digest, 1000, source(bytes));
    const file = join(root, 'right');
    await writeFile(file, bytes);
    for (const again of [source(bytes), { ...source(bytes), path: file }]) {
      await writeFile(fileOf(digest), sampleBytes(1001).subarray(1));
      await store.put(digest, 1000, again);
      expect(await readFile(fileOf(digest))).toEqual(bytes);
    }
    // Somebody has put it since it was found damaged.
    expect(await store.setAside(digest)).toBe(false);
    expect(await readFile(fileOf(digest))).toEqual(bytes);
    const damaged = sampleBytes(1001).subarray(1);
    await writeFile(fileOf(digest), damaged);
    expect(await store.setAside(digest)).toBe(true);
    expect(await store.stat(digest)).toBeUndefined();
    expect(await readFile(join(path, 'damaged', digest.slice(7)))).toEqual(Buffer.from(damaged));
    expect(await store.setAside(digest)).toBe(true);
  });

  it.each([
    ['another version', '{"version":2}', 'expected layout version 1, found 2'],
    ['no version', '{}', 'expected layout version 1, found none that can be read'],
    ['no JSON', 'version 1', 'expected layout version 1, found none that can be read'],
  ])('refuses a layout file with %s', async (_, text, message) => {
    await open();
    await writeFile(join(path, 'layout.json'), text);
    await expect(open()).rejects.toMatchObject({ kind: 'configuration', message: expect.stringContaining(message) });
  });

  it('refuses a path that is no folder', async () => {
    await mkdir(join(root, 'deep'));
    await writeFile(path, 'a file');
    await expect(open()).rejects.toMatchObject({
      kind: 'configuration',
      message: `cannot open the blob store in ${path}: EEXIST`,
    });
  });

  it('removes what a crash left, and nothing else', async () => {
    await open();
    const left = join(path, 'tmp', '01234567-89ab-4def-8123-456789abcdef.part');
    await writeFile(left, 'half a blob');
    await writeFile(join(path, 'tmp', 'notes.txt'), 'not ours');
    await open();
    expect(await readdir(join(path, 'tmp'))).toEqual(['notes.txt']);
  });

  it('passes over what is not of the layout', async () => {
    const store = await open();
    const bytes = sampleBytes(10);
    const digest = digestOf(bytes);
    await store.put(digest, 10, source(bytes));
    const folder = join(path, 'v1', 'sha256', 'ab');
    await mkdir(folder, { recursive: true });
    await mkdir(join(path, 'v1', 'sha256', 'notes'));
    await writeFile(join(folder, 'README'), '');
    await writeFile(join(folder, 'cd'.repeat(32)), 'in the wrong folder');
    await mkdir(join(folder, 'ab'.repeat(32)));
    await symlink('/etc/hostname', join(folder, `${'ab'.repeat(31)}00`));
    const listed: string[] = [];
    for await (const info of store.list()) listed.push(info.digest);
    expect(listed).toEqual([digest]);
    expect(await store.stat(`sha256:${'ab'.repeat(32)}`)).toBeUndefined();
  });

  it('never makes a path of what is no digest', async () => {
    const store = await open();
    await expect(store.stat('sha256:../../../../etc/passwd')).rejects.toMatchObject({ kind: 'storage' });
    await expect(store.delete(`sha256:${'AB'.repeat(32)}`)).rejects.toMatchObject({ kind: 'storage' });
  });

  it.each(['strict', 'relaxed'] as const)('links a file on the same file system (%s)', async (durability) => {
    const store = await open(durability);
    const bytes = sampleBytes(1000);
    const file = join(root, 'spooled');
    await writeFile(file, bytes);
    await store.put(digestOf(bytes), 1000, { path: file, open: () => expect.unreachable('the file is there') });
    expect((await stat(fileOf(digestOf(bytes)))).ino).toBe((await stat(file)).ino);
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
  });

  it.runIf(onAnotherFileSystem())('copies and verifies a file on another file system', async () => {
    const store = await open('strict');
    const bytes = sampleBytes(100_000);
    const elsewhere = await mkdtemp('/dev/shm/entrepot-blobs-');
    try {
      const file = join(elsewhere, 'spooled');
      await writeFile(file, bytes);
      await store.put(digestOf(bytes), bytes.length, { path: file, open: () => createReadStream(file) });
      expect(await readFile(fileOf(digestOf(bytes)))).toEqual(bytes);
      await writeFile(file, sampleBytes(100_000, 2));
      const wrong = store.put(digestOf('x'), bytes.length, { path: file, open: () => createReadStream(file) });
      await expect(wrong).rejects.toMatchObject({ kind: 'integrity' });
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
  });

  it('copies what is no plain file', async () => {
    const store = await open();
    const bytes = sampleBytes(1000);
    await writeFile(join(root, 'spooled'), bytes);
    const file = join(root, 'name');
    await symlink(join(root, 'spooled'), file);
    await store.put(digestOf(bytes), 1000, { path: file, ...source(bytes) });
    expect(await readFile(fileOf(digestOf(bytes)))).toEqual(bytes);
  });

  it.each(['with a file', 'with a stream'])('replaces what a power cut tore, %s', async (how) => {
    const store = await open();
    const bytes = sampleBytes(1000);
    const digest = digestOf(bytes);
    await store.put(digest, 1000, source(bytes));
    await truncate(fileOf(digest), 0);
    const file = join(root, 'spooled');
    await writeFile(file, bytes);
    await store.put(digest, 1000, how === 'with a file' ? { path: file, ...source(bytes) } : source(bytes));
    expect(await readFile(fileOf(digest))).toEqual(bytes);
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
  });

  it('begins anew when another process starts in the middle of a put', async () => {
    const store = await open();
    const bytes = sampleBytes(100_000);
    let opened = 0;
    const put = store.put(digestOf(bytes), bytes.length, {
      open() {
        opened += 1;
        const first = opened === 1;
        return Readable.from(
          (async function* () {
            yield bytes.subarray(0, 50_000);
            if (first) await open();
            yield bytes.subarray(50_000);
          })(),
        );
      },
    });
    await put;
    expect(opened).toBe(2);
    expect(await readFile(fileOf(digestOf(bytes)))).toEqual(bytes);
  });

  it.each(['with a file', 'with a stream'])('makes a folder again that somebody removed, %s', async (how) => {
    const store = await open('strict');
    const bytes = sampleBytes(1000);
    const digest = digestOf(bytes);
    const file = join(root, 'spooled');
    await writeFile(file, bytes);
    const put = () => store.put(digest, 1000, how === 'with a file' ? { path: file, ...source(bytes) } : source(bytes));
    await put();
    await rm(join(fileOf(digest), '..'), { recursive: true });
    expect(await store.stat(digest)).toBeUndefined();
    await put();
    expect(await readFile(fileOf(digest))).toEqual(bytes);
  });

  it('reads in pieces of the given size', async () => {
    const store = await FilesystemBlobStore.open({ path, durability: 'relaxed', readSize: 1000 });
    const bytes = sampleBytes(2500);
    await store.put(digestOf(bytes), 2500, source(bytes));
    const sizes: number[] = [];
    for await (const piece of (await store.open(digestOf(bytes))) as Readable) sizes.push((piece as Buffer).length);
    expect(sizes).toEqual([1000, 1000, 500]);
  });

  it('fails a read of a range that the file does not have', async () => {
    const store = await open();
    const bytes = sampleBytes(100);
    await store.put(digestOf(bytes), 100, source(bytes));
    const stream = (await store.open(digestOf(bytes), { range: { start: 50, end: 149 } })) as Readable;
    await expect(readStream(stream)).rejects.toMatchObject({
      kind: 'storage',
      message: `cannot read ${fileOf(digestOf(bytes))}: it ends 50 bytes early`,
    });
  });

  it('tells of an abort also whoever reads only later', async () => {
    const store = await open();
    const bytes = sampleBytes(100);
    await store.put(digestOf(bytes), 100, source(bytes));
    const abort = new AbortController();
    const stream = (await store.open(digestOf(bytes), { signal: abort.signal })) as Readable;
    abort.abort();
    // Not `once` of node:events, which listens for errors.
    await new Promise((resolve) => stream.once('close', resolve));
    await expect(readStream(stream)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('names the folder when the probe cannot be written', async () => {
    const store = await open();
    await rm(join(path, 'tmp'), { recursive: true });
    await expect(store.check()).rejects.toMatchObject({
      kind: 'storage',
      message: expect.stringMatching(new RegExp(`^cannot write ${path}/tmp/.*: ENOENT$`)),
    });
  });
});

it.each(['ENOSPC', 'EDQUOT'])('calls %s a full storage', (code) => {
  const error = storageError(Object.assign(new Error('no space'), { code }), 'write', '/data/blobs/x');
  expect(error).toBeInstanceOf(EntrepotError);
  expect(error).toMatchObject({
    kind: 'storage',
    code: 'STORAGE_FULL',
    status: 507,
    message: `cannot write /data/blobs/x: ${code}`,
  });
});

/** Whether this machine has a second file system that anyone can write to. */
function onAnotherFileSystem(): boolean {
  return existsSync('/dev/shm') && statSync('/dev/shm').dev !== statSync(tmpdir()).dev;
}
