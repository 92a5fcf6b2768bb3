import { describe, expect, it } from 'vitest';
import { SqlEntryBrowser } from '../../../src/drivers/sql/entry-browser.js';
import { SqlEntryIndex } from '../../../src/drivers/sql/entry-index.js';
import { SqlPackageSearch, type NameQuery } from '../../../src/drivers/sql/package-search.js';
import { DATABASES, openDatabase } from '../../scanning/support.js';
import { entryOf } from '../../space/support.js';

async function open(kind: (typeof DATABASES)[number]) {
  const { database } = await openDatabase(kind);
  const index = new SqlEntryIndex(database);
  const put = async (repository: string, key: string, ecosystem?: string, name = '', version?: string) => {
    const coordinates = ecosystem === undefined ? undefined : { ecosystem, name, version };
    const entry = entryOf(repository, key, Buffer.from('x'), { coordinates, fetchedAt: 1 });
    const { digest, size } = entry;
    const row = { digest, size, state: 'live' as const, seq: 1, visited: 0, since: 0 };
    await database
      .insertInto('blobs')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await index.replace(entry);
  };
  const search = new SqlPackageSearch(database);
  const found = async (text: string, more: Partial<NameQuery> = {}) =>
    (await search.names({ text, limit: 100, ...more })).map(({ ecosystem, name }) => `${ecosystem} ${name}`);
  return { database, index, put, search, found, browser: new SqlEntryBrowser(database) };
}

describe.each(DATABASES)('a search for names in %s', (kind) => {
  it('finds the beginning of names first, then the rest, in any case and over all formats', async () => {
    const { put, found } = await open(kind);
    for (const name of ['react', 'React-DOM', '@acme/react', 'preact', 'left-pad', 'ré-act'])
      await put('npm', name, 'npm', name, '1.0.0');
    await put('py', 'react', 'pypi', 'react', '1.0');
    await put('npm', 'nameless');
    expect(await found('REACT')).toEqual(['npm react', 'pypi react', 'npm React-DOM', 'npm preact', 'npm @acme/react']);
    expect(await found('react', { ecosystem: 'pypi' })).toEqual(['pypi react']);
    expect(await found('react', { repository: 'py' })).toEqual(['pypi react']);
    expect(await found('re')).toEqual(['npm react', 'pypi react', 'npm React-DOM']);
    expect(await found('ré-a')).toEqual(['npm ré-act']);
    expect(await found('')).toHaveLength(7);
    for (const odd of ['%', '_eact', '"', "'; drop table names; --", 'a"b"c', '***', 'NEAR(a b)', '\\', '-'])
      expect([odd, await found(odd)]).toEqual([odd, []]);
  });

  it('goes on where the page before ended, and misses nothing', async () => {
    const { put, search } = await open(kind);
    const wanted = Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? `lib-${at}` : `my-lib-${at}`));
    for (const name of wanted) await put('npm', name, 'npm', name);
    const all = (await search.names({ text: 'lib', limit: 100 })).map(({ name }) => name);
    expect([...all].sort()).toEqual([...wanted].sort());
    const paged: string[] = [];
    for (let after; ;) {
      const page = await search.names({ text: 'lib', limit: 7, after });
      paged.push(...page.map(({ name }) => name));
      after = page.at(-1);
      if (page.length < 7) break;
    }
    expect(paged).toEqual(all);
  });

  it('finds nothing any more of what is gone, and what has got another name', async () => {
    const { put, index, found, search } = await open(kind);
    await put('npm', 'a', 'npm', 'first-name', '1.0.0');
    await put('npm', 'b', 'npm', 'first-name', '2.0.0');
    await put('copy', 'a', 'npm', 'first-name', '2.0.0');
    expect(await search.uses([{ ecosystem: 'npm', name: 'first-name' }])).toEqual([
      { ecosystem: 'npm', name: 'first-name', repository: 'copy', versions: 1 },
      { ecosystem: 'npm', name: 'first-name', repository: 'npm', versions: 2 },
    ]);
    await index.remove('npm', 'a');
    await index.remove('copy', 'a');
    expect(await found('first')).toEqual(['npm first-name']);
    await put('npm', 'b', 'npm', 'second-name', '2.0.0');
    expect(await found('first')).toEqual([]);
    expect(await found('name')).toEqual(['npm second-name']);
    await index.remove('npm', 'b');
    expect([await found('second'), await found('name')]).toEqual([[], []]);
    expect(await search.uses([])).toEqual([]);
  });
});

describe.each(DATABASES)('the folders of a repository in %s', (kind) => {
  it('are listed a level at a time, page by page', async () => {
    const { put, browser } = await open(kind);
    const keys = ['a', 'a/1', 'a/2/x', 'a/2/y', 'a/b', 'a0', 'b/', 'b//c', 'ü/1', 'ü/😀/2', '😀'];
    for (const key of keys) await put('one', key);
    await put('other', 'z/1');
    const list = async (prefix: string, limit: number) => {
      const paths: string[] = [];
      for (let after: string | undefined; ;) {
        const page = await browser.children({ repository: 'one', prefix, after, limit });
        paths.push(...page.map(({ path, entry }) => (entry === undefined ? `${path} …` : path)));
        after = page.at(-1)?.path;
        if (page.length < limit) return paths;
      }
    };
    for (const limit of [1, 2, 3, 100]) {
      expect(await list('', limit)).toEqual(['a', 'a/ …', 'a0', 'b/ …', 'ü/ …', '😀']);
      expect(await list('a/', limit)).toEqual(['a/1', 'a/2/ …', 'a/b']);
      expect(await list('b/', limit)).toEqual(['b/', 'b// …']);
      expect(await list('ü/', limit)).toEqual(['ü/1', 'ü/😀/ …']);
      expect(await list('none', limit)).toEqual([]);
    }
    const flat = await browser.entries({ repository: 'one', prefix: 'a/', after: 'a/1', limit: 2 });
    expect(flat.map(({ path }) => path)).toEqual(['a/2/x', 'a/2/y']);
    expect(flat[0]?.entry).toMatchObject({ size: 1, fetchedAt: 1, digest: expect.stringContaining('sha256:') });
  });
});
