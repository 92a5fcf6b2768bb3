import { Readable } from 'node:stream';
import type { Digest } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import { describe, expect, it, vi } from 'vitest';
import { entryOf, openSpace, type Opened } from './support.js';

const LARGE = 600 * 1024;

/** Puts `count` large files of a repository, one a second. */
async function putMany({ put, clock }: Opened, repository: string, count: number, from = 0): Promise<void> {
  for (let number = from; number < from + count; number += 1) {
    await put(repository, `${number}`, Buffer.alloc(LARGE, `${repository} ${number} `));
    clock.advance(1_000);
  }
}

/** Notes that entries were served. */
async function serve({ storage, space }: Opened, repository: string, ...keys: readonly string[]): Promise<void> {
  const digests: Digest[] = [];
  for (const key of keys) digests.push((await storage.entries.find(repository, key))?.digest as Digest);
  await space.room.visited(digests);
}

async function keysOf({ storage, database }: Opened, repository: string): Promise<readonly string[]> {
  const rows = await database.selectFrom('entries').select('key').where('repository', '=', repository).execute();
  for (const { key } of rows) expect(await storage.entries.find(repository, key)).toBeDefined();
  return rows.map(({ key }) => key).sort((one, other) => Number(one) - Number(other));
}

describe('a bound on all blobs', () => {
  it('is kept to by evicting what was not served, the oldest first', async () => {
    const opened = await openSpace({ maxBytes: 10 * LARGE });
    await putMany(opened, 'proxy', 10);
    await serve(opened, 'proxy', '0', '2');
    await putMany(opened, 'proxy', 1, 10);
    expect(await keysOf(opened, 'proxy')).toEqual(['0', '2', '4', '5', '6', '7', '8', '9', '10']);
    expect((await opened.files()).length).toBe(9);
    expect(await opened.space.usage.bytesOf('')).toBe(9 * LARGE);
  });

  it('is kept to by puts that come together', async () => {
    const opened = await openSpace({ maxBytes: 10 * LARGE, reserve: 1 });
    await putMany(opened, 'proxy', 9);
    const together = Array.from({ length: 6 }, (_, at) => `together ${at}`);
    let most = 0;
    const watched = together.map(async (text) => {
      await opened.put('proxy', text, Buffer.alloc(LARGE, text));
      most = Math.max(most, await opened.space.usage.bytesOf(''));
    });
    await Promise.all(watched);
    expect(most).toBeLessThanOrEqual(10 * LARGE);
    for (const key of together) expect(await opened.storage.entries.find('proxy', key)).toBeDefined();
  });

  it('waits for what is just being stored, where nothing else may go', async () => {
    const { put, storage, space } = await openSpace({ maxBytes: 4 * LARGE });
    const bytes = Buffer.alloc(3 * LARGE, 'stored');
    const held = entryOf('proxy', 'held', bytes);
    await storage.blobs.put('proxy', held, { open: () => Readable.from([bytes]), bytes });
    await put('hosted', 'own', Buffer.alloc(LARGE, 'own'));
    const coming = put('proxy', 'new', Buffer.alloc(LARGE, 'new'));
    await vi.waitFor(() => expect(space.room.waiting).toBe(true));
    await storage.entries.replace(held);
    await coming;
    expect(await storage.entries.find('proxy', 'new')).toBeDefined();
    expect(space.room.full).toEqual([]);
  });

  it('counts a blob that is put again while it is being deleted', async () => {
    const { put, space, database } = await openSpace({ maxBytes: 4 * LARGE });
    const { digest } = await put('proxy', 'one', Buffer.alloc(LARGE, 'one'));
    expect(await space.usage.has('', digest)).toBe(true);
    await database.updateTable('blobs').set({ state: 'deleting' }).where('digest', '=', digest).execute();
    expect(await space.usage.has('', digest)).toBe(false);
  });

  it('spares what was served once each round', async () => {
    const opened = await openSpace({ maxBytes: 4 * LARGE });
    await putMany(opened, 'proxy', 4);
    await serve(opened, 'proxy', '0', '1', '2', '3');
    await putMany(opened, 'proxy', 4, 4);
    expect((await keysOf(opened, 'proxy')).length).toBeLessThanOrEqual(4);
    expect(await keysOf(opened, 'proxy')).toContain('7');
  });

  it('never takes what is hosted or pinned, and passes new bytes on when nothing else is left', async () => {
    const opened = await openSpace({ maxBytes: 4 * LARGE });
    await opened.space.pinStore.add({ id: 'one', subject: 'proxy/1', madeAt: 0 });
    await putMany(opened, 'proxy', 2);
    await putMany(opened, 'hosted', 2);
    await putMany(opened, 'proxy', 1, 2);
    expect(await keysOf(opened, 'proxy')).toEqual(['1', '2']);
    await putMany(opened, 'hosted', 1, 2);
    expect(await keysOf(opened, 'proxy')).toEqual(['1']);
    await expect(putMany(opened, 'proxy', 1, 3)).rejects.toMatchObject({ code: 'NO_ROOM', status: 507 });
    expect(opened.space.room.full).toEqual(['']);
    expect(await keysOf(opened, 'hosted')).toEqual(['0', '1', '2']);
  });

  it('never takes what a repository holds, as long as it does', async () => {
    const opened = await openSpace({ maxBytes: 4 * LARGE });
    let held = new Set(['0', '1']);
    const roots = {
      list: async () => [],
      refresh: () => Promise.reject(new Error('none')),
      heldKeys: async () => held,
    };
    const repositories = new Map([['proxy', { kind: 'proxy' as const }]]);
    opened.space.serve(repositories, new Map([['proxy', { roots, forget: async () => {} }]]));
    await putMany(opened, 'proxy', 12);
    expect((await keysOf(opened, 'proxy')).slice(0, 2)).toEqual(['0', '1']);
    held = new Set(['1']);
    opened.clock.advance(30_000);
    await putMany(opened, 'proxy', 12, 12);
    expect(await keysOf(opened, 'proxy')).toContain('1');
    expect(await keysOf(opened, 'proxy')).not.toContain('0');
  });

  it('never takes bytes that a hosted repository has, too', async () => {
    const opened = await openSpace({ maxBytes: 3 * LARGE });
    const bytes = Buffer.alloc(LARGE, 'shared');
    await opened.put('proxy', 'shared', bytes);
    await opened.put('hosted', 'shared', bytes);
    await putMany(opened, 'proxy', 4);
    expect(await opened.storage.entries.find('hosted', 'shared')).toBeDefined();
    expect(await opened.storage.entries.find('proxy', 'shared')).toBeDefined();
  });

  it('takes what nobody needs first, then what is past its age', async () => {
    const opened = await openSpace({ maxBytes: 40 * LARGE });
    await putMany(opened, 'proxy', 35);
    await opened.put('proxy', '35', Buffer.alloc(LARGE, 'old'), { expiresAt: opened.clock.now() - 1 });
    await serve(opened, 'proxy', '35');
    for (const text of ['a', 'b', 'c', 'd']) await opened.put('proxy', '0', Buffer.alloc(LARGE, text));
    await opened.space.collect();
    await putMany(opened, 'proxy', 1, 36);
    expect(await keysOf(opened, 'proxy')).toEqual([...Array.from({ length: 35 }, (_, key) => `${key}`), '36']);
  });

  it('leaves a fifth to small blobs', async () => {
    const opened = await openSpace({ maxBytes: 10 * LARGE });
    for (let number = 0; number < 20; number += 1) await opened.put('proxy', `${1000 + number}`, `small ${number}`);
    await putMany(opened, 'proxy', 30);
    expect((await keysOf(opened, 'proxy')).filter((key) => Number(key) >= 1000).length).toBe(20);
  });

  it('takes entries of a repository that is gone from the configuration only where they have an upstream', async () => {
    const opened = await openSpace({ maxBytes: 3 * LARGE });
    await opened.put('former', 'fetched', Buffer.alloc(LARGE, 'fetched'));
    await opened.put('former', 'uploaded', Buffer.alloc(LARGE, 'uploaded'), { upstreamUrl: undefined });
    await putMany(opened, 'proxy', 5);
    expect(await opened.storage.entries.find('former', 'fetched')).toBeUndefined();
    expect(await opened.storage.entries.find('former', 'uploaded')).toBeDefined();
  });

  it('is enforced when it was lowered', async () => {
    const before = await openSpace();
    await putMany(before, 'proxy', 10);
    const { space } = await openSpace({ root: before.root, clock: before.clock, maxBytes: 5 * LARGE });
    await space.room.enforce();
    expect(await space.usage.bytesOf('')).toBeLessThanOrEqual(5 * LARGE);
  });
});

