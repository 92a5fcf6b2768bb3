import { describe, expect, it } from 'vitest';
import { FixedPolicy } from '@entrepot/core/testing';
import { goModule, openGo } from './fixtures.js';

const SUMDB = '/sumdb/sumdb.test';

describe('modules', () => {
  it('serves every file of the protocol with its type', async () => {
    const { get, modules } = await openGo();
    const [one] = modules;
    const rows: [string, string, string | Buffer][] = [
      ['/example.com/one/@v/list', 'text/plain; charset=utf-8', 'v1.0.0\nv1.1.0\n'],
      ['/example.com/one/@v/list?go-get=1', 'text/plain; charset=utf-8', 'v1.0.0\nv1.1.0\n'],
      ['/example.com/one/@latest', 'application/json', modules[1]?.info ?? ''],
      ['/example.com/one/@v/v1.0.0.info', 'application/json', one?.info ?? ''],
      ['/example.com/one/@v/v1.0.0.mod', 'text/plain; charset=utf-8', one?.goMod ?? ''],
      ['/example.com/one/@v/v1.0.0.zip', 'application/zip', one?.zip ?? ''],
      ['/example.com/%21upper/%21foo/@v/v1.1.0-%21r%21c1.mod', 'text/plain; charset=utf-8', modules[2]?.goMod ?? ''],
      ['/example.com/!upper/!foo/@v/v1.1.0-!r!c1.zip', 'application/zip', modules[2]?.zip ?? ''],
      ['/example.com/old/@v/v2.0.0+incompatible.zip', 'application/zip', modules[3]?.zip ?? ''],
    ];
    for (const [path, type, body] of rows) {
      const reply = await get(path);
      expect([path, reply.status, reply.headers['content-type'], reply.error]).toEqual([path, 200, type, undefined]);
      expect(reply.body.equals(Buffer.from(body))).toBe(true);
    }
  });

  it.each([
    ['/example.com/one/@v/list', 'public, max-age=60'],
    ['/example.com/one/@latest', 'public, max-age=60'],
    ['/example.com/one/@v/v1.0.0.info', 'public, max-age=604800'],
    ['/example.com/one/@v/v1.0.0.mod', 'public, max-age=31536000, immutable'],
    ['/example.com/one/@v/v1.0.0.zip', 'public, max-age=31536000, immutable'],
    [`${SUMDB}/supported`, 'public, max-age=86400'],
    [`${SUMDB}/latest`, 'public, max-age=60'],
    [`${SUMDB}/lookup/example.com/one@v1.0.0`, 'public, max-age=60'],
    [`${SUMDB}/tile/8/0/001`, 'public, max-age=31536000, immutable'],
  ])('says of %s that it may be kept as %s', async (path, wanted) => {
    const { get } = await openGo();
    expect(await get(path)).toMatchObject({ status: 200, headers: { 'cache-control': wanted } });
  });

  it('fetches no zip for a .mod', async () => {
    const { get, asked } = await openGo();
    expect((await get('/example.com/one/@v/v1.0.0.mod')).status).toBe(200);
    expect(asked.filter((path) => path.endsWith('.zip') || path.endsWith('.info'))).toEqual([]);
  });

  it('asks for the record of a version along with its go.mod and its zip', async () => {
    for (const extension of ['mod', 'zip']) {
      const { get, asked, tamper } = await openGo();
      let recordAsked = (): void => {};
      const record = new Promise<void>((resolve) => (recordAsked = resolve));
      tamper(async (path, answer) => {
        if (path.includes('/lookup/')) recordAsked();
        else if (path.endsWith(`.${extension}`)) await record;
        return answer;
      });
      expect((await get(`/example.com/one/@v/v1.0.0.${extension}`)).status).toBe(200);
      expect(asked.filter((path) => path.includes('/lookup/'))).toHaveLength(1);
    }
    const { get, asked } = await openGo();
    expect((await get('/example.com/one/@v/v1.0.0.info')).status).toBe(200);
    expect(asked).toEqual(['example.com/one/@v/v1.0.0.info']);
  });

  it('answers everything again with the upstream gone', async () => {
    const { get, asked, tamper } = await openGo();
    const paths = ['@v/list', '@latest', '@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip'].map(
      (rest) => `/example.com/one/${rest}`,
    );
    paths.push(`${SUMDB}/supported`, `${SUMDB}/lookup/example.com/one@v1.0.0`);
    const first = await Promise.all(paths.map((path) => get(path)));
    tamper(() => ({ status: 503, body: 'down' }));
    const before = asked.length;
    for (const [at, path] of paths.entries()) {
      const again = await get(path);
      expect([path, again.status]).toEqual([path, 200]);
      expect(again.body.equals((first[at] as typeof again).body)).toBe(true);
    }
    expect(asked.length).toBe(before);
  });

  it('keeps unlistable versions out of lists, sorts them, and refuses a page', async () => {
    const { get, tamper, repository } = await openGo();
    const lines = [
      'v1.10.0',
      'v1.9.0 2024-01-02T03:04:05Z',
      'v0.0.0-20240102030405-abcdefabcdef',
      'v2.0.0',
      'junk',
      'v1.9.0-rc.1',
      '',
    ];
    tamper((path, answer) => (path.endsWith('/list') ? { body: lines.join('\n') } : answer));
    expect((await get('/example.com/one/@v/list')).body.toString()).toBe(
      'v0.0.0-20240102030405-abcdefabcdef\nv1.9.0-rc.1\nv1.9.0 2024-01-02T03:04:05Z\nv1.10.0\n',
    );
    tamper((path, answer) =>
      path.endsWith('/list') ? { body: '<html>Sign in</html>', mediaType: 'text/html' } : answer,
    );
    expect((await get('/example.com/old/@v/list')).status).toBe(502);
    repository.clock.advance(3_600_000);
    expect(await get('/example.com/one/@v/list')).toMatchObject({ status: 200, outcome: 'stale' });
  });

  it('never loses a version that was served from lists and latest, whatever the upstream says', async () => {
    const { get, tamper, repository } = await openGo();
    const list = async (): Promise<string> => (await get('/example.com/one/@v/list')).body.toString();
    const latest = async (): Promise<string> => (await get('/example.com/one/@latest')).body.toString();
    const pseudo = 'v1.1.1-0.20240102030405-abcdefabcdef';
    const answers: Record<string, string> = { '@v/list': 'v1.0.0\n', '@latest': '{"Version":"v1.0.0"}' };
    tamper((path, answer) => {
      const named = answers[path.replace('example.com/one/', '')];
      if (named !== undefined) return { body: named };
      return path.endsWith(`${pseudo}.info`) ? { body: JSON.stringify({ Version: pseudo }) } : answer;
    });
    expect([await list(), await latest()]).toEqual(['v1.0.0\n', '{"Version":"v1.0.0"}']);
    // Seen at once, though the list is fresh.
    expect(await get('/example.com/one/@v/v1.1.0.mod')).toMatchObject({ status: 200 });
    expect(await get(`/example.com/one/@v/${pseudo}.info`)).toMatchObject({ status: 200 });
    expect([await list(), await latest()]).toEqual(['v1.0.0\nv1.1.0\n', '{"Version":"v1.1.0"}']);
    repository.clock.advance(86_400_000);
    answers['@v/list'] = '';
    expect([await list(), await list()].at(-1)).toBe('v1.1.0\n');
    answers['@latest'] = '{"Version":"v1.2.0","Origin":{}}';
    expect([await latest(), await latest()].at(-1)).toBe('{"Version":"v1.2.0","Origin":{}}');
    // Versions from before modules are not later than those of a module.
    expect(await get('/example.com/old/@v/v2.0.0+incompatible.mod')).toMatchObject({ status: 200 });
    tamper((path, answer) => (path.endsWith('old/@latest') ? { body: '{"Version":"v1.9.0"}' } : answer));
    expect((await get('/example.com/old/@latest')).body.toString()).toBe('{"Version":"v1.9.0"}');
  });

  it.each([404, 503])('lists what was served where the upstream says %d and never gave a list', async (status) => {
    const { get, tamper } = await openGo();
    expect(await get('/example.com/one/@v/v1.1.0.info')).toMatchObject({ status: 200 });
    expect(await get('/example.com/one/@v/v1.0.0.zip')).toMatchObject({ status: 200 });
    tamper(() => ({ status, body: '' }));
    const path = '/example.com/one';
    expect((await get(`${path}/@v/list`)).body.toString()).toBe('v1.0.0\nv1.1.0\n');
    expect((await get(`/cached-only${path}/@v/list`)).body.toString()).toBe('v1.0.0\nv1.1.0\n');
    expect((await get(`${path}/@latest`)).body.toString()).toBe('{"Version":"v1.1.0"}');
    expect((await get(`${path}/sub/@v/list`)).status).toBe(status === 404 ? 404 : 502);
    expect((await get('/example.com/late/@latest')).status).toBe(status === 404 ? 404 : 502);
  });

  it('says of a deeper path that it is no module while the upstream is down, where it was none before', async () => {
    const { get, tamper, repository } = await openGo();
    const files = ['@v/list', '@latest', '@v/v1.0.0.info', '@v/main.info'];
    const probes = files.map((file) => `/example.com/one/sub/pkg/${file}`);
    for (const path of probes) expect([path, (await get(path)).status]).toEqual([path, 404]);
    tamper(() => ({ status: 503, body: 'down' }));
    repository.clock.advance(86_400_000);
    for (const path of probes) expect([path, (await get(path)).status]).toEqual([path, 404]);
    expect((await get('/example.com/one/other/@v/list')).status).toBe(502);
    repository.clock.advance(7 * 86_400_000);
    for (const path of probes) expect([path, (await get(path)).status]).toEqual([path, 502]);
  });

  it('takes an empty list for a module without versions', async () => {
    const { get, tamper } = await openGo();
    tamper((path, answer) => (path.endsWith('/list') ? { body: '' } : answer));
    expect(await get('/example.com/one/@v/list')).toMatchObject({ status: 200, body: Buffer.alloc(0) });
  });

  it('refuses an .info of another version, without one, or with a strange time', async () => {
    const bodies = ['{"Version":"v1.1.0"}', '{}', '[]', 'null', '{"Version":"v1.0.0","Time":"yesterday"}', '<html>'];
    for (const body of bodies) {
      const { get, tamper, repository } = await openGo();
      tamper((path, answer) => (path.endsWith('.info') ? { body } : answer));
      expect([body, (await get('/example.com/one/@v/v1.0.0.info')).status]).toEqual([body, 502]);
      expect(await repository.entries.find('test', 'example.com/one/@v/v1.0.0.info')).toBeUndefined();
    }
  });

  it.each([
    ['v1.0.0.zip', 500 * 1024 * 1024],
    ['v1.0.0.mod', 16 * 1024 * 1024],
    ['v1.0.0.info', 1024 * 1024],
    ['list', 16 * 1024 * 1024],
  ])('does not begin to take a %s of more than %d bytes', async (file, most) => {
    const { get, tamper } = await openGo();
    const headers = { 'content-length': String(most + 1) };
    tamper((path, answer) => (path.endsWith(`one/@v/${file}`) ? { body: 'the beginning', headers } : answer));
    const reply = await get(`/example.com/one/@v/${file}`);
    expect(reply).toMatchObject({ status: 502 });
    expect(reply.body.toString()).toContain(`more than the ${most} bytes`);
  });

  it('takes an .info without a time, with more fields, and a pseudo-version of its own', async () => {
    const infos: Record<string, string> = {
      'v1.0.0': '{"Version":"v1.0.0"}',
      'v1.1.0': '{"Version":"v1.1.0","Time":"2024-01-02T03:04:05.678+02:00","Origin":{"VCS":"git"}}',
      'v1.1.1-0.20240102030405-abcdefabcdef': '{"Version":"v1.1.1-0.20240102030405-abcdefabcdef"}',
    };
    const { get, tamper } = await openGo();
    tamper((path, answer) => {
      const body = infos[/@v\/(.+)\.info$/.exec(path)?.[1] ?? ''];
      return body === undefined ? answer : { body };
    });
    for (const [version, body] of Object.entries(infos)) {
      const reply = await get(`/example.com/one/@v/${version}.info`);
      expect([reply.status, reply.body.toString()]).toEqual([200, body]);
    }
  });

  it.each(['{"Version":"v1.0.0","Time":null}', '{"version":"v1.0.0","TIME":"2024-01-02T03:04:05Z"}'])(
    'takes the .info %s, as encoding/json does',
    async (body) => {
      const { get, tamper } = await openGo();
      tamper((path, answer) => (path.endsWith('.info') ? { body } : answer));
      const reply = await get('/example.com/one/@v/v1.0.0.info');
      expect([reply.status, reply.body.toString()]).toEqual([200, body]);
    },
  );

  it('asks for branches with every sign that go lets through', async () => {
    const { get, tamper, asked } = await openGo();
    tamper((path, answer) => (path.endsWith('.info') ? { body: '{"Version":"v1.1.0"}' } : answer));
    const encoded = encodeURIComponent('-a#b%c&(d)=e@f[g]^h{i}~,$_+').replaceAll("'", '%27');
    expect(await get(`/example.com/one/@v/${encoded}.info`)).toMatchObject({ status: 200 });
    expect(asked.at(-1)).toBe('example.com/one/@v/-a#b%c&(d)=e@f[g]^h{i}~,$_+.info');
    expect((await get('/example.com/one/@v/con.txt.info')).status).toBe(404);
  });

  it('resolves queries, and asks again for them', async () => {
    const { get, tamper, repository } = await openGo();
    tamper((path, answer) => (path.endsWith('main.info') ? { body: '{"Version":"v1.1.0"}' } : answer));
    expect(await get('/example.com/one/@v/main.info')).toMatchObject({ status: 200 });
    tamper((path, answer) => (path.endsWith('main.info') ? { body: '{"Version":"v1.2.0"}' } : answer));
    repository.clock.advance(3_600_000);
    expect((await get('/example.com/one/@v/main.info')).body.toString()).toContain('v1.2.0');
  });

  it('asks nobody when only what is kept is wanted', async () => {
    const { get, asked, repository } = await openGo();
    for (const path of ['/example.com/one/@v/list', '/example.com/one/@v/v1.0.0.zip', `${SUMDB}/latest`]) {
      for (const reply of [await get(path, { 'disable-module-fetch': 'True' }), await get(`/cached-only${path}`)]) {
        expect(reply).toMatchObject({ status: 404 });
        expect(reply.body.toString()).toMatch(/^not found: temporarily unavailable/);
      }
    }
    expect(asked).toEqual([]);
    const { body } = await get('/example.com/one/@v/list');
    repository.clock.advance(86_400_000);
    const before = asked.length;
    expect((await get('/cached-only/example.com/one/@v/list')).body).toEqual(body);
    expect(asked.length).toBe(before);
  });

  it('prints errors as one short line of text, and only 404 and 410 for what does not exist', async () => {
    const { get, tamper } = await openGo();
    const missing = await get('/example.com/none/@v/list');
    expect(missing).toMatchObject({ status: 404, headers: { 'content-type': 'text/plain; charset=utf-8' } });
    expect(missing.body.toString()).toMatch(/^not found: [ -~]+\n$/);
    for (const [status, wanted] of [
      [410, 410],
      [500, 502],
      [503, 502],
      [403, 403],
      [429, 503],
    ] as const) {
      tamper(() => ({ status, body: 'x' }));
      expect([status, (await get(`/example.com/s${status}/@v/list`)).status]).toEqual([status, wanted]);
    }
  });

  it('refuses what policy denies with 403, and leaves it out of lists', async () => {
    const rule = {
      id: 'no',
      action: 'deny',
      reason: 'too old',
      matches: ({ coordinates }: { coordinates: { version?: string | undefined } }) => coordinates.version === 'v1.0.0',
    } as const;
    const { get, asked, tamper } = await openGo({}, new FixedPolicy([rule]));
    expect((await get('/example.com/one/@v/list')).body.toString()).toBe('v1.1.0\n');
    expect((await get('/example.com/one/@latest')).body.toString()).toContain('v1.1.0');
    tamper((path, answer) => (path.endsWith('late/@latest') ? { body: '{"Version":"v1.0.0"}' } : answer));
    expect((await get('/example.com/late/@latest')).status).toBe(403);
    expect(await get('/example.com/late/@v/v0.1.0.mod')).toMatchObject({ status: 200 });
    expect((await get('/example.com/late/@latest')).body.toString()).toBe('{"Version":"v0.1.0"}');
    const denied = await get('/example.com/one/@v/v1.0.0.zip');
    expect(denied.status).toBe(403);
    expect(denied.body.toString()).toContain('too old');
    expect(asked.filter((path) => path.includes('one@v1.0.0'))).toEqual([]);
  });

  it('never asks for a private module, nor for the record of one or of an unverified one', async () => {
    const { get, asked } = await openGo();
    expect((await get('/hidden.example.com/x/@v/list')).status).toBe(404);
    for (const name of ['hidden.example.com/x@v1.0.0', 'corp.example.com/secret@v1.0.0']) {
      expect((await get(`${SUMDB}/lookup/${name}`)).status).toBe(403);
    }
    expect(asked).toEqual([]);
  });

  it('serves what a module cache has of an unverified version: its .mod alone', async () => {
    const { get, tamper, modules } = await openGo();
    const base = '/corp.example.com/secret/@v/v1.0.0';
    tamper((path, answer) => (/\.(?:zip|info)$/.test(path) ? undefined : answer));
    const mod = await get(`${base}.mod`);
    expect([mod.status, mod.body.toString()]).toEqual([200, modules.at(-1)?.goMod]);
    expect((await get(`${base}.zip`)).status).toBe(404);
  });

  it('keeps the files of an unverified version all at once or not at all', async () => {
    const { get, tamper, repository, modules } = await openGo();
    const base = 'corp.example.com/secret/@v/v1.0.0';
    tamper((path, answer) => (path.endsWith('.zip') ? { status: 500, body: '' } : answer));
    expect((await get(`/${base}.mod`)).status).toBe(502);
    for (const kind of ['info', 'mod', 'zip'])
      expect(await repository.entries.find('test', `${base}.${kind}`)).toBeUndefined();
    tamper((_, answer) => answer);
    expect((await get(`/${base}.mod`)).body.toString()).toBe(modules.at(-1)?.goMod);
    const other = goModule({
      path: 'corp.example.com/secret',
      version: 'v1.0.0',
      files: { 'other.go': 'package other' },
    });
    modules[modules.length - 1] = other;
    expect((await get(`/${base}.zip`)).body.equals(other.zip)).toBe(false);
  });
});

