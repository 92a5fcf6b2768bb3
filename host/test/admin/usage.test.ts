import { statfs } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { openServer, openUpstream, type SpaceServer } from './space-support.js';
import { join } from 'node:path';

const DAY = 86_400_000;

async function start() {
  const upstream = await openUpstream();
  const server = await openServer(
    `
  npm: { type: npm, upstream: "${upstream.fake.url}", quota: 1GiB }
  uploads: { type: files, kind: hosted }`,
  );
  upstream.putPackage('tool', ['1.0.0', '2.0.0']);
  upstream.putPackage('other', ['1.0.0']);
  for (const path of ['tool', 'tool/-/tool-1.0.0.tgz', 'tool/-/tool-2.0.0.tgz', 'other'])
    expect((await server.get(`/npm/${path}`)).status).toBe(200);
  for (const name of ['a', 'b']) await fetch(`${server.urls[0]}/uploads/${name}`, { method: 'PUT', body: 'the same' });
  return server;
}

/** Says when entries were last served. */
async function serve({ folder }: SpaceServer, times: Readonly<Record<string, number | null>>): Promise<void> {
  const database = await openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
  for (const [key, accessed_at] of Object.entries(times))
    await database.updateTable('entries').set({ accessed_at }).where('key', '=', key).execute();
  await database.destroy();
}

describe('usage by the API', () => {
  it('is told for all blobs and for each repository', async () => {
    const server = await start();
    const { json } = await server.api('GET', '/usage');
    const { bavail, bsize } = await statfs(server.folder);
    const sizes = new Map<string, number>();
    for (const path of ['tool/-/tool-1.0.0.tgz', 'tool/-/tool-2.0.0.tgz'])
      sizes.set(path, (await server.get(`/npm/${path}`)).text.length);
    expect(json).toMatchObject({ blobs: 5, reserve: 256 * 2 ** 20, isFull: false, isVolumeFull: false });
    expect(json['maxBytes']).toBeUndefined();
    expect(Math.abs(Number(json['freeBytes']) - bavail * bsize)).toBeLessThan(bavail * bsize * 0.5);
    const [npm, uploads] = json['repositories'] as [{ bytes: number }, object];
    expect(npm).toMatchObject({ name: 'npm', kind: 'proxy', entries: 4, quota: 2 ** 30, isFull: false });
    expect(uploads).toEqual({ name: 'uploads', kind: 'hosted', entries: 2, bytes: 16, isFull: false });
    expect(json['bytes']).toBe(npm.bytes + 8);
  });

  it('is told for the packages that take most', async () => {
    const server = await start();
    await serve(server, {
      'packument/tool': 1000,
      'tarball/tool/-/tool-1.0.0.tgz': 3000,
      'tarball/tool/-/tool-2.0.0.tgz': null,
    });
    await serve(server, { 'packument/other': null });
    type Answer = { readonly packages: readonly { readonly bytes: number }[] };
    const { json } = await server.api<Answer>('GET', '/usage/packages?repository=npm');
    expect(json.packages).toEqual([
      { repository: 'npm', purl: 'pkg:npm/tool', entries: 3, bytes: expect.any(Number), lastServedAt: 3000 },
      { repository: 'npm', purl: 'pkg:npm/other', entries: 1, bytes: expect.any(Number) },
    ]);
    expect(json.packages[0]?.bytes).toBeGreaterThan(json.packages[1]?.bytes as number);
    expect((await server.api<Answer>('GET', '/usage/packages?limit=1')).json.packages).toEqual([json.packages[0]]);
  });

  it('is told by the time since entries were last served', async () => {
    const server = await start();
    const ago = (days: number): number => Date.now() - days * DAY;
    await serve(server, { a: ago(0.5), b: ago(6), 'packument/tool': ago(29), 'packument/other': ago(89) });
    await serve(server, { 'tarball/tool/-/tool-1.0.0.tgz': ago(500), 'tarball/tool/-/tool-2.0.0.tgz': null });
    type Answer = {
      readonly ages: readonly { readonly age: string; readonly entries: number; readonly bytes: number }[];
    };
    const { json } = await server.api<Answer>('GET', '/usage/ages');
    expect(json.ages.map(({ age, entries }) => [age, entries])).toEqual([
      ['1d', 1],
      ['7d', 1],
      ['30d', 1],
      ['90d', 1],
      ['1y', 0],
      ['older', 1],
      ['never', 1],
    ]);
    const own = await server.api<Answer>('GET', '/usage/ages?repository=uploads');
    expect(own.json.ages.slice(0, 3)).toEqual([
      { age: '1d', entries: 1, bytes: 8 },
      { age: '7d', entries: 1, bytes: 8 },
      { age: '30d', entries: 0, bytes: 0 },
    ]);
  });

  it.each([
    ['/usage/packages?repository=nmp', 'did you mean npm?'],
    ['/usage/packages?limit=0', 'limit: expected a whole number from 1 to 10000'],
    ['/usage/ages?repository=nmp', 'did you mean npm?'],
  ])('refuses %s', async (path, message) => {
    const { api } = await start();
    expect(await api('GET', path)).toMatchObject({ status: 400, text: expect.stringContaining(message) });
  });
});

