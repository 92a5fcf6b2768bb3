import { FakeUpstream } from '@entrepot/core/testing';
import { DebArchive, sha256 } from '@entrepot/fixtures/deb-archive';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ListedRoot } from '../../src/roots/root-refresher.js';
import { TestProcess } from '../cli/test-context.js';
import { openServer, TOKEN, type SpaceServer } from './space-support.js';

const POINTER = '/debian/dists/stable/InRelease';
const PACKAGES = '/debian/dists/stable/main/binary-amd64/Packages';

interface Opened extends SpaceServer {
  readonly upstream: FakeUpstream;
  readonly archive: DebArchive;
  /** Has the mirror what the archive has now. */
  publish(): Promise<void>;
  roots(): Promise<readonly ListedRoot[]>;
  run(...words: string[]): Promise<{ readonly code: number; readonly output: string }>;
}

/** A server whose repository `debian` has a mirror with one package. */
async function start(more = ''): Promise<Opened> {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  const archive = await DebArchive.create();
  const publish = async (): Promise<void> => {
    await archive.publish();
    for (const [path, body] of archive.files) upstream.serve(`/${path}`, { body });
  };
  archive.age = -3_600_000;
  archive.add('hello', '1.0');
  await publish();
  const server = await openServer(`
  debian: { type: deb, upstream: "${upstream.url}"${more} }
  uploads: { type: files, kind: hosted }`);
  return {
    ...server,
    upstream,
    archive,
    publish,
    roots: async () => (await server.api<{ roots: readonly ListedRoot[] }>('GET', '/roots')).json.roots,
    async run(...words) {
      const process = new TestProcess(server.folder);
      process.env = { ADMIN: TOKEN };
      const code = await process.run(...words, '--server', server.urls[0]);
      return { code, output: [...process.output, ...process.errors].join('\n') };
    },
  };
}

describe('roots by the API', () => {
  it('are listed with what was published of them', async () => {
    const { api, get, roots } = await start();
    expect(await roots()).toEqual([]);
    const begun = Date.now();
    expect((await get(POINTER)).status).toBe(200);
    const [root, ...others] = await roots();
    expect(others).toEqual([]);
    expect(root).toMatchObject({ repository: 'debian', name: 'dists/stable', state: 'active' });
    expect(root?.generation).toMatch(/^[0-9a-f]{16}$/);
    expect([root?.publishedAt, root?.usedAt].every((time = 0) => time >= begun)).toBe(true);
    expect(root?.dueAt).toBeGreaterThan(begun + 3_590_000);
    expect((await api('GET', '/roots?repository=debian')).json).toEqual({ roots: [root] });
    const { status, text } = await api('GET', '/roots?repository=uploads');
    expect([status, text.trim()]).toEqual([404, 'No repository uploads has roots; found debian']);
  });

  it('are refreshed, and what came out is told', async () => {
    const { api, get, archive, publish, upstream, logged } = await start();
    await get(POINTER);
    archive.add('hello', '2.0');
    archive.age = -1_800_000;
    await publish();
    const form = { repository: 'debian', root: 'dists/stable' };
    const { json } = await api<{ running: boolean; root: ListedRoot }>('POST', '/roots/refresh', form);
    expect(json).toMatchObject({ running: false, root: { name: 'dists/stable', state: 'active' } });
    expect((await get(POINTER)).text).toBe(archive.files.get('dists/stable/InRelease')?.toString());
    expect(logged('refreshed')).toMatchObject([{ repository: 'debian', root: 'dists/stable', state: 'active' }]);
    await upstream.goOffline();
    const failed = await api<{ root: ListedRoot }>('POST', '/roots/refresh', form);
    expect(failed.json.root).toMatchObject({ state: 'suspect', generation: json.root.generation });
    expect(failed.json.root.error).toContain('InRelease');
    expect(logged('a root is in another state').at(-1)).toMatchObject({ before: 'active', state: 'suspect' });
  });

  it('are refused to others, and where they are not known', async () => {
    const { api } = await start();
    const refresh = async (form: unknown) => (await api('POST', '/roots/refresh', form)).status;
    expect((await api('GET', '/roots', undefined, 'wrong')).status).toBe(401);
    expect((await api('POST', '/roots/refresh', {}, 'wrong')).status).toBe(401);
    expect(await refresh({ repository: 'debian', root: 'dists/other' })).toBe(404);
    expect(await refresh({ repository: 'uploads', root: '' })).toBe(404);
    for (const form of [{}, { repository: 'debian' }, { repository: 'debian', root: 'x'.repeat(1025) }, { other: 1 }])
      expect(await refresh(form)).toBe(400);
  });

  it('are counted by their state', async () => {
    const { get } = await start();
    await get(POINTER);
    const { text } = await get('/metrics');
    expect(text).toContain('entrepot_repository_roots{repository="debian",state="active"} 1');
    expect(text).toContain('entrepot_repository_roots{repository="debian",state="removed"} 0');
  });
});

