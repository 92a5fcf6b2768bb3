import { describe, expect, it } from 'vitest';
import type { Cleanup, StoredVersion } from '../../src/index.js';
import type { DueVersion, HostedCleanup } from '../../src/engine/index.js';
import { openHarness, type Harness, type HarnessOptions } from './harness.js';
import { hostedSide } from './hosted-protocol.js';

const DAY = 86_400_000;
/** Accesses are noted to the hour. */
const HOUR = 3_600_000;

/** Files, of which each is a version that goes with its `.sig`. */
const files: Cleanup = {
  async *stored({ list }) {
    for await (const entry of list('files/')) {
      const { key } = entry;
      if (!key.endsWith('.sig')) yield [{ entry, name: key, version: '1', servedBy: [`${key}.sig`] }];
    }
  },
  retire: async (versions) => ({ remove: versions.flatMap(({ entry }) => [entry.key, `${entry.key}.sig`]) }),
};

interface Opened extends Harness {
  readonly cleanup: HostedCleanup;
  put(...names: string[]): Promise<void>;
  /** The versions, by the names of their files. */
  stored(): Promise<ReadonlyMap<string, StoredVersion>>;
  /** The versions that are to go, as they are now. */
  due(names: readonly string[], more?: Omit<DueVersion, 'version'>): Promise<DueVersion[]>;
  keys(): Promise<readonly string[]>;
}

async function open(changes: Partial<Cleanup> = {}, options: HarnessOptions = {}): Promise<Opened> {
  const side = { ...hostedSide(), cleanup: { ...files, ...changes } };
  const harness = await openHarness({ kind: 'hosted', side, ...options });
  const { ask, entries, repository } = harness;
  const cleanup = repository.cleanup as HostedCleanup;
  const stored: Opened['stored'] = async () => {
    const all = (await Array.fromAsync(cleanup.stored())).flat();
    return new Map(all.map((version) => [version.name.slice('files/'.length), version]));
  };
  return {
    ...harness,
    cleanup,
    stored,
    async put(...names) {
      for (const name of names)
        expect([200, 201]).toContain((await ask('PUT', `/files/${name}?overwrite=1`, {}, `of ${name}`)).status);
    },
    async due(names, more) {
      const versions = await stored();
      return names.map((name) => ({ version: versions.get(name) as StoredVersion, ...more }));
    },
    keys: async () => (await entries.list('test', { prefix: '', limit: 100 })).map(({ key }) => key),
  };
}

