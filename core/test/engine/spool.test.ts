import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Spool } from '../../src/engine/store/spool.js';
import { SpoolSpace } from '../../src/engine/store/spool-space.js';
import { patterned, readAll } from './harness.js';

const CHUNK = 16 * 1024;

async function openSpace(maxBytes = 1e9): Promise<SpoolSpace> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-spool-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return new SpoolSpace(directory, maxBytes);
}

async function fill(spool: Spool, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += CHUNK) await spool.append(bytes.subarray(at, at + CHUNK));
}

describe('a spool', () => {
  it.each([0, 1, CHUNK, 512 * 1024, 512 * 1024 + 1, 3_000_001])(
    'has all of %d bytes when it is finished',
    async (size) => {
      const space = await openSpace();
      const spool = new Spool(space);
      const bytes = patterned(size);
      await fill(spool, bytes);
      await spool.finish();
      expect(spool.isWhole).toBe(true);
      expect(Buffer.from(await spool.content('').bytes(1e9)).equals(bytes)).toBe(true);
      const isSmall = size <= 512 * 1024;
      if (isSmall) expect(spool.bytes?.equals(bytes)).toBe(true);
      // Joined once, however often they are asked for.
      if (isSmall) expect(spool.bytes).toBe(spool.bytes);
      else expect((await readFile(spool.path)).equals(bytes)).toBe(true);
      expect(space.used).toBe(isSmall ? 0 : size);
      await spool.release();
      expect([space.used, await readdir(space.directory)]).toEqual([0, []]);
    },
  );

  it('lets followers read what is not yet in the file', async () => {
    const spool = new Spool(await openSpace());
    const follower = spool.follow();
    const bytes = patterned(600 * 1024);
    let read = Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += CHUNK) {
      await spool.append(bytes.subarray(at, at + CHUNK));
      // All but the held tail, however little the file has.
      while (read.length < Math.min(at + CHUNK, bytes.length) - 64 * 1024) {
        const next = follower.read() as Buffer | null;
        if (next === null) await new Promise((resolve) => follower.once('readable', resolve));
        else read = Buffer.concat([read, next]);
      }
    }
    spool.seal();
    expect(Buffer.concat([read, await readAll(follower)]).equals(bytes)).toBe(true);
    await spool.release();
  });

  it('lets the first bytes go at once where it is said to be longer than the held tail', async () => {
    const bytes = patterned(100 * 1024);
    const spool = new Spool(await openSpace(), bytes.length);
    const follower = spool.follow();
    const flowing = spool.flowing(0);
    await spool.append(bytes.subarray(0, 10));
    await flowing;
    expect((await once(follower, 'data'))[0]).toEqual(bytes.subarray(0, 10));
    let read = 10;
    follower.on('data', (chunk: Buffer) => (read += chunk.length));
    await fill(spool, bytes.subarray(10));
    await new Promise(setImmediate);
    expect(read).toBe(36 * 1024);
    spool.seal();
    await once(follower, 'end');
    expect(read).toBe(bytes.length);
    await spool.release();
  });

  it.each([undefined, 64 * 1024])('holds the first bytes back where its size is said to be %s', async (size) => {
    const spool = new Spool(await openSpace(), size);
    const follower = spool.follow();
    await spool.append(patterned(64 * 1024));
    follower.read();
    await new Promise(setImmediate);
    expect(follower.readableLength).toBe(0);
    spool.seal();
    expect((await readAll(follower)).length).toBe(64 * 1024);
    await spool.release();
  });

  it('gives a late follower the beginning from the file and the rest from memory', async () => {
    const spool = new Spool(await openSpace());
    const bytes = patterned(5_000_000);
    await fill(spool, bytes.subarray(0, 4_000_000));
    const late = readAll(spool.follow());
    await fill(spool, bytes.subarray(4_000_000));
    spool.seal();
    expect((await late).equals(bytes)).toBe(true);
    await spool.release();
  });

  it('leaves no file when it is released in the middle of a write', async () => {
    const space = await openSpace();
    const spool = new Spool(space);
    await fill(spool, patterned(1_000_000));
    await spool.release();
    expect([space.used, await readdir(space.directory)]).toEqual([0, []]);
  });

  it('begins anew in the middle of a write', async () => {
    const spool = new Spool(await openSpace());
    await fill(spool, patterned(1_000_000));
    await spool.rewind();
    const bytes = patterned(900_000).reverse();
    await fill(spool, bytes);
    await spool.finish();
    expect((await readFile(spool.path)).equals(bytes)).toBe(true);
    await spool.release();
  });

  it('goes on in memory where the disk has no room', async () => {
    const space = await openSpace(2_000_000);
    const spool = new Spool(space);
    const bytes = patterned(6_000_000);
    const read = readAll(spool.follow());
    await fill(spool, bytes);
    await spool.finish();
    expect(spool.isWhole).toBe(false);
    spool.seal();
    expect((await read).equals(bytes)).toBe(true);
    await spool.release();
    expect(space.used).toBe(0);
  });
});
