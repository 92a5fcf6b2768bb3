import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '@entrepot/core';
import { Gate } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Heal } from '../../src/space/healer.js';
import type { Verification, VerificationStatus, VerifyRequest } from '../../src/space/verification.js';
import { damage } from './damage.js';
import { HOUR, openSpace, type Opened } from './support.js';

const SMALL = 'a small file';
const LARGE = Buffer.alloc(700 * 1024, 'a large file ');
const PLAIN: VerifyRequest = { dryRun: false, heal: true, rate: Infinity, batchSize: 100 };

const BACKGROUND = { rate: 1e12, interval: 24 * HOUR, batchSize: 100 };

/** A run to its end. */
async function verify(verification: Verification, request: Partial<VerifyRequest> = {}): Promise<VerificationStatus> {
  await verification.begin({ ...PLAIN, ...request });
  return (await verification.finished()).asked as VerificationStatus;
}

/** An upstream for proxies that has what a test gives it. */
function upstream() {
  const has = new Map<string, Buffer>();
  const asked: string[] = [];
  let opened: Opened | undefined;
  const heal: Heal = async (entry) => {
    asked.push(entry.key);
    const bytes = has.get(entry.key);
    if (bytes === undefined) return { outcome: 'unreachable', reason: 'out of reach' };
    const source = {
      open: () => {
        throw new Error('given as bytes');
      },
      bytes,
    };
    return (await opened?.storage.blobs.restore(entry.repository, entry, source)) === true
      ? { outcome: 'healed' }
      : { outcome: 'unreachable', reason: 'no storage' };
  };
  return { has, asked, heal, attach: (space: Opened) => (opened = space) };
}

async function open(options: Parameters<typeof openSpace>[0] = {}) {
  const { has, asked, heal, attach } = upstream();
  const opened = attach(await openSpace({ heal, ...options }));
  return {
    ...opened,
    has,
    asked,
    verification: opened.space.verification,
    async lose(entry: Entry, how?: Parameters<typeof damage>[2]): Promise<void> {
      await damage(opened.blobs, entry.digest, how);
    },
    read: ({ digest, size }: Entry) => opened.storage.blobs.read(digest, size),
  };
}

/** Lets nobody read a blob before the gate is open. */
function stall({ blobs }: Pick<Opened, 'blobs'>): Gate {
  const gate = new Gate();
  const opening = blobs.open.bind(blobs);
  blobs.open = async (...given) => {
    await gate.pass();
    return await opening(...given);
  };
  return gate;
}

