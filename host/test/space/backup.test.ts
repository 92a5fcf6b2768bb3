import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FilesystemBlobStore } from '../../src/drivers/blob/filesystem.js';
import { SqlMetaStore } from '../../src/drivers/sql/meta-store.js';
import { backUp, restore, withoutDeletions } from '../../src/space/backup.js';
import { adoptStore, joinStores } from '../../src/space/belonging.js';
import { HOUR, openSpace, type Opened } from './support.js';

function copy({ database, blobs, space, root }: Opened) {
  return backUp({ database, blobs, leases: space.leases }, join(root, 'backup'));
}

async function openEmpty(root: string) {
  return {
    database: join(root, 'restored.db'),
    blobs: await FilesystemBlobStore.open({ path: join(root, 'restored'), durability: 'relaxed' }),
  };
}

describe('a backup', () => {
  it('has every entry with its bytes, and comes back as it was', async () => {
    const opened = await openSpace();
    const { put, database, blobs, root } = opened;
    await joinStores(new SqlMetaStore(database), blobs);
    for (let number = 0; number < 20; number += 1) await put('hosted', `${number}`, `upload ${number}`);
    await put('proxy', 'changing', 'old');
    await put('proxy', 'changing', 'new');
    const made = await copy(opened);
    expect(made).toMatchObject({ entries: 21, blobs: 21, storeId: await blobs.storeId() });
    const target = await openEmpty(root);
    expect(await restore(join(root, 'backup'), target)).toMatchObject({ entries: 21, blobs: 21 });
    const again = await openSpace({ root: join(root, 'again') });
    expect(await again.files()).toEqual([]);
    const restored: string[] = [];
    for await (const { digest } of target.blobs.list()) restored.push(digest);
    expect(restored.length).toBe(21);
    expect(await target.blobs.storeId()).toBe(made.storeId);
    expect((await stat(target.database)).mode & 0o777).toBe(0o600);
  });

  it('is made anew with what is new', async () => {
    const opened = await openSpace();
    await opened.put('hosted', 'a', 'one');
    await copy(opened);
    await opened.put('hosted', 'b', 'two');
    expect(await copy(opened)).toMatchObject({ entries: 2, blobs: 2 });
    expect((await readdir(join(opened.root, 'backup'))).sort()).toEqual(['backup.json', 'blobs', 'entrepot.db']);
  });

  it('keeps the collector from what it copies', async () => {
    const { space, storage, clock, put, files } = await openSpace();
    await put('hosted', 'a', 'one');
    await storage.entries.remove('hosted', 'a');
    await space.collect();
    clock.advance(2 * HOUR);
    await withoutDeletions(space.leases, async () => {
      expect(await space.collect()).toMatchObject({ deleted: { blobs: 0 } });
      await expect(withoutDeletions(space.leases, async () => {})).rejects.toMatchObject({ code: 'COPYING' });
    });
    expect(await space.collect()).toMatchObject({ deleted: { blobs: 1 } });
    expect(await files()).toEqual([]);
  });

  it('fails where it was not heard of for so long that something may be gone', async () => {
    const { space, clock } = await openSpace();
    await expect(withoutDeletions(space.leases, async () => clock.advance(HOUR))).rejects.toMatchObject({
      code: 'COPY_LOST',
    });
  });

  it('fails where a blob is damaged, and names it', async () => {
    const opened = await openSpace();
    const { digest } = await opened.put('hosted', 'a', 'whole');
    await writeFile((await opened.blobs.pathOf(digest)) as string, 'broke');
    await expect(copy(opened)).rejects.toThrow(`1 blobs of entries are missing or damaged: ${digest}`);
    expect(await readdir(join(opened.root, 'backup'))).toEqual(['blobs']);
  });

  it('goes nowhere where something is already', async () => {
    const opened = await openSpace();
    const { root, database, blobs } = opened;
    await joinStores(new SqlMetaStore(database), blobs);
    await opened.put('hosted', 'a', 'one');
    await copy(opened);
    const from = join(root, 'backup');
    await expect(restore(from, { database: join(root, 'entrepot.db'), blobs })).rejects.toThrow('exists');
    await expect(restore(from, { database: join(root, 'new.db'), blobs })).rejects.toThrow('the store has blobs');
    await expect(restore(root, await openEmpty(root))).rejects.toThrow('holds no backup');
    const other = await openSpace();
    await joinStores(new SqlMetaStore(other.database), other.blobs);
    const { space } = other;
    await expect(backUp({ database: other.database, blobs: other.blobs, leases: space.leases }, from)).rejects.toThrow(
      'a backup of another store',
    );
    await rm(join(from, 'backup.json'));
    await writeFile(join(from, 'backup.json'), '{"version":99}');
    await expect(restore(from, await openEmpty(root))).rejects.toThrow('expected the summary of a backup of version 1');
  });
});

describe('a database and a store', () => {
  it('are joined once, and told apart from others', async () => {
    const one = await openSpace();
    const other = await openSpace();
    const meta = new SqlMetaStore(one.database);
    await joinStores(meta, one.blobs);
    await joinStores(meta, one.blobs);
    await joinStores(new SqlMetaStore(other.database), other.blobs);
    await expect(joinStores(meta, other.blobs)).rejects.toThrow('do not belong together');
    await adoptStore(meta, other.blobs);
    await joinStores(meta, other.blobs);
    expect(JSON.parse(await readFile(join(other.root, 'blobs', 'layout.json'), 'utf8'))).toMatchObject({ version: 1 });
  });
});
