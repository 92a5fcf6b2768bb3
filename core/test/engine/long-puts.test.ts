import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BlobHolds, NO_CATALOGUE } from '../../src/engine/store/blob-holds.js';
import type { BlobHold } from '../../src/index.js';
import { digestOf, ManualClock, MemoryBlobStore } from '../../src/testing/index.js';

const HOLD_TIME = 600_000;
const BLOB = { digest: digestOf('large'), size: 5 };

function open() {
  const clock = new ManualClock();
  const store = new MemoryBlobStore();
  const current = new Set<string>();
  let count = 0;
  const catalogue = {
    ...NO_CATALOGUE,
    holdTime: HOLD_TIME,
    async hold(): Promise<BlobHold> {
      count += 1;
      current.add(`${count}`);
      return { id: `${count}`, isNew: count === 1 };
    },
    release: ({ id }: BlobHold) => void current.delete(id),
  };
  const put = () => store.put(BLOB.digest, BLOB.size, { open: () => Readable.from([Buffer.from('large')]) });
  return { clock, store, current, put, holds: new BlobHolds(catalogue, store, clock) };
}

describe('a put that takes longer than its hold lasts', () => {
  it('is made once, and held anew', async () => {
    const { clock, current, put, holds } = open();
    let puts = 0;
    await holds.putting('files', BLOB, async () => {
      puts += 1;
      await put();
      clock.advance(HOLD_TIME);
    });
    expect(puts).toBe(1);
    expect([...current]).toEqual(['2']);
  });

  it('is made again where the bytes were deleted meanwhile', async () => {
    const { clock, store, current, put, holds } = open();
    let puts = 0;
    await holds.putting('files', BLOB, async () => {
      puts += 1;
      await put();
      if (puts > 1) return;
      clock.advance(HOLD_TIME);
      await store.delete(BLOB.digest);
    });
    expect(puts).toBe(2);
    expect(await store.stat(BLOB.digest)).toBeDefined();
    expect([...current]).toEqual(['2']);
  });

  it('leaves no hold where it fails', async () => {
    const { current, holds } = open();
    const failing = () => Promise.reject(new Error('the disk is gone'));
    await expect(holds.putting('files', BLOB, failing)).rejects.toThrow('the disk is gone');
    expect([...current]).toEqual([]);
  });
});
