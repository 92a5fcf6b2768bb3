import { describe, expect, it } from 'vitest';
import { openServer, openUpstream, until, type SpaceServer, type Upstream } from './space-support.js';

const PATHS = [
  '/npm/tool',
  '/npm/tool/-/tool-1.0.0.tgz',
  '/npm/tool/-/tool-2.0.0.tgz',
  '/npm/other',
  '/v2/images/app/manifests/latest',
];

/** A server on which everything is fresh for so long that only a purge makes it be fetched again. */
async function start(): Promise<SpaceServer & { readonly upstream: Upstream }> {
  const upstream = await openUpstream();
  const { url } = upstream.fake;
  const server = await openServer(`
  npm: { type: npm, upstream: "${url}", cache: { packument: { freshFor: 1h, negativeFor: 1h } } }
  images: { type: oci, upstream: "${url}", cache: { tag: { freshFor: 1h } } }
  apart: { type: files, upstream: "${url}", listen: "127.0.0.1:0" }
  uploads: { type: files, kind: hosted }`);
  upstream.putPackage('tool', ['1.0.0', '2.0.0']);
  upstream.putPackage('other', ['1.0.0']);
  upstream.putImage('app', 'latest', 'one');
  upstream.fake.serve('/file.txt', { body: 'a file' });
  return { ...server, upstream };
}

/** Those of `PATHS` that are fetched again, when each is asked for once. */
async function fetchedAgain({ get }: SpaceServer): Promise<readonly string[]> {
  const found: string[] = [];
  for (const path of PATHS) {
    const { status, cache } = await get(path);
    expect([path, status]).toEqual([path, 200]);
    if (cache !== 'HIT') found.push(path);
  }
  return found;
}

describe('a purge by the API', () => {
  it('makes what it names be fetched anew at the next request', async () => {
    const server = await start();
    const { api } = server;
    await fetchedAgain(server);
    expect(await fetchedAgain(server)).toEqual([]);
    const port = new URL(server.urls[0]).port;
    const [document, one, two, , image] = PATHS as [string, string, string, string, string];
    const subjects: [subject: string, again: readonly string[], entries?: number][] = [
      ['pkg:npm/tool@1.0.0', [one]],
      ['pkg:npm/tool', [document, one, two]],
      ['npm/tarball/**', [one, two]],
      ['npm/packument/{tool,other}', [document, '/npm/other']],
      ['/npm/tool', [document]],
      ['/npm/tool/-/tool-2.0.0.tgz', [two]],
      ['/npm/tool?write=true', [document]],
      [`${server.urls[0]}/npm/tool`, [document]],
      [`http://localhost:${port}/npm/tool#part`, [document]],
      ['/v2/images/app/manifests/latest', [image]],
      ['/v2/images/app/manifests/latest?ns=docker.example.com', [image]],
      [`http://localhost:${port}/v2/images/app/manifests/latest`, [image]],
      // The manifest is an entry by its digest, too.
      ['images/**', [image], 2],
      ['npm/nothing/**', [], 0],
      ['pkg:npm/nothing@1.0.0', [], 0],
    ];
    for (const [subject, again, entries = again.length] of subjects) {
      // Whoever asks a second time waits until it is kept.
      expect(await fetchedAgain(server)).toEqual([]);
      const foretold = await api('POST', '/purge', { subject, dryRun: true });
      expect(await fetchedAgain(server)).toEqual([]);
      const { status, json } = await api('POST', '/purge', { subject });
      const { blobs, bytes } = foretold.json;
      expect([subject, status]).toEqual([subject, 200]);
      expect(json).toMatchObject({ subject, state: 'done', dryRun: false, entries, blobs, bytes, kept: [] });
      expect([subject, await fetchedAgain(server)]).toEqual([subject, again]);
    }
  });

  it('shows what the upstream has changed, and what it lacked', async () => {
    const { api, get, upstream } = await start();
    expect((await get('/npm/tool')).text).toContain('"2.0.0"');
    upstream.putPackage('tool', ['1.0.0', '2.0.0', '3.0.0']);
    expect((await get('/npm/missing')).status).toBe(404);
    upstream.putPackage('missing', ['1.0.0']);
    expect((await get('/npm/tool')).text).not.toContain('"3.0.0"');
    expect((await get('/npm/missing')).status).toBe(404);
    expect((await api('POST', '/purge', { subject: '/npm/tool' })).json).toMatchObject({ entries: 1, blobs: 1 });
    expect((await get('/npm/tool')).text).toContain('"3.0.0"');
    expect((await get('/npm/missing')).status).toBe(404);
    expect((await api('POST', '/purge', { subject: '/npm/missing' })).json).toMatchObject({ entries: 0, blobs: 0 });
    expect((await get('/npm/missing')).text).toContain('"1.0.0"');
  });

  it('finds repositories with a listener of their own by their URL', async () => {
    const { api, get, urls } = await start();
    const url = `${urls[1]}/apart/file.txt`;
    await get(url);
    expect((await get(url)).cache).toBe('HIT');
    expect((await api('POST', '/purge', { subject: url })).json).toMatchObject({ entries: 1, bytes: 'a file'.length });
    expect((await get(url)).cache).toBe('MISS');
  });

  it('is a line in the log, with who did it', async () => {
    const { api, get, logged } = await start();
    await get('/npm/other');
    await api('POST', '/purge', { subject: '/npm/other', dryRun: true, by: 'ann' });
    await api('POST', '/purge', { subject: '/npm/other', by: 'ann' });
    expect(logged('purged')).toEqual([
      { by: 'ann', subject: '/npm/other', state: 'done', entries: 1, blobs: 1, bytes: expect.any(Number), kept: [] },
    ]);
  });

  it('removes uploads only where that is said', async () => {
    const { api, get, urls } = await start();
    for (const name of ['a', 'b'])
      expect((await fetch(`${urls[0]}/uploads/${name}.txt`, { method: 'PUT', body: name })).status).toBe(201);
    for (const subject of ['/uploads/a.txt', 'uploads/**', 'uploads/a.txt']) {
      const { status, text } = await api('POST', '/purge', { subject });
      expect([status, text]).toEqual([409, expect.stringContaining('uploads is a hosted repository')]);
    }
    expect((await get('/uploads/a.txt')).status).toBe(200);
    expect((await api('POST', '/purge', { subject: '/uploads/a.txt', hosted: true })).json).toMatchObject({
      entries: 1,
    });
    expect((await get('/uploads/a.txt')).status).toBe(404);
    expect((await get('/uploads/')).text).not.toContain('a.txt');
    expect((await get('/uploads/b.txt')).status).toBe(200);
  });

  it('is refused without the right to administer', async () => {
    const { api, get } = await start();
    await get('/npm/other');
    for (const token of ['', 'another-token-of-that-length'])
      for (const [method, path] of [
        ['POST', '/purge'],
        ['GET', '/pins'],
        ['POST', '/pins'],
        ['DELETE', '/pins/one'],
        ['GET', '/usage'],
        ['GET', '/usage/packages'],
        ['GET', '/usage/ages'],
      ] as const)
        expect((await api(method, path, method === 'POST' ? { subject: 'npm/**' } : undefined, token)).status).toBe(
          401,
        );
    expect((await get('/npm/other')).cache).toBe('HIT');
  });

  it.each([
    [{}, 400, 'subject: '],
    [{ subject: '' }, 400, 'subject: '],
    [{ subject: 'npm\u0000/**' }, 400, 'subject: expected a text without NUL'],
    [{ subject: 'npm/**', more: 1 }, 400, 'more'],
    [{ subject: 'npm/**', batchSize: 0 }, 400, 'batchSize: '],
    [{ subject: 'npm/**', hosted: 'yes' }, 400, 'hosted: '],
    [{ subject: 'npm' }, 400, 'expected a package URL such as'],
    [{ subject: 'nmp/**' }, 400, 'there is no repository "nmp"; did you mean npm?'],
    [{ subject: 'nowhere/**' }, 400, 'expected one of apart, images, npm, uploads'],
    [{ subject: 'npm/[a' }, 400, 'a [ is not closed'],
    [{ subject: 'pkg:npm' }, 400, 'expected a package URL'],
    [
      { subject: '/nowhere/tool' },
      400,
      'no repository is mounted at /nowhere/tool; expected a path below one of /npm, ',
    ],
    [
      { subject: 'https://registry.example.com/npm/tool' },
      400,
      'is no URL of a repository of this server; expected one below localhost:',
    ],
    [{ subject: 'http://' }, 400, 'expected a URL, found "http://"'],
    [{ subject: '/npm/-/v1/search?text=tool' }, 404, 'nothing is stored for /npm/-/v1/search?text=tool itself'],
    [{ subject: '/npm/-/nothing' }, 404, 'nothing is stored for /npm/-/nothing itself'],
    [{ subject: '/uploads/../npm/tool' }, 400, '".." segment'],
    [{ subject: '/v2/' }, 404, 'nothing is stored for /v2/ itself'],
    [{ subject: '/npm/tool/a/b/c' }, 404, 'Nothing is served under this path'],
  ])('refuses %j', async (form, status, message) => {
    const { api } = await start();
    const answer = await api('POST', '/purge', form);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(message)]);
  });
});