describe('a store in which nothing more may go', () => {
  /** Proxies, of which each look takes time. */
  class SlowRepositories extends Map<string, { readonly kind: 'proxy' | 'hosted' }> {
    readonly #clock: ManualClock;
    readonly #milliseconds: number;
    looks = 0;

    constructor(clock: ManualClock, milliseconds: number) {
      super([['proxy', { kind: 'proxy' }]]);
      this.#clock = clock;
      this.#milliseconds = milliseconds;
    }

    override get(name: string) {
      this.looks += 1;
      this.#clock.advance(this.#milliseconds);
      return super.get(name);
    }
  }

  it.each([
    { search: 'a quick one', look: 0 },
    { search: 'a long one', look: 200 },
    { search: 'a very long one', look: 600_000 },
  ])('is not searched again for a while after $search', async ({ look }) => {
    const clock = new ManualClock();
    const before = await openSpace({ clock });
    await before.space.pinStore.add({ id: 'all', subject: 'proxy/**', madeAt: 0 });
    await putMany(before, 'proxy', 4);
    const repositories = new SlowRepositories(clock, look);
    const { space } = await openSpace({ root: before.root, clock, repositories, maxBytes: 2 * LARGE });
    await space.room.enforce();
    expect(space.room.full).toEqual(['']);
    const { looks } = repositories;
    const rest = Math.min(300_000, Math.max(10_000, 20 * looks * look));
    clock.advance(rest - 1);
    await space.room.enforce();
    expect(repositories.looks).toBe(looks);
    await before.space.pinStore.remove('all');
    clock.advance(1);
    await space.room.enforce();
    expect(await space.usage.bytesOf('')).toBeLessThanOrEqual(2 * LARGE);
  });
});