describe('a project', () => {
  it('refuses uploads to any of its repositories past its quota, and is shown', async () => {
    const server = await openServer(
      `
  one: { type: files, kind: hosted }
  two: { type: files, kind: hosted }
projects: { acme: { repositories: [one, two], quota: 1MiB } }`,
    );
    const put = async (path: string) => {
      const answer = await fetch(`${server.urls[0]}/${path}`, { method: 'PUT', body: Buffer.alloc(600_000, path) });
      return { status: answer.status, text: await answer.text() };
    };
    expect((await put('one/a')).status).toBe(201);
    const refused = await put('two/b');
    expect(refused).toMatchObject({ status: 507, text: expect.stringContaining('the project acme') as string });
    const { json } = await server.api('GET', '/usage');
    expect(json['projects']).toEqual([
      { name: 'acme', repositories: ['one', 'two'], bytes: 600_000, quota: 2 ** 20, isFull: false },
    ]);
    const { text } = await server.get('/metrics');
    for (const line of [
      'entrepot_project_bytes{project="acme"} 600000',
      'entrepot_project_quota_bytes{project="acme"} 1048576',
      'entrepot_storage_full{scope="project",repository="acme"} 0',
    ])
      expect(text).toContain(line);
  });
});

describe('metrics', () => {
  it('show what is kept, what room there is, and what was deleted', async () => {
    const { api, get } = await start();
    await api('POST', '/purge', { subject: 'npm/packument/other' });
    const { text } = await get('/metrics');
    const samples = text.split('\n').filter((line) => /^entrepot_(?:storage|repository)_/.test(line));
    expect(samples).toEqual(
      expect.arrayContaining([
        'entrepot_storage_blobs 4',
        expect.stringMatching(/^entrepot_storage_bytes \d+$/),
        expect.stringMatching(/^entrepot_storage_free_bytes \d+$/),
        'entrepot_repository_entries{repository="npm"} 3',
        'entrepot_repository_entries{repository="uploads"} 2',
        'entrepot_repository_bytes{repository="uploads"} 16',
        'entrepot_repository_quota_bytes{repository="npm"} 1073741824',
        'entrepot_storage_full{scope="store",repository=""} 0',
        'entrepot_storage_full{scope="volume",repository=""} 0',
        'entrepot_storage_full{scope="repository",repository="npm"} 0',
        'entrepot_storage_deleted_blobs_total{reason="purged"} 1',
        expect.stringMatching(/^entrepot_storage_deleted_bytes_total\{reason="purged"\} \d+$/),
      ]),
    );
    expect(samples.join('\n')).not.toContain('entrepot_storage_max_bytes ');
  });
});