describe('a run over all blobs', () => {
  it('finds nothing where nothing is wrong', async () => {
    const { put, verification } = await open();
    await put('proxy', 'a', SMALL);
    await put('hosted', 'b', LARGE);
    expect(await verify(verification)).toMatchObject({
      state: 'done',
      looked: 2,
      bytes: SMALL.length + LARGE.length,
      total: { amount: 2, bytes: SMALL.length + LARGE.length },
      damaged: 0,
      missing: 0,
      unreadable: 0,
      healed: 0,
      hosted: { count: 0, entries: [] },
      proxied: { count: 0, entries: [] },
    });
  });

  it.each(['flipped', 'short', 'gone'] as const)('heals what an upstream has: %s', async (how) => {
    const { blobs, files, has, lose, put, read, verification } = await open();
    for (const [key, bytes] of [
      ['small', Buffer.from(SMALL)],
      ['large', LARGE],
    ] as const) {
      has.set(key, bytes);
      await lose(await put('proxy', key, bytes), how);
    }
    await put('proxy', 'whole', 'another file');
    const found = how === 'flipped' ? { damaged: 2, missing: 0 } : { damaged: 0, missing: 2 };
    expect(await verify(verification)).toMatchObject({ looked: 3, ...found, healed: 2, proxied: { count: 0 } });
    expect((await files()).length).toBe(3);
    expect(await verify(verification)).toMatchObject({ looked: 3, damaged: 0, missing: 0, healed: 0 });
    const entry = await put('proxy', 'small', SMALL);
    expect((await read(entry))?.toString()).toBe(SMALL);
    expect(await blobs.stat(entry.digest)).toBeDefined();
  });

  it('lists what uploads have lost, with who has uploaded it, until it is put again', async () => {
    const { clock, database, lose, put, read, root, verification } = await open();
    const storedBy = 'ann';
    const coordinates = { ecosystem: 'generic', name: 'tool', version: '1' };
    const small = await put('hosted', 'small', SMALL, { storedBy, coordinates });
    const large = await put('hosted', 'large', LARGE);
    await lose(small);
    await lose(large, 'gone');
    const { digest, size } = small;
    const listed = {
      count: 2,
      entries: expect.arrayContaining([
        expect.objectContaining({
          repository: 'hosted',
          key: 'small',
          purl: 'pkg:generic/tool@1',
          digest,
          size,
          storedBy,
          fetchedAt: clock.now(),
          condition: 'damaged',
        }),
        expect.objectContaining({ key: 'large', condition: 'missing', storedBy: undefined }),
      ]),
    };
    expect(await verify(verification)).toMatchObject({ damaged: 1, missing: 1, healed: 0, hosted: listed });
    expect(await readdir(join(root, 'blobs', 'damaged'))).toEqual([digest.slice('sha256:'.length)]);
    expect(await read(small)).toBeUndefined();
    // Known from then on.
    const known = { count: 2, entries: [{ condition: 'lost' }, { condition: 'lost' }] };
    expect(await verify(verification)).toMatchObject({ looked: 0, damaged: 0, missing: 0, hosted: known });
    await put('hosted', 'small', SMALL);
    expect((await read(small))?.toString()).toBe(SMALL);
    const states = await database.selectFrom('blobs').select(['digest', 'state']).execute();
    expect(Object.fromEntries(states.map((row) => [row.digest, row.state]))).toEqual({
      [digest]: 'live',
      [large.digest]: 'damaged',
    });
    expect(await verify(verification)).toMatchObject({ looked: 1, hosted: { count: 1 } });
  });

  it('changes nothing in a dry run, and says the same', async () => {
    const { asked, database, files, has, lose, put, root, verification } = await open();
    has.set('a', Buffer.from(SMALL));
    await lose(await put('proxy', 'a', SMALL));
    await lose(await put('hosted', 'b', LARGE), 'gone');
    const before = await files();
    const dry = await verify(verification, { dryRun: true });
    expect(dry).toMatchObject({
      dryRun: true,
      damaged: 1,
      missing: 1,
      healed: 0,
      proxied: { count: 1, entries: [{ key: 'a', condition: 'damaged' }] },
      hosted: { count: 1, entries: [{ key: 'b', condition: 'missing' }] },
    });
    expect(asked).toEqual([]);
    expect(await files()).toEqual(before);
    expect(await readdir(join(root, 'blobs'))).not.toContain('damaged');
    expect(await database.selectFrom('blobs').select('state').where('state', '!=', 'live').execute()).toEqual([]);
    expect(await database.selectFrom('meta').select('name').where('name', '=', 'verification').execute()).toEqual([]);
    expect(await verify(verification)).toMatchObject({ damaged: dry.damaged, missing: dry.missing, healed: 1 });
    expect(await verify(verification, { dryRun: true })).toMatchObject({
      hosted: { entries: [{ condition: 'lost' }] },
    });
  });

  it('puts from memory what is damaged on the disk alone', async () => {
    const { lose, put, read, verification, asked, files } = await open();
    const entries = [await put('hosted', 'a', SMALL), await put('proxy', 'b', 'another')];
    for (const entry of entries) {
      await read(entry);
      await lose(entry);
    }
    expect(await verify(verification)).toMatchObject({ damaged: 2, healed: 2, hosted: { count: 0 } });
    expect(asked).toEqual([]);
    expect((await files()).length).toBe(2);
    expect(await verify(verification)).toMatchObject({ looked: 2, damaged: 0 });
  });

  it('leaves alone what nobody needs, and what is just being put', async () => {
    const { clock, database, lose, put, space, storage, verification } = await open();
    const gone = await put('proxy', 'gone', 'first');
    await put('proxy', 'gone', 'second');
    await lose(gone, 'gone');
    const coming = await put('hosted', 'coming', SMALL);
    await lose(coming, 'gone');
    await space.room.hold('hosted', coming);
    expect(await verify(verification)).toMatchObject({ looked: 3, missing: 0, hosted: { count: 0 } });
    clock.advance(HOUR);
    expect(await verify(verification)).toMatchObject({ missing: 1, hosted: { count: 1 } });
    expect(await storage.entries.find('hosted', 'coming')).toBeDefined();
    expect((await database.selectFrom('blobs').selectAll().execute()).length).toBe(3);
  });

  it('does not heal where that is not wanted', async () => {
    const { asked, has, lose, put, verification } = await open();
    has.set('a', Buffer.from(SMALL));
    await lose(await put('proxy', 'a', SMALL));
    expect(await verify(verification, { heal: false })).toMatchObject({ damaged: 1, proxied: { count: 1 } });
    expect(asked).toEqual([]);
    expect(await verify(verification)).toMatchObject({ damaged: 0, healed: 1, proxied: { count: 0 } });
  });

  it('lists what the upstream has no more, with the reason, and heals the others', async () => {
    const { has, lose, put, verification } = await open();
    for (const key of ['a', 'b', 'c']) await lose(await put('proxy', key, `file ${key}`));
    has.set('b', Buffer.from('file b'));
    expect(await verify(verification)).toMatchObject({
      healed: 1,
      proxied: { count: 2, entries: [{ reason: 'out of reach' }, { reason: 'out of reach' }] },
    });
  });

  it('says of a repository that is no longer served that it is not', async () => {
    const opened = await openSpace({ heal: async () => undefined });
    await damage(opened.blobs, (await opened.put('gone', 'a', SMALL)).digest);
    expect(await verify(opened.space.verification)).toMatchObject({
      proxied: { count: 1, entries: [{ repository: 'gone', reason: 'its repository is not served' }] },
    });
  });

  it('tells what it cannot read, and gives up where it can read nothing', async () => {
    const { blobs, put, verification } = await open();
    const broken = new Set<string>();
    const opening = blobs.open.bind(blobs);
    blobs.open = (digest, options) =>
      broken.has(digest) ? Promise.reject(new Error('EIO')) : opening(digest, options);
    for (let number = 0; number < 30; number += 1) {
      const { digest } = await put('hosted', `${number}`, `${number}`);
      if (number % 3 === 0) broken.add(digest);
    }
    expect(await verify(verification)).toMatchObject({
      state: 'done',
      looked: 30,
      unreadable: 10,
      hosted: { count: 10 },
    });
    blobs.open = () => Promise.reject(new Error('EIO'));
    expect(await verify(verification)).toMatchObject({ state: 'failed', error: 'EIO' });
  });
});