describe('paths', () => {
  const NOT_FOUND = [
    '/Example.com/one/@v/list',
    '/example.com/One/@v/list',
    '/example.com/!!a/@v/list',
    '/example.com/!1/@v/list',
    '/example.com/a!/@v/list',
    '/example.com/%2521a/@v/list',
    '/example.com%2fone/@v/list',
    '/example.com/one/@v/',
    '/example.com/one/@v',
    '/example.com/one/@v/@v',
    '/example.com/one/@v/v1.0.0',
    '/example.com/one/@v/v1.0.0.ziphash',
    '/example.com/one/@v/v1.0.0.lock',
    '/example.com/one/@v/v1.0.0.zip.partial',
    '/example.com/one/@v/v1.0.0.zip.zip',
    '/example.com/one/@v/v1.0.0.mod.mod',
    '/example.com/one/@v/list.info/list',
    '/example.com/one/@v/.info',
    '/example.com/one/@v/v1.0.0.INFO',
    '/example.com/one@v1.0.0/@v/list',
    '/@v/list',
    '/@latest',
    '/example.com/one/@latest/@v/list',
    '/example.com/lpt1.txt/@v/list',
    '/gopkg.in/x.v1.2/@v/list',
    '/example.com/m/v2.0/@v/list',
    '/-example.com/x/@v/list',
    '/cached-only',
    '/cached-only/cached-only/example.com/one/@v/list',
    '/example.com/one/@v/main.mod',
    '/example.com/one/@v/main.zip',
    '/example.com/one/@v/v2.0.0.zip',
    '/example.com/one/@v/v1.0.0+meta.zip',
    '/example.com/one/@v/latest.info',
    '/example.com/one/@v/upgrade.info',
    '/example.com/one/@v/patch.info',
    '/nodot/one/@v/list',
    '/index',
    '/catalog',
    '/sumdb',
    '/sumdb/other.test/supported',
    '/sumdb/sumdb.test/tile/8/0/0',
    '/sumdb/sumdb.test/tile/8/0/000.p/256',
    '/sumdb/sumdb.test/tile/8/0/x000/001',
    '/sumdb/sumdb.test/tile/4/0/000',
    '/sumdb/sumdb.test/tile/8/0/000.p/0',
    '/example.com/one/v1/@v/list',
    '/example.com/con/@v/list',
    '/example.com/a~1/@v/list',
    '/example.com/.git/@v/list',
    '/example.com/a./@v/list',
    '/gopkg.in/yaml/@v/list',
    '/example.com/é/@v/list',
    `/example.com/${'a'.repeat(2000)}/@v/list`,
    '/example.com/one/@v/list/',
  ];
  it.each(NOT_FOUND)('%s is not found', async (path) => {
    const { get, asked } = await openGo();
    expect((await get(path)).status).toBe(404);
    expect(asked).toEqual([]);
  });

  it.each([
    '/example.com/%2e%2e/@v/list',
    '/example.com//one/@v/list',
    '/example.com/%00/@v/list',
    '/example.com/%zz/@v/list',
    '/example.com/one/@v/v1.0.0%00.zip',
    '/example.com/./one/@v/list',
    '/example.com\\\\one/@v/list',
    '/sumdb/sumdb.test/lookup/example.com/one',
    '/sumdb/sumdb.test/lookup/example.com/one@main',
  ])('%s is a bad request', async (path) => {
    const { get, asked } = await openGo();
    expect((await get(path)).status).toBe(400);
    expect(asked).toEqual([]);
  });

  it('answers other methods with 405', async () => {
    const { repository } = await openGo();
    const reply = await repository.ask({ method: 'POST', path: '/example.com/one/@v/list' });
    expect(reply).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  });
});