describe('roots by the command line', () => {
  it('are listed and refreshed', async () => {
    const { get, run, upstream } = await start();
    expect(await run('roots')).toEqual({ code: 0, output: 'no client has asked for any root yet' });
    await get(POINTER);
    const listed = await run('roots', 'debian');
    expect([listed.code, listed.output]).toEqual([
      0,
      expect.stringMatching(/^repository .*\ndebian +dists\/stable +active/),
    ]);
    const { code, output } = await run('refresh', 'debian', 'dists/stable');
    expect([code, output]).toEqual([
      0,
      expect.stringMatching(/^debian\/dists\/stable: active, generation [0-9a-f]{16}, published/),
    ]);
    await upstream.goOffline();
    const failed = await run('refresh', 'debian', 'dists/stable');
    expect([failed.code, failed.output]).toEqual([1, expect.stringMatching(/: suspect, .*\n.*InRelease/)]);
    expect((await run('refresh', 'debian')).code).toBe(1);
  });
});

describe('a repository at its quota', () => {
  it('evicts packages, and no document of a generation that clients may still read', async () => {
    const { get, archive, publish, api } = await start(', quota: 2MiB');
    await get(POINTER);
    const first = archive.files.get(PACKAGES.slice('/debian/'.length)) as Buffer;
    const byHash = `${PACKAGES.slice(0, -'Packages'.length)}by-hash/SHA256/${sha256(first)}`;
    expect((await get(byHash)).text).toBe(first.toString());
    for (let count = 1; count <= 6; count += 1) archive.add(`large-${count}`, '1', { size: 700 * 1024 });
    archive.age = -1_800_000;
    await publish();
    await api('POST', '/roots/refresh', { repository: 'debian', root: 'dists/stable' });
    const packages = archive.packages
      .filter(({ name }) => name.startsWith('large'))
      .map(({ path }) => `/debian/${path}`);
    for (const path of [...packages, ...packages]) expect((await get(path)).status).toBe(200);
    const hits = [];
    for (const path of packages) hits.push((await get(path)).cache);
    expect(hits).toContain('MISS');
    expect((await get(byHash)).cache).toBe('HIT');
  });
});

describe('a purge of what an index leads to', () => {
  it('removes a package, an index file or a suite by its path', async () => {
    const { api, get, archive } = await start();
    const deb = `/debian/${archive.packages[0]?.path}`;
    await get(POINTER);
    for (const path of [deb, PACKAGES]) {
      expect((await get(path)).status).toBe(200);
      expect((await get(path)).cache).toBe('HIT');
      expect((await api('POST', '/purge', { subject: path })).json).toMatchObject({ state: 'done', entries: 1 });
      expect((await get(path)).cache).toBe('MISS');
    }
    expect((await api('POST', '/purge', { subject: '/debian/pool/main/o/other_1_all.deb' })).status).toBe(404);
    const { json } = await api('POST', '/purge', { subject: '/debian/dists/stable' });
    // The generations, and three pointer documents as they are kept and as the mirror had them.
    expect(json).toMatchObject({ state: 'done', entries: 7 });
    expect((await api('POST', '/purge', { subject: '/debian/dists/stable' })).json).toMatchObject({ entries: 0 });
    expect((await get(POINTER)).status).toBe(200);
    expect((await get(deb)).cache).toBe('HIT');
  });
});