describe('the cleanup of a hosted repository', () => {
  it('removes versions with what goes with them, in one change', async () => {
    const { cleanup, put, due, keys, entries, get } = await open();
    await put('a', 'a.sig', 'b', 'c');
    const before = await entries.revision('test');
    const { retired, removed, spared } = await cleanup.retire(await due(['a', 'b']));
    expect(retired.map(({ name }) => name)).toEqual(['files/a', 'files/b']);
    expect(removed.map(({ key, size }) => [key, size])).toEqual([
      ['files/a', 4],
      ['files/a.sig', 8],
      ['files/b', 4],
    ]);
    expect(spared).toEqual([]);
    expect(await keys()).toEqual(['files/c']);
    expect(await entries.revision('test')).toBe(before + 1);
    expect((await get('/files/a')).status).toBe(404);
  });

  it('changes nothing in a dry run', async () => {
    const { cleanup, put, due, keys, entries } = await open();
    await put('a', 'a.sig', 'b');
    const before = await entries.revision('test');
    const { retired, removed } = await cleanup.retire(await due(['a']), { dryRun: true });
    expect([retired.length, removed.length]).toEqual([1, 2]);
    expect(await keys()).toEqual(['files/a', 'files/a.sig', 'files/b']);
    expect(await entries.revision('test')).toBe(before);
  });

  it('knows when versions were last stored or served, what is not written yet included', async () => {
    const { cleanup, clock, put, stored, get } = await open();
    await put('a', 'b', 'c', 'c.sig');
    const uploaded = clock.now();
    clock.advance(DAY);
    await (await get('/files/b')).bytes();
    clock.advance(DAY);
    await (await get('/files/c.sig')).bytes();
    expect(await cleanup.lastUses([...(await stored()).values()])).toEqual([
      uploaded,
      uploaded + DAY + HOUR,
      uploaded + 2 * DAY + HOUR,
    ]);
  });

  it('spares what was served since the rules were applied, by whatever name', async () => {
    const { cleanup, clock, put, due, keys, get } = await open();
    await put('a', 'b', 'c', 'c.sig');
    clock.advance(90 * DAY);
    const going = await due(['a', 'b', 'c'], { unusedSince: clock.now() - 30 * DAY });
    await (await get('/files/b')).bytes();
    await (await get('/files/c.sig')).bytes();
    const { retired, spared } = await cleanup.retire(going);
    expect(retired.map(({ name }) => name)).toEqual(['files/a']);
    expect(spared.map(({ version, reason }) => [version.name, reason])).toEqual([
      ['files/b', 'used'],
      ['files/c', 'used'],
    ]);
    expect(await keys()).toEqual(['files/b', 'files/c', 'files/c.sig']);
  });

  it('takes what was served within the hour of its last note for used', async () => {
    const { cleanup, clock, put, due, get } = await open();
    await put('a');
    clock.advance(DAY);
    await (await get('/files/a')).bytes();
    clock.advance(HOUR - 1);
    await (await get('/files/a')).bytes();
    const unusedSince = clock.now() - 60_000;
    expect((await cleanup.retire(await due(['a'], { unusedSince }))).spared).toMatchObject([{ reason: 'used' }]);
    expect((await cleanup.retire(await due(['a'], { unusedSince: clock.now() + 1 }))).retired).toHaveLength(1);
  });

  it('spares what was replaced or removed since, also by the same bytes', async () => {
    const { cleanup, clock, put, due, keys, ask } = await open();
    await put('a', 'b', 'c', 'd');
    const going = await due(['a', 'b', 'c', 'd']);
    clock.advance(1);
    await put('a');
    await ask('PUT', '/files/b?overwrite=1', {}, 'another');
    await ask('DELETE', '/files/c');
    const { retired, spared } = await cleanup.retire(going);
    expect(retired.map(({ name }) => name)).toEqual(['files/d']);
    expect(spared.map(({ version, reason }) => [version.name, reason])).toEqual([
      ['files/a', 'changed'],
      ['files/b', 'changed'],
      ['files/c', 'changed'],
    ]);
    expect(await keys()).toEqual(['files/a', 'files/b']);
  });

  it('removes nothing when a version in whose place others go is gone', async () => {
    const { cleanup, put, due, keys, ask, stored } = await open();
    await put('a', 'b');
    const going = await due(['a']);
    const standing = [((await stored()).get('b') as StoredVersion).entry];
    await ask('DELETE', '/files/b');
    expect(await cleanup.retire(going, { standing })).toMatchObject({ retired: [], spared: [{ reason: 'changed' }] });
    expect(await keys()).toEqual(['files/a']);
  });

  it('says what something else needs', async () => {
    const { cleanup, put, due, keys } = await open({
      retire: async (versions) => ({
        remove: versions.map(({ entry }) => entry.key).filter((key) => key !== 'files/b'),
      }),
    });
    await put('a', 'b');
    expect(await cleanup.retire(await due(['b', 'a']))).toMatchObject({
      retired: [{ name: 'files/a' }],
      spared: [{ version: { name: 'files/b' }, reason: 'needed' }],
    });
    expect(await cleanup.retire(await due(['b']))).toMatchObject({ retired: [], removed: [] });
    expect(await keys()).toEqual(['files/b']);
  });

  it('spares versions with which something would go that is pinned', async () => {
    const { cleanup, put, due, keys } = await open();
    const names = ['a', 'b', 'c', 'd', 'e'];
    await put(...names, 'b.sig', 'c.sig');
    const isPinned = ({ key }: { readonly key: string }): boolean => key === 'files/b.sig' || key === 'files/e';
    for (const dryRun of [true, false]) {
      const { retired, removed, spared } = await cleanup.retire(await due(names), { isPinned, dryRun });
      expect(retired.map(({ name }) => name)).toEqual(['files/a', 'files/c', 'files/d']);
      expect(removed.map(({ key }) => key)).toEqual(['files/a', 'files/c', 'files/c.sig', 'files/d']);
      expect(spared.map(({ version, reason }) => [version.name, reason])).toEqual([
        ['files/b', 'pinned'],
        ['files/e', 'pinned'],
      ]);
    }
    expect(await keys()).toEqual(['files/b', 'files/b.sig', 'files/e']);
  });

  it('looks again when anything else was changed meanwhile', async () => {
    const seen: string[][] = [];
    const opened: Opened = await open({
      async retire(versions, context, self) {
        seen.push((await Array.fromAsync(context.list(''))).map(({ key }) => key));
        if (seen.length === 1) await opened.put('late');
        return await files.retire(versions, context, self);
      },
    });
    const { cleanup, put, due, keys } = opened;
    await put('a', 'b');
    expect((await cleanup.retire(await due(['a']))).retired).toHaveLength(1);
    expect(seen).toEqual([
      ['files/a', 'files/b'],
      ['files/a', 'files/b', 'files/late'],
    ]);
    expect(await keys()).toEqual(['files/b', 'files/late']);
  });

  it('gives way to changes that do not end', async () => {
    let calls = 0;
    const opened: Opened = await open({
      async retire(versions, context, self) {
        await opened.put(`late-${(calls += 1)}`);
        return await files.retire(versions, context, self);
      },
    });
    const { cleanup, put, due, keys } = opened;
    await put('a');
    expect(await cleanup.retire(await due(['a']))).toMatchObject({ retired: [], spared: [{ reason: 'changed' }] });
    expect(await keys()).toContain('files/a');
    expect(calls).toBeGreaterThan(5);
  });

  it('lets one of two replicas remove a version', async () => {
    const first = await open();
    const second = await open({}, { shared: first });
    await first.put('a', 'b', 'c');
    const going = await first.due(['a', 'b']);
    const results = await Promise.all([first.cleanup.retire(going), second.cleanup.retire(going)]);
    expect(results.map(({ retired }) => retired.length).sort()).toEqual([0, 2]);
    expect(results.flatMap(({ spared }) => spared.map(({ reason }) => reason))).toEqual(['changed', 'changed']);
    expect(await first.keys()).toEqual(['files/c']);
  });

  it('removes nothing when a hook fails or contradicts itself', async () => {
    for (const retire of [
      () => Promise.reject(new Error('no')),
      async () => ({ remove: ['files/a', 'files/a'] }),
      async () => ({
        remove: ['files/a'],
        replace: [{ key: 'files/a', bytes: Buffer.of(1), mediaType: 'text/plain' }],
      }),
    ]) {
      const { cleanup, put, due, keys } = await open({ retire });
      await put('a');
      await expect(cleanup.retire(await due(['a']))).rejects.toMatchObject({ kind: 'plugin' });
      expect(await keys()).toEqual(['files/a']);
    }
    const { cleanup } = await open({
      // oxlint-disable-next-line require-yield -- it fails before it has anything
      async *stored() {
        throw new Error('no');
      },
    });
    await expect(Array.fromAsync(cleanup.stored())).rejects.toMatchObject({ kind: 'plugin' });
  });

  it('is not there where the format has none', async () => {
    expect((await openHarness({ kind: 'hosted', side: hostedSide() })).repository.cleanup).toBeUndefined();
    expect((await openHarness()).repository.cleanup).toBeUndefined();
  });
});