describe('runs of several processes', () => {
  async function sharedRoot(): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'entrepot-verify-'));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    return root;
  }

  it('are made one at a time', async () => {
    const root = await sharedRoot();
    const one = await open({ root });
    const other = await open({ root, clock: one.clock });
    await one.put('proxy', 'a', SMALL);
    const gate = stall(one);
    await one.verification.begin(PLAIN);
    await gate.reached;
    await expect(one.verification.begin(PLAIN)).rejects.toMatchObject({ kind: 'conflict' });
    await expect(other.verification.begin(PLAIN)).rejects.toMatchObject({ kind: 'conflict' });
    // A run that changes nothing is in nobody's way.
    expect(await verify(other.verification, { dryRun: true })).toMatchObject({ state: 'done', looked: 1 });
    gate.open();
    await one.verification.finished();
    expect(await verify(other.verification)).toMatchObject({ state: 'done', looked: 1 });
  });

  it('are gone on with where one was ended', async () => {
    const root = await sharedRoot();
    const first = await open({ root });
    const entries: Entry[] = [];
    for (let number = 0; number < 40; number += 1) entries.push(await first.put('hosted', `${number}`, `${number}`));
    const digests = entries.map(({ digest }) => digest).sort();
    await damage(first.blobs, digests[0] as Entry['digest']);
    await damage(first.blobs, digests[39] as Entry['digest']);
    const opening = first.blobs.open.bind(first.blobs);
    first.blobs.open = (digest, options) => {
      // The second page of ten.
      if (digest === digests[15]) void first.verification.cancel();
      return opening(digest, options);
    };
    expect(await verify(first.verification, { batchSize: 10 })).toMatchObject({ state: 'cancelled', damaged: 1 });
    const second = await open({ root, clock: first.clock, verify: BACKGROUND });
    const read: string[] = [];
    const openingHere = second.blobs.open.bind(second.blobs);
    second.blobs.open = (digest, options) => {
      read.push(digest);
      return openingHere(digest, options);
    };
    await second.verification.tick();
    expect((await second.verification.finished()).background).toMatchObject({
      state: 'done',
      looked: 40,
      damaged: 2,
      hosted: { count: 2 },
    });
    // Where the last page ended, and what was known to be damaged.
    expect(read.filter((digest) => digests.indexOf(digest as Entry['digest']) < 10)).toEqual([digests[0]]);
  });
});