describe('a quota', () => {
  const repositories = new Map([
    ['proxy', { kind: 'proxy', quota: 10 * LARGE }],
    ['other', { kind: 'proxy' }],
    ['hosted', { kind: 'hosted', quota: 2 * LARGE }],
  ] as const);

  it('of a proxy is kept to within the proxy', async () => {
    const opened = await openSpace({ repositories });
    await putMany(opened, 'other', 5);
    await putMany(opened, 'proxy', 10);
    await serve(opened, 'proxy', '0');
    await putMany(opened, 'proxy', 1, 10);
    expect(await keysOf(opened, 'proxy')).toEqual(['0', '3', '4', '5', '6', '7', '8', '9', '10']);
    expect((await keysOf(opened, 'other')).length).toBe(5);
  });

  it('of a hosted repository counts uploads whose entries are not there yet', async () => {
    const opened = await openSpace({ repositories });
    const putBlob = async (text: string) => {
      const bytes = Buffer.alloc(LARGE, text);
      const entry = entryOf('hosted', text, bytes);
      await opened.storage.blobs.put('hosted', entry, { open: () => Readable.from([bytes]), bytes });
      return entry;
    };
    const first = await putBlob('first');
    await opened.storage.entries.replace(await putBlob('second'));
    await expect(putBlob('third')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    await opened.storage.entries.replace(first);
    expect(await opened.space.usage.bytesOf('hosted')).toBe(2 * LARGE);
    await opened.storage.entries.remove('hosted', 'first');
    await opened.storage.entries.replace(await putBlob('fourth'));
    expect(await keysOf(opened, 'hosted')).toHaveLength(2);
  });

  it('of a hosted repository refuses uploads, and says why', async () => {
    const opened = await openSpace({ repositories });
    await putMany(opened, 'hosted', 2);
    await expect(putMany(opened, 'hosted', 1, 2)).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      status: 507,
      message: expect.stringContaining('its quota is 1228800 bytes'),
    });
    expect((await keysOf(opened, 'hosted')).length).toBe(2);
    // Bytes that are there already take no more room: it may be put again, as whoever brings back damaged bytes does.
    await putMany(opened, 'hosted', 2);
  });
});