describe('two servers on one database', () => {
  it('forget what either of them purges within a second or two', async () => {
    const upstream = await openUpstream();
    const repositories = `  npm: { type: npm, upstream: "${upstream.fake.url}", cache: { packument: { freshFor: 1h, negativeFor: 1h } } }`;
    const one = await openServer(repositories);
    const other = await openServer(repositories, one.folder);
    upstream.putPackage('tool', ['1.0.0']);
    for (const { get } of [one, other]) {
      expect((await get('/npm/tool')).status).toBe(200);
      expect((await get('/npm/tool')).cache).toBe('HIT');
      expect((await get('/npm/missing')).status).toBe(404);
    }
    upstream.putPackage('tool', ['1.0.0', '2.0.0']);
    upstream.putPackage('missing', ['1.0.0']);
    expect((await other.get('/npm/tool')).text).not.toContain('"2.0.0"');
    const startedAt = performance.now();
    for (const subject of ['/npm/tool', '/npm/missing']) await one.api('POST', '/purge', { subject });
    await until(async () => (await other.get('/npm/tool')).text.includes('"2.0.0"'));
    await until(async () => (await other.get('/npm/missing')).status === 200);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

describe('a purge that takes long', () => {
  it('is told of by its id, and can be ended', async () => {
    const { api, get } = await start();
    await get('/npm/other');
    type Status = { readonly id: string };
    const { json } = await api<Status>('POST', '/purge', { subject: 'npm/**' });
    expect((await api('GET', `/purge/${json.id}`)).json).toEqual(json);
    // It has ended before.
    expect((await api('DELETE', `/purge/${json.id}`)).json).toEqual(json);
    for (const method of ['GET', 'DELETE'])
      expect(await api(method, '/purge/none')).toMatchObject({ status: 404, text: 'This server has no purge none' });
  });
});