describe('the background', () => {
  it('begins a run when the last one is long ago, and tries again every hour what could not be healed', async () => {
    const { asked, clock, has, lose, put, verification } = await open({ verify: BACKGROUND });
    const entry = await put('proxy', 'a', SMALL);
    await verification.tick();
    expect((await verification.finished()).background).toMatchObject({ state: 'done', looked: 1, damaged: 0 });
    await lose(entry);
    clock.advance(23 * HOUR);
    await verification.tick();
    await verification.finished();
    expect(asked).toEqual([]);
    clock.advance(HOUR);
    await verification.tick();
    expect((await verification.finished()).background).toMatchObject({ damaged: 1, proxied: { count: 1 } });
    expect(asked).toEqual(['a']);
    await verification.tick();
    expect(asked).toEqual(['a']);
    has.set('a', Buffer.from(SMALL));
    clock.advance(HOUR);
    await verification.tick();
    await verification.finished();
    expect(asked).toEqual(['a', 'a']);
    clock.advance(HOUR);
    await verification.tick();
    await verification.finished();
    expect(asked).toEqual(['a', 'a']);
  });

  it('makes way for who asks', async () => {
    const opened = await open({ verify: BACKGROUND });
    const { put, verification } = opened;
    await put('proxy', 'a', SMALL);
    const gate = stall(opened);
    await verification.tick();
    await gate.reached;
    expect(await verification.cancel()).toBeUndefined();
    const begun = verification.begin(PLAIN);
    gate.open();
    expect(await begun).toMatchObject({ state: 'running' });
    expect(await verification.finished()).toMatchObject({
      asked: { state: 'done', looked: 1 },
      background: { state: 'cancelled', looked: 0 },
    });
  });

  it('is not misled by a clock that was ahead', async () => {
    const { clock, put, verification } = await open({ verify: BACKGROUND });
    await put('proxy', 'a', SMALL);
    await verification.tick();
    await verification.finished();
    clock.set(clock.now() - 30 * 24 * HOUR);
    await put('proxy', 'b', 'another');
    await verification.tick();
    expect((await verification.finished()).background).toMatchObject({ looked: 2 });
  });
});
