import { statSync } from 'node:fs';
import { join } from 'node:path';
import { hash } from 'bcryptjs';
import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { basic, startHost, type TestHost } from './server.js';

const PLUGIN = `
const options = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
export default {
  kind: 'protocol', apiVersion: 1, id: 'images', options, inject: {},
  http: {
    sharedMounts: ['/v2'],
    mountAlone: '/v2',
    select: ({ segments }) =>
      segments.length === 0 ? { reply: { status: 200, headers: {}, body: '{}' }, guarded: true } : undefined,
  },
  hosted: {
    classes: {
      file: { kind: 'artifact', about: 'A file.', policy: { accessName: ({ attributes }) => attributes.image } },
      put: {
        kind: 'change', about: 'Uploads.', action: 'put',
        policy: { accessName: ({ attributes }) => attributes.image },
        bounds: { of: 'file', maxBytes: 1000, overwrite: true },
      },
    },
    create: ({ repository: { name } }) => ({
      name,
      route: ({ segments: [image, ...rest], method }) =>
        ({ class: method === 'GET' ? 'file' : 'put', key: rest.join('/'), attributes: { image } }),
    }),
    challenge: ({ name: image }, { baseUrl }, { name }) =>
      \`Bearer realm="\${new URL(baseUrl).origin}/-/token",scope="\${name}/\${image}"\`,
  },
};
`;

const ALICE = await hash('a', 4);
const BOB = await hash('b', 4);
const CAROL = await hash('c', 4);
const alice = basic('alice', 'a');
const bob = basic('bob', 'b');

const YAML = `
plugins: [./images.mjs]
repositories:
  hub:
    type: images
    kind: hosted
    access:
      anonymous: read
      users: { alice: { passwordHash: "${ALICE}", may: write }, bob: { passwordHash: "${BOB}", may: write, names: ["team*"] } }
  own:
    type: images
    kind: hosted
    access: { users: { alice: { passwordHash: "${ALICE}" }, carol: { passwordHash: "${CAROL}" } } }
  alone:
    type: images
    kind: hosted
    listen: "127.0.0.1:0"
    access: { users: { alice: { passwordHash: "${ALICE}", may: write } } }`;

async function start(env: Record<string, string> = {}): Promise<TestHost> {
  const host = await startHost(YAML, { 'images.mjs': PLUGIN }, env);
  return host;
}

interface Issued {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
}

async function issue(
  host: TestHost,
  scopes: readonly string[],
  authorization?: string,
  url = host.urls[0],
): Promise<Issued> {
  const query = new URLSearchParams({ service: 'x' });
  for (const scope of scopes) query.append('scope', scope);
  const headers = authorization === undefined ? {} : { authorization };
  const answer = await fetch(`${url}/-/token?${query}`, { headers });
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
  return (await answer.json()) as Issued;
}

const put = { method: 'PUT', body: 'x' };