describe('the quota of a project', () => {
  const project = { name: 'acme', quota: 6 * LARGE };
  const repositories = new Map([
    ['proxy', { kind: 'proxy', project }],
    ['second', { kind: 'proxy', project }],
    ['hosted', { kind: 'hosted', project }],
    ['other', { kind: 'proxy' }],
  ] as const);

  it('is kept to by all of its repositories together, and takes from its largest proxy', async () => {
    const opened = await openSpace({ repositories });
    await putMany(opened, 'other', 4);
    await putMany(opened, 'second', 1);
    await putMany(opened, 'proxy', 4);
    await putMany(opened, 'hosted', 1);
    await putMany(opened, 'hosted', 1, 1);
    expect([await keysOf(opened, 'proxy'), await keysOf(opened, 'second')]).toEqual([['2', '3'], ['0']]);
    expect(await keysOf(opened, 'hosted')).toEqual(['0', '1']);
    expect(await keysOf(opened, 'other')).toHaveLength(4);
    const { projects } = await opened.space.report.overview();
    expect(projects).toEqual([
      { name: 'acme', repositories: ['proxy', 'second', 'hosted'], bytes: 5 * LARGE, quota: 6 * LARGE, isFull: false },
    ]);
  });

  it('refuses uploads where nothing more can go, and passes on what was fetched', async () => {
    const opened = await openSpace({ repositories });
    await putMany(opened, 'hosted', 6);
    await expect(putMany(opened, 'hosted', 1, 6)).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      status: 507,
      message: expect.stringContaining('the project acme: its quota is 3686400 bytes'),
    });
    await expect(putMany(opened, 'proxy', 1)).rejects.toMatchObject({ code: 'NO_ROOM' });
    await putMany(opened, 'other', 1);
    // Bytes that it has already take no more room.
    await putMany(opened, 'hosted', 6);
    await opened.storage.entries.remove('hosted', '0');
    opened.clock.advance(300_000);
    await putMany(opened, 'proxy', 1);
    expect(await keysOf(opened, 'proxy')).toEqual(['0']);
  });

  it('is enforced where it was changed, and counts uploads whose entries are not there yet', async () => {
    const opened = await openSpace({ repositories });
    await putMany(opened, 'proxy', 6);
    const smaller = new Map(
      [...repositories].map(([name, one]) => [
        name,
        { ...one, ...('project' in one && { project: { name: 'acme', quota: 3 * LARGE } }) },
      ]),
    );
    opened.space.serve(smaller, new Map());
    await opened.space.room.enforce();
    expect(await keysOf(opened, 'proxy')).toEqual(['4', '5']);
    const putBlob = async (text: string) => {
      const bytes = Buffer.alloc(LARGE, text);
      const entry = entryOf('hosted', text, bytes);
      await opened.storage.blobs.put('hosted', entry, { open: () => Readable.from([bytes]), bytes });
      return entry;
    };
    for (const text of ['a', 'b', 'c']) await putBlob(text);
    await expect(putBlob('d')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect(await keysOf(opened, 'proxy')).toEqual([]);
  });
});

describe('a reserve', () => {
  it('is left free by evicting, and then by passing bytes on', async () => {
    let volume = 10 * LARGE;
    const free = async (): Promise<number> => volume - (await opened.files()).length * LARGE;
    const opened: Opened = await openSpace({ reserve: 2 * LARGE, freeBytes: free });
    for (let number = 0; number < 12; number += 1) {
      await putMany(opened, 'proxy', 1, number);
      expect(await free()).toBeGreaterThanOrEqual(2 * LARGE);
    }
    expect(await keysOf(opened, 'proxy')).toEqual(['4', '5', '6', '7', '8', '9', '10', '11']);
    // Somebody else fills the volume.
    volume = 2 * LARGE;
    await expect(putMany(opened, 'proxy', 1, 12)).rejects.toMatchObject({ code: 'NO_ROOM', status: 507 });
    expect(await keysOf(opened, 'proxy')).toEqual([]);
  });
});
