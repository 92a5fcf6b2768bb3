import { describe, expect, it } from 'vitest';
import { openServer, openUpstream, until, type SpaceServer } from '../admin/space-support.js';

async function open(): Promise<SpaceServer> {
  const { fake, putPackage } = await openUpstream();
  putPackage('tool', ['1.0.0', '1.9.0', '1.10.0']);
  putPackage('tool-box', ['1.0.0']);
  const server = await openServer(`  npm: { type: npm, upstream: "${fake.url}" }
  uploads: { type: files, kind: hosted }`);
  for (const path of ['/npm/tool', '/npm/tool/-/tool-1.9.0.tgz', '/npm/tool-box', '/npm/tool-box/-/tool-box-1.0.0.tgz'])
    expect([path, (await server.get(path)).status]).toEqual([path, 200]);
  for (const name of ['a.txt', 'folder/b.txt', 'folder/deep/c.txt'])
    expect((await fetch(`${server.urls[0]}/uploads/${name}`, { method: 'PUT', body: name })).status).toBe(201);
  return server;
}

interface Page {
  readonly children: readonly { readonly path: string; readonly name: string; readonly kind: string }[];
  readonly next?: string;
}

describe('what is kept', () => {
  it('is listed by repository', async () => {
    const { api, urls } = await open();
    const { json } = await api<{ readonly repositories: readonly object[] }>('GET', '/repositories');
    expect(json.repositories).toMatchObject([
      { name: 'npm', kind: 'proxy', type: 'npm', ecosystem: 'npm', mount: '/npm', url: `${urls[0]}/npm`, isOpen: true },
      { name: 'uploads', kind: 'hosted', type: 'files', ecosystem: 'generic', entries: 3, bytes: 34, upstreams: [] },
    ]);
    expect((await api('GET', '/repositories/uploads')).json).toMatchObject({ name: 'uploads', entries: 3 });
    expect(await api('GET', '/repositories/upload')).toMatchObject({
      status: 404,
      text: 'There is no repository "upload"; did you mean uploads?',
    });
  });

  it('is listed by folder, a page at a time', async () => {
    const { api } = await open();
    const path = '/repositories/uploads/entries';
    const first = await api<Page>('GET', `${path}?limit=1`);
    expect(first.json.children).toMatchObject([{ path: 'a.txt', kind: 'entry', entry: { size: 5 } }]);
    const second = await api<Page>('GET', `${path}?limit=1&cursor=${first.json.next}`);
    expect(second.json).toEqual({ prefix: '', children: [{ path: 'folder/', name: 'folder/', kind: 'folder' }] });
    const below = await api<Page>('GET', `${path}?prefix=folder/`);
    expect(below.json.children.map(({ name, kind }) => [name, kind])).toEqual([
      ['b.txt', 'entry'],
      ['deep/', 'folder'],
    ]);
    const keys = await api<Page>('GET', `${path}?view=keys`);
    expect(keys.json.children.map(({ path: key }) => key)).toEqual(['a.txt', 'folder/b.txt', 'folder/deep/c.txt']);
    expect(await api('GET', `${path}?cursor=abc`)).toMatchObject({
      status: 400,
      text: 'cursor: expected the text `next` of the page before',
    });
  });

  it('is found by a part of its name, and by its URL', async () => {
    const { api } = await open();
    const search = async (query: string) =>
      (
        await api<{ readonly packages: readonly { readonly purl: string }[]; readonly next?: string }>(
          'GET',
          `/packages?${query}`,
        )
      ).json;
    expect(await search('q=TOOL')).toEqual({
      takenFor: 'name',
      packages: [
        { purl: 'pkg:npm/tool', type: 'npm', name: 'tool', repositories: [{ name: 'npm', versions: 1 }] },
        { purl: 'pkg:npm/tool-box', type: 'npm', name: 'tool-box', repositories: [{ name: 'npm', versions: 1 }] },
      ],
    });
    const first = await search('q=tool&limit=1');
    expect((await search(`q=tool&limit=1&cursor=${first.next}`)).packages).toMatchObject([
      { purl: 'pkg:npm/tool-box' },
    ]);
    expect(await search('q=pkg:npm/tool@1.9.0')).toMatchObject({
      takenFor: 'purl',
      packages: [{ purl: 'pkg:npm/tool' }],
    });
    expect(await search('q=tool&repository=uploads')).toEqual({ takenFor: 'name', packages: [] });
    expect((await api('GET', '/packages/pkg:npm/tool')).json).toMatchObject({ name: 'tool' });
    expect((await api('GET', `/packages/${encodeURIComponent('pkg:npm/tool')}`)).json).toMatchObject({ name: 'tool' });
    expect((await api('GET', '/packages/pkg:npm/other')).status).toBe(404);
  });

  it('has its versions listed in their order, those too that only a document names', async () => {
    const { api } = await open();
    const list = async (query = '') =>
      (
        await api<{
          readonly total: number;
          readonly next?: string;
          readonly versions: readonly { readonly version: string; readonly isKept: boolean }[];
        }>('GET', `/packages/pkg:npm/tool/versions${query}`)
      ).json;
    const { versions, total } = await list();
    expect(versions.map(({ version, isKept }) => [version, isKept])).toEqual([
      ['1.10.0', false],
      ['1.9.0', true],
      ['1.0.0', false],
    ]);
    expect(total).toBe(3);
    expect(versions[1]).toMatchObject({
      purl: 'pkg:npm/tool@1.9.0',
      repository: 'npm',
      files: 1,
      decision: { action: 'allow' },
    });
    expect((await list('?kept=true')).versions.map(({ version }) => version)).toEqual(['1.9.0']);
    const first = await list('?limit=2');
    expect((await list(`?limit=2&cursor=${first.next}`)).versions.map(({ version }) => version)).toEqual(['1.0.0']);
    expect((await list('?kept=maybe')) as object).toMatchObject({ status: 400 });
  });
});

describe('jobs', () => {
  it('are all long work of the process, whatever began it', async () => {
    const { api } = await open();
    expect((await api('GET', '/jobs')).json).toEqual({ jobs: [] });
    const purge = await api<{ readonly id: string }>('POST', '/purge', { subject: 'npm/**', dryRun: true });
    expect((await api('POST', '/gc', {})).status).toBe(202);
    const ended = async () => {
      const { jobs } = (await api<{ readonly jobs: readonly { readonly state: string }[] }>('GET', '/jobs')).json;
      return jobs.length === 2 && jobs.every(({ state }) => state === 'done');
    };
    await until(ended);
    expect((await api('GET', '/jobs/gc')).json).toMatchObject({ kind: 'gc', state: 'done', canCancel: false });
    expect((await api('GET', `/jobs/purge-${purge.json.id}`)).json).toMatchObject({
      kind: 'purge',
      subject: 'npm/**',
      dryRun: true,
    });
    expect((await api('DELETE', '/jobs/gc')).status).toBe(409);
    expect((await api('DELETE', '/jobs/none')).status).toBe(404);
  });
});