describe('the token endpoint', () => {
  it.each<[what: string, scopes: string[], who: string | undefined, granted: [string, string[]][]]>([
    ['what is open, to everybody', ['repository:hub/x:pull,push'], undefined, [['hub/x', ['pull']]]],
    ['nothing of what is closed', ['repository:own/x:pull'], undefined, []],
    ['what a user may', ['repository:hub/x:pull,push'], alice, [['hub/x', ['pull', 'push']]]],
    [
      'what a user may, of several',
      ['repository:hub/x:push', 'repository:own/y:pull,push'],
      alice,
      [
        ['hub/x', ['push']],
        ['own/y', ['pull']],
      ],
    ],
    [
      'several in one',
      ['repository:hub/x:push repository:own/y:pull'],
      alice,
      [
        ['hub/x', ['push']],
        ['own/y', ['pull']],
      ],
    ],
    [
      'names that a user may',
      ['repository:hub/team-a:push', 'repository:hub/other:push'],
      bob,
      [['hub/team-a', ['push']]],
    ],
    ['everything', ['repository:hub/x:*'], alice, [['hub/x', ['pull', 'push', 'delete']]]],
    ['removing, which is writing', ['repository:hub/x:delete'], alice, [['hub/x', ['delete', 'push']]]],
    ['a deep name', ['repository:hub/a/b/c:pull'], alice, [['hub/a/b/c', ['pull']]]],
    ['a whole repository', ['repository:own:pull'], alice, [['own', ['pull']]]],
    ['nothing where nothing is asked for', [], alice, []],
    [
      'nothing that is not here',
      ['repository:other/x:pull', 'registry:catalog:*', 'x', 'repository:hub/x', '::'],
      alice,
      [],
    ],
    ['nothing of what another user may', ['repository:own/x:pull'], bob, []],
  ])('gives %s', async (_what, scopes, who, granted) => {
    const host = await start();

    const { token, access_token, expires_in, issued_at } = await issue(host, scopes, who);

    const { access, sub, exp, iat } = decodeJwt(token);
    expect(access).toEqual(granted.map(([name, actions]) => ({ type: 'repository', name, actions })));
    expect(sub).toBe(who === undefined ? undefined : who === alice ? 'alice' : 'bob');
    expect([access_token, expires_in, (exp as number) - (iat as number)]).toEqual([token, 300, 300]);
    expect(Date.parse(issued_at)).toBe((iat as number) * 1000);
  });

  it.each<[string, string]>([
    ['a wrong password', basic('alice', 'x')],
    ['an unknown user', basic('mallory', 'a')],
    ['a bearer token', 'Bearer x'],
  ])('refuses %s, so that a login fails', async (_what, authorization) => {
    const host = await start();

    const answer = await host.get('/-/token?scope=repository:hub/x:pull', authorization);

    expect(answer).toMatchObject({ status: 401, challenge: 'Basic realm="Entrepot", charset="UTF-8"' });
    expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
  });

  it('knows a user of any repository of the listener', async () => {
    const host = await start();

    expect(decodeJwt((await issue(host, ['repository:hub/x:pull,push'], basic('carol', 'c'))).token)).toMatchObject({
      sub: 'carol',
      access: [{ name: 'hub/x', actions: ['pull'] }],
    });
  });

  it('takes the form of OAuth 2', async () => {
    const host = await start();
    const form = {
      grant_type: 'password',
      username: 'alice',
      password: 'a',
      service: 'x',
      scope: 'repository:own/x:pull',
    };
    const post = async (fields: Record<string, string>) =>
      await host.get('/-/token', undefined, { method: 'POST', body: new URLSearchParams(fields) });

    const answer = await post(form);
    const refused = await post({ ...form, password: 'x' });
    const other = await post({ ...form, grant_type: 'refresh_token' });

    expect(decodeJwt((JSON.parse(answer.text) as Issued).access_token)['access']).toHaveLength(1);
    expect([answer.status, refused.status, other.status]).toEqual([200, 401, 400]);
  });

  it('bounds what is asked for', async () => {
    const host = await start();

    const answer = await host.get(`/-/token?${'scope=repository:hub/x:pull&'.repeat(65)}`);

    expect(answer.status).toBe(400);
  });
});

