import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { basic, startHost, testFolder, type TestHost } from './server.js';
import { until } from '../policy/support.js';

const API = '/-/api/v1';
const TOKEN = 'a-token-of-some-length';
const ROOT = `Bearer ${TOKEN}`;

const YAML = `
admin: { token: "\${env:ADMIN}", users: { ann: { password: "\${env:ANN}" } } }
repositories:
  box: { type: files, kind: hosted, access: {} }
  open: { type: files, kind: hosted, access: { anonymous: read } }
  crates: { type: cargo, kind: hosted, access: {} }
  images: { type: oci, kind: hosted, access: { users: { bob: { password: "\${env:BOB}" } } } }`;

const ENV = { ADMIN: TOKEN, ANN: 'password-of-ann', BOB: 'password-of-bob' };

interface Made {
  readonly id: string;
  readonly secret: string;
  readonly bearer: string;
}

async function start(env: Readonly<Record<string, string>> = {}) {
  const host = await startHost(YAML, {}, { ...ENV, ...env });
  const send = async (method: string, path: string, body?: unknown, authorization = ROOT) => {
    const { status, text } = await host.get(API + path, authorization, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return { status, text, json: text.startsWith('{') ? JSON.parse(text) : undefined };
  };
  const make = async (name: string, scopes: readonly string[], by = ROOT, more: object = {}): Promise<Made> => {
    const { status, text, json } = await send('POST', '/keys', { name, scopes: scopes.map(scope), ...more }, by);
    expect(status, text).toBe(201);
    const { key, secret } = json;
    return { id: key.id, secret, bearer: `Bearer ${secret}` };
  };
  return { host, send, make };
}

function scope(text: string) {
  const [may, repositories = '', names] = text.split(':');
  return { may, repositories: repositories.split(','), ...(names !== undefined && { names: names.split(',') }) };
}

const put = { method: 'PUT', body: 'x' };

/** The kinds of callers, with the scopes of those who have a key. */
const CALLERS: Readonly<Record<string, readonly string[] | undefined>> = {
  nobody: undefined,
  ann: undefined,
  token: undefined,
  'read box': ['read:box'],
  'read box team': ['read:box:team/**'],
  'write box': ['write:box'],
  'write box team': ['write:box:team/**'],
  'read crates': ['read:crates'],
  'admin box': ['admin:box'],
  'admin box team': ['admin:box:team/**'],
  'admin all': ['admin:*'],
};

/** The status of each request for each kind of callers, in the order above. */
const MATRIX: readonly (readonly [request: string, statuses: readonly number[]])[] = [
  // Administrators of the configuration are no users of repositories.
  ['GET /box/a', [401, 401, 401, 200, 403, 200, 403, 403, 200, 403, 200]],
  ['GET /box/team/a', [401, 401, 401, 200, 200, 200, 200, 403, 200, 200, 200]],
  ['PUT /box/b', [401, 401, 401, 403, 403, 201, 403, 403, 201, 403, 201]],
  ['PUT /box/team/b', [401, 401, 401, 403, 403, 201, 201, 403, 201, 201, 201]],
  ['GET /open/a', [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]],
  ['PUT /open/b', [401, 401, 401, 403, 403, 403, 403, 403, 403, 403, 201]],
  ['GET /-/api/v1/keys', [401, 200, 200, 403, 403, 403, 403, 403, 200, 200, 200]],
  ['GET /-/api/v1/keys/{key}', [401, 200, 200, 403, 403, 403, 403, 403, 404, 404, 200]],
  ['PATCH /-/api/v1/keys/{key}', [401, 200, 200, 403, 403, 403, 403, 403, 404, 404, 200]],
  ['POST /-/api/v1/keys', [401, 201, 201, 403, 403, 403, 403, 403, 403, 403, 201]],
  ['DELETE /-/api/v1/keys/none', [401, 404, 404, 403, 403, 403, 403, 403, 404, 404, 404]],
  ['GET /-/api/v1/policy', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['GET /-/api/v1/exceptions', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['POST /-/api/v1/quarantine/forget', [401, 400, 400, 403, 403, 403, 403, 403, 403, 403, 400]],
  ['GET /-/api/v1/pins', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['POST /-/api/v1/purge', [401, 400, 400, 403, 403, 403, 403, 403, 403, 403, 400]],
  ['GET /-/api/v1/usage', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['GET /-/api/v1/usage/ages?repository=box', [401, 200, 200, 403, 403, 403, 403, 403, 200, 403, 200]],
  ['GET /-/api/v1/usage/ages?repository=crates', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['GET /-/api/v1/usage/ages?repository=', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['GET /-/api/v1/decisions?repository=box', [401, 200, 200, 403, 403, 403, 403, 403, 200, 403, 200]],
  ['GET /-/api/v1/scans?repository=box', [401, 400, 400, 403, 403, 403, 403, 403, 403, 403, 400]],
  ['GET /-/api/v1/audit', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['GET /-/api/v1/audit?repository=box', [401, 200, 200, 403, 403, 403, 403, 403, 200, 403, 200]],
  ['GET /-/api/v1/gc', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['GET /-/api/v1/verify', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
  ['GET /-/api/v1/roots', [401, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200]],
];

describe('keys at each route', () => {
  it('let do what their scopes say, and nothing else', async () => {
    const { host, make, send } = await start();
    for (const path of ['/box/a', '/box/team/a', '/open/a'])
      expect(
        (await host.get(path, (await make(`put${path.replaceAll('/', '-')}`, ['write:*'])).bearer, put)).status,
      ).toBe(201);
    const subject = await make('subject', ['read:crates', 'read:open']);
    const unexpected: string[] = [];
    const known: Record<string, string | undefined> = {
      nobody: undefined,
      ann: basic('ann', ENV.ANN),
      token: ROOT,
    };
    for (const [who, scopes] of Object.entries(CALLERS))
      if (scopes !== undefined) known[who] = (await make(who.replaceAll(' ', '-'), scopes)).bearer;
    let number = 0;
    for (const [request, statuses] of MATRIX) {
      const [method = '', path = ''] = request.split(' ');
      for (const [index, who] of Object.keys(CALLERS).entries()) {
        number += 1;
        const body =
          method === 'PUT'
            ? `x${number}`
            : method === 'POST' && path.endsWith('/keys')
              ? JSON.stringify({ name: `made-${number}`, scopes: [scope('read:crates')] })
              : method === 'PATCH'
                ? '{"note":"seen"}'
                : '{}';
        // Files of hosted repositories are not overwritten.
        const target = method === 'PUT' ? `${path}${number}` : path.replace('{key}', subject.id);
        const headers = { 'content-type': 'application/json' };
        const sent = method === 'GET' ? {} : { method, ...(method !== 'DELETE' && { body, headers }) };
        const { status, text } = await host.get(target, known[who], sent);
        if (status !== statuses[index])
          unexpected.push(`${request} as ${who}: ${status}, not ${statuses[index]}: ${text}`);
      }
    }
    expect(unexpected).toEqual([]);
    expect((await send('GET', `/keys/${subject.id}`)).json).toMatchObject({ note: 'seen' });
  });
});

describe('keys', () => {
  it('are accepted as each client sends them', async () => {
    const { host, make } = await start();
    const { secret, bearer } = await make('ci', ['write:box,crates']);
    const ways = [bearer, basic('ci', secret), basic('_', secret), basic('', secret)];
    for (const [index, way] of ways.entries())
      expect((await host.get(`/box/f${index}`, way, put)).status, way).toBe(201);
    // Cargo sends a token alone.
    for (const way of [secret, bearer]) expect((await host.get('/crates/config.json', way)).status, way).toBe(200);
    const wrong = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`;
    const refused = await host.get('/box/f1', `Bearer ${wrong}`);
    expect([refused.status, refused.challenge]).toEqual([401, 'Basic realm="Entrepot", charset="UTF-8"']);
    expect((await host.get('/crates/config.json', wrong)).status).toBe(401);
  });

  it('are shown once, and stored as a hash', async () => {
    const { make, send } = await start();
    const { id, secret } = await make('ci', ['read:box'], basic('ann', ENV.ANN), {
      note: 'of the build',
      expires: '30d',
    });
    const { json, text } = await send('GET', '/keys');
    expect(json.keys).toEqual([
      {
        id,
        name: 'ci',
        scopes: [{ may: 'read', repositories: ['box'] }],
        note: 'of the build',
        createdAt: expect.any(Number),
        createdBy: 'ann',
        expiresAt: expect.any(Number),
      },
    ]);
    expect(text).not.toContain(secret.slice(0, 20));
    expect((await send('GET', `/keys/${id}`)).json).toEqual(json.keys[0]);
    expect((await send('POST', '/keys', { name: 'ci', scopes: [scope('read:box')] })).status).toBe(409);
  });

  it('are refused at once when they are revoked, and limited at once', async () => {
    const { host, make, send } = await start();
    const { id, bearer } = await make('ci', ['write:box']);
    expect((await host.get('/box/a', bearer, put)).status).toBe(201);
    const limited = await send('PATCH', `/keys/${id}`, { scopes: [scope('read:box')], expires: '1h' });
    expect([limited.status, limited.json.scopes[0].may]).toEqual([200, 'read']);
    expect([(await host.get('/box/b', bearer, put)).status, (await host.get('/box/a', bearer)).status]).toEqual([
      403, 200,
    ]);
    expect((await send('DELETE', `/keys/${id}`)).json).toMatchObject({ id, name: 'ci' });
    const { status, text } = await host.get('/box/a', bearer);
    expect([status, text]).toEqual([401, expect.stringContaining('The key is refused')]);
    expect((await send('DELETE', `/keys/${id}`)).status).toBe(404);
    expect((await send('GET', '/keys', undefined, bearer)).status).toBe(401);
  });

  it('are known, and no longer known, to another server on the same database', async () => {
    const stores = testFolder();
    const env = {
      ENTREPOT_METADATA_PATH: join(stores, 'entrepot.db'),
      ENTREPOT_STORAGE_PATH: join(stores, 'blobs'),
    };
    const [one, two] = [await start(env), await start(env)];
    const { id, bearer } = await one.make('ci', ['write:box']);
    expect((await one.host.get('/box/a', bearer, put)).status).toBe(201);
    const read = async (host: TestHost) => (await host.get('/box/a', bearer)).status;
    await until(async () => (await read(two.host)) === 200);
    const at = performance.now();
    expect((await one.send('DELETE', `/keys/${id}`)).status).toBe(200);
    await until(async () => (await read(two.host)) === 401);
    expect(performance.now() - at).toBeLessThan(5_000);
  });

  it.each<[what: string, own: string, wanted: string, status: number]>([
    ['less', 'admin:box', 'read:box', 201],
    ['as much', 'admin:box', 'admin:box', 201],
    ['another repository', 'admin:box', 'read:crates', 403],
    ['all repositories', 'admin:box', 'read:*', 403],
    ['all names', 'admin:box:team/**', 'read:box', 403],
    ['names within', 'admin:box:team/**', 'write:box:team/a', 201],
    ['other names', 'admin:box:team/**', 'read:box:other/a', 403],
    ['what it may read alone', 'admin:box', 'read:crates', 403],
  ])('make keys that may do %s: %s makes %s: %i', async (_what, own, wanted, status) => {
    const { make, send } = await start();
    const { bearer } = await make('own', [own, 'read:crates']);
    const made = await send('POST', '/keys', { name: 'child', scopes: [scope(wanted)] }, bearer);
    expect([made.status, made.text]).toEqual([
      status,
      status === 201 ? expect.any(String) : expect.stringContaining('expected scopes within those of key:own'),
    ]);
    if (status === 201) expect(made.json.key.createdBy).toBe('key:own');
  });

  it('make no keys that outlive them, and change none into such', async () => {
    const { make, send } = await start();
    const child = { name: 'child', scopes: [scope('read:box')] };
    const lasting = await make('lasting', ['read:box']);
    const { bearer } = await make('own', ['admin:box'], ROOT, { expires: '1d' });
    const own = (await send('GET', '/keys')).json.keys.find(({ name }: { name: string }) => name === 'own');
    expect((await send('POST', '/keys', { ...child, expires: '2d' }, bearer)).status).toBe(403);
    const made = await send('POST', '/keys', child, bearer);
    expect([made.status, made.json.key.expiresAt]).toEqual([201, own.expiresAt]);
    const widened = await send('PATCH', `/keys/${lasting.id}`, { scopes: [scope('admin:box')] }, bearer);
    expect(widened.status).toBe(403);
    expect((await send('PATCH', `/keys/${lasting.id}`, { scopes: [scope('read:box:a')] }, bearer)).status).toBe(200);
    expect((await send('PATCH', `/keys/${own.id}`, { expires: '9d' }, bearer)).status).toBe(403);
    expect((await send('DELETE', `/keys/${lasting.id}`, undefined, bearer)).status).toBe(200);
  });

  it('are listed in pages', async () => {
    const { make, send } = await start();
    for (const name of ['c', 'a', 'b']) await make(name, ['read:box']);
    const names = ({ json }: { json: { keys: { name: string }[] } }) => json.keys.map(({ name }) => name);
    const first = await send('GET', '/keys?limit=2');
    expect([names(first), first.json.next]).toEqual([['a', 'b'], 'b']);
    const second = await send('GET', '/keys?limit=2&after=b');
    expect([names(second), second.json.next]).toEqual([['c'], undefined]);
  });

  it.each([
    [{}, 'name: '],
    [{ name: 'a b', scopes: [scope('read:box')] }, 'name: expected'],
    [{ name: 'a', scopes: [] }, 'scopes: '],
    [{ name: 'a', scopes: [{ may: 'own', repositories: ['box'] }] }, 'scopes.0.may'],
    [{ name: 'a', scopes: [{ may: 'read', repositories: [] }] }, 'scopes.0.repositories'],
    [{ name: 'a', scopes: [scope('read:box:!x')] }, 'scopes: names: !x: '],
    [{ name: 'a', scopes: [scope('read:box')], expires: 'soon' }, 'expires: expected a date or a duration'],
    [{ name: 'a', scopes: [scope('read:box')], expires: '2001-01-01' }, 'expires: expected a time in the future'],
    [{ name: 'a', scopes: [scope('read:box')], secret: 'mine' }, 'secret'],
  ])('refuse %j', async (form, message) => {
    const { send } = await start();
    expect(await send('POST', '/keys', form)).toMatchObject({ status: 400, text: expect.stringContaining(message) });
  });
});

describe('tokens for container clients', () => {
  async function tokenOf(host: TestHost, secret: string): Promise<Response> {
    const url = `${host.urls[0]}/-/token?service=x&scope=repository:images/app:pull,push`;
    return await fetch(url, { headers: { authorization: basic('anybody', secret) } });
  }

  it('end with the key that they were issued for, and change with it', async () => {
    const { host, make, send } = await start();
    const { id, secret } = await make('ci', ['write:images']);
    const { token } = (await (await tokenOf(host, secret)).json()) as { token: string };
    const upload = async () =>
      (await host.get('/v2/images/app/blobs/uploads/', `Bearer ${token}`, { method: 'POST' })).status;
    expect(await upload()).toBe(202);
    expect((await host.get('/v2/images/app/blobs/uploads/', `Bearer ${secret}`, { method: 'POST' })).status).toBe(202);
    await send('PATCH', `/keys/${id}`, { scopes: [scope('read:images')] });
    expect(await upload()).toBe(403);
    expect((await host.get('/v2/images/app/tags/list', `Bearer ${token}`)).status).toBe(404);
    await send('DELETE', `/keys/${id}`);
    const refused = await host.get('/v2/images/app/tags/list', `Bearer ${token}`);
    expect([refused.status, refused.challenge]).toEqual([401, expect.stringContaining('error="invalid_token"')]);
    expect((await tokenOf(host, secret)).status).toBe(401);
    // Another key of the same name does not bring the token back.
    await make('ci', ['write:images']);
    expect((await host.get('/v2/images/app/tags/list', `Bearer ${token}`)).status).toBe(401);
  });
});
