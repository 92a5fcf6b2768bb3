import { describe, expect, it, vi } from 'vitest';
import { openSpace } from './support.js';

describe('the usage that metrics show', () => {
  it('is read again after some seconds, and is what it was while the database is away', async () => {
    const { clock, put, space } = await openSpace();
    const { report } = space;
    await put('proxy', 'a', 'one');
    expect(await report.recent()).toMatchObject({ blobs: 1, bytes: 3 });
    await put('proxy', 'b', 'other');
    clock.advance(4_000);
    expect(await report.recent()).toMatchObject({ blobs: 1 });
    clock.advance(1_000);
    expect(await report.recent()).toMatchObject({ blobs: 2, bytes: 8 });
    const reading = vi.spyOn(space.usage, 'usage').mockRejectedValue(new Error('no database'));
    clock.advance(5_000);
    expect(await report.recent()).toMatchObject({ blobs: 2 });
    reading.mockReturnValue(new Promise(() => {}));
    clock.advance(5_000);
    const startedAt = performance.now();
    expect(await report.recent()).toMatchObject({ blobs: 2 });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it('is unknown as long as the database has not answered', async () => {
    const { space } = await openSpace();
    vi.spyOn(space.usage, 'usage').mockRejectedValue(new Error('no database'));
    expect(await space.report.recent()).toBeUndefined();
  });

  it('has repositories that are not served any more as long as entries of them are left', async () => {
    const { put, space, storage } = await openSpace({ maxBytes: 1000, reserve: 10 });
    await put('former', 'a', 'text');
    const { repositories, ...all } = await space.report.overview();
    expect(all).toMatchObject({ blobs: 1, bytes: 4, maxBytes: 1000, reserve: 10, isFull: false });
    expect(repositories).toEqual([
      { name: 'former', entries: 1, bytes: 4, isFull: false },
      { name: 'hosted', kind: 'hosted', entries: 0, bytes: 0, isFull: false },
      { name: 'proxy', kind: 'proxy', entries: 0, bytes: 0, isFull: false },
    ]);
    await storage.entries.remove('former', 'a');
    expect((await space.report.overview()).repositories.map(({ name }) => name)).toEqual(['hosted', 'proxy']);
  });
});