describe('a token', () => {
  it('opens what it was made for', async () => {
    const host = await start();
    const open = await host.get('/v2/own/x/a');
    const realm = /realm="([^"]+)",scope="([^"]+)"/.exec(open.challenge ?? '');
    const { token } = await issue(host, [`repository:${realm?.[2]}:pull`], alice);

    expect([open.status, realm?.[1], realm?.[2]]).toEqual([401, `${host.urls[0]}/-/token`, 'own/x']);
    expect((await host.get('/v2/own/x/a', `Bearer ${token}`)).status).toBe(404);
    // Of its user, but not made for it: another one would do.
    const other = await host.get('/v2/own/y/a', `Bearer ${token}`);
    expect([other.status, other.challenge]).toEqual([
      401,
      expect.stringMatching(/own\/y",error="insufficient_scope"$/),
    ]);
    // No other one would do.
    expect((await host.get('/v2/own/x/a', `Bearer ${token}`, put)).status).toBe(403);
    expect((await host.get('/v2/own/x/a', alice)).status).toBe(404);
  });

  it('lets push, to what it names', async () => {
    const host = await start();
    const { token } = await issue(host, ['repository:hub/team-a:pull,push', 'repository:hub/x:pull,push'], bob);

    expect((await host.get('/v2/hub/team-a/f', `Bearer ${token}`, put)).status).toBe(201);
    expect((await host.get('/v2/hub/x/f', `Bearer ${token}`, put)).status).toBe(403);
    expect((await host.get('/v2/hub/x/f', undefined, put)).status).toBe(401);
    expect((await host.get('/v2/hub/team-a/f')).status).toBe(200);
  });

  it('of nobody opens nothing that is closed', async () => {
    const host = await start();
    const { token } = await issue(host, ['repository:own/x:pull']);

    expect(await host.get('/v2/own/x/a', `Bearer ${token}`)).toMatchObject({ status: 401 });
    expect(await host.get('/v2/', `Bearer ${token}`)).toMatchObject({ status: 401 });
  });

  it.each<[string, string | undefined, number]>([
    ['nobody', undefined, 401],
    ['a user of one repository', basic('carol', 'c'), 200],
    ['a wrong password', basic('carol', 'x'), 401],
  ])('the root of the mount asks who is there: %s', async (_what, who, status) => {
    const host = await start();

    const answer = await host.get('/v2/', who);

    expect(answer.status).toBe(status);
    if (status === 401) expect(answer.challenge).toMatch(/^Bearer realm="http:\/\/127\.0\.0\.1:\d+\/-\/token"/);
    if (who !== undefined && status === 200) {
      const { token } = await issue(host, [], who);
      expect((await host.get('/v2/', `Bearer ${token}`)).status).toBe(200);
    }
  });

  it('is for plain names where a repository has the mount to itself', async () => {
    const host = await start();
    const url = host.urls[1] as string;
    const { token } = await issue(host, ['repository:team/x:pull,push'], alice, url);
    const headers = { authorization: `Bearer ${token}` };

    expect(decodeJwt(token)['access']).toEqual([
      { type: 'repository', name: 'alone/team/x', actions: ['pull', 'push'] },
    ]);
    expect((await fetch(`${url}/v2/team/f`, { headers })).status).toBe(401);
    const whole = await issue(host, ['repository:team:push'], alice, url);
    const pushed = await fetch(`${url}/v2/team/f`, { ...put, headers: { authorization: `Bearer ${whole.token}` } });
    expect(pushed.status).toBe(201);
    // On the other listener the repository of this name is not found.
    const { token: foreign } = await issue(host, ['repository:alone/team:push'], alice);
    expect(decodeJwt(foreign)['access']).toEqual([]);
  });

  it.each<[string, (token: string) => Promise<string> | string]>([
    ['another key', (token) => forged(token, new Uint8Array(32))],
    ['no signature', (token) => unsigned(token)],
    ['a cut signature', (token) => token.replace(/[^.]+$/, '')],
    [
      'a longer list',
      (token) => token.replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"alice"}').toString('base64url')}.`),
    ],
  ])('with %s is refused', async (_what, forge) => {
    const host = await start();
    const { token } = await issue(host, ['repository:own/x:pull'], alice);

    expect((await host.get('/v2/own/x/a', `Bearer ${await forge(token)}`)).status).toBe(401);
    expect((await host.get('/v2/own/x/a', `Bearer ${token}`)).status).toBe(404);
  });

  it('is signed with a key that only the server may read, or with that of the configuration', async () => {
    const first = await start();
    const secret = 'a secret of thirty-two characters';
    const [one, other] = [
      await start({ ENTREPOT_SERVER_TOKEN_KEY: secret }),
      await start({ ENTREPOT_SERVER_TOKEN_KEY: secret }),
    ];
    const { token } = await issue(one, ['repository:own/x:pull'], alice);

    expect(statSync(join(first.folder, 'data', 'token.key')).mode & 0o777).toBe(0o600);
    expect((await other.get('/v2/own/x/a', `Bearer ${token}`)).status).toBe(404);
    expect((await first.get('/v2/own/x/a', `Bearer ${token}`)).status).toBe(401);
  });
});

const HEADER = { typ: 'entrepot-token+jwt' };

async function forged(token: string, key: Uint8Array): Promise<string> {
  return await new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: 'HS256', ...HEADER }).sign(key);
}

function unsigned(token: string): string {
  const header = Buffer.from(JSON.stringify({ alg: 'none', ...HEADER })).toString('base64url');
  return new UnsecuredJWT(decodeJwt(token)).encode().replace(/^[^.]+/, header);
}
