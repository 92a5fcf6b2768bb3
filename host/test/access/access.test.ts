import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hash } from 'bcryptjs';
import { exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PasswordPool } from '../../src/access/password-pool.js';
import { hashPassword } from '../../src/access/password-hash.js';
import { basic, onOneConnection, startHost, type TestHost } from './server.js';

const ALICE = await hashPassword('wonder:land');
const BOB = await hash('builder', 4);
const KEY = await generateKeyPair('ES256');

const USERS = `
      users:
        alice: { passwordHash: "${ALICE}", may: write }
        bob: { passwordHash: "${BOB}" }
        carol: { password: "\${env:CAROL}", may: write }`;

const alice = basic('alice', 'wonder:land');
const bob = basic('bob', 'builder');

async function start(anonymous: string, more = ''): Promise<TestHost> {
  const yaml = `
repositories:
  box:
    type: files
    kind: hosted
    access:
      anonymous: ${anonymous}${USERS}${more}`;
  const files = { 'key.pem': await exportSPKI(KEY.publicKey), users: `dora:${await hash('explorer', 4)}\n` };
  const host = await startHost(yaml, files, { CAROL: 'christmas' });
  const put = await host.get('/box/a.txt', alice, { method: 'PUT', body: 'hello' });
  expect(put.status).toBe(201);
  return host;
}

async function token(claims: Record<string, unknown>): Promise<string> {
  const signed = new SignJWT({ sub: 'robot', ...claims }).setProtectedHeader({ alg: 'ES256' });
  return `Bearer ${await signed.setIssuer('me').setAudience('box').setExpirationTime('1m').sign(KEY.privateKey)}`;
}

const JWT = '\n      jwt: { keyFile: key.pem, issuer: me, audience: box, read: [reader], write: [writer] }';

describe('access to a repository', () => {
  it.each<[anonymous: string, who: string | undefined, read: number, write: number]>([
    ['none', undefined, 401, 401],
    ['none', alice, 200, 201],
    ['none', bob, 200, 403],
    ['none', basic('carol', 'christmas'), 200, 201],
    ['none', basic('bob', 'wrong'), 401, 401],
    ['none', basic('bob', 'builder2'), 401, 401],
    ['none', basic('Bob', 'builder'), 401, 401],
    ['none', basic('mallory', 'builder'), 401, 401],
    ['none', basic('', ''), 401, 401],
    ['none', 'Basic !!!', 401, 401],
    ['none', 'Basic', 401, 401],
    ['none', 'Digest x', 401, 401],
    ['none', 'Bearer x', 401, 401],
    ['none', alice.replace('Basic', 'basic'), 200, 201],
    ['read', undefined, 200, 401],
    ['read', basic('mallory', 'x'), 200, 401],
    ['read', bob, 200, 403],
    ['read', alice, 200, 201],
    ['write', undefined, 200, 201],
  ])('with anonymous: %s, as %s: %i to read, %i to write', async (anonymous, who, read, write) => {
    const host = await start(anonymous);

    const got = await host.get('/box/a.txt', who);
    const head = await host.get('/box/a.txt', who, { method: 'HEAD' });
    const put = await host.get('/box/b.txt', who, { method: 'PUT', body: 'x' });
    const removed = await host.get('/box/b.txt', who, { method: 'DELETE' });

    expect([got.status, head.status, put.status]).toEqual([read, read, write]);
    expect(removed.status).toBe(write === 201 ? 204 : write);
    const challenge = 'Basic realm="Entrepot", charset="UTF-8"';
    expect([got.challenge, put.challenge]).toEqual([read === 401 ? challenge : null, write === 401 ? challenge : null]);
    expect(got.text === 'hello').toBe(read === 200);
  });

  it('gives nobody what is in memory already', async () => {
    const host = await start('none');

    const answers = [];
    for (const who of [alice, undefined, bob, basic('bob', 'wrong'), alice])
      answers.push((await host.get('/box/a.txt', who)).status);

    expect(answers).toEqual([200, 401, 200, 401, 200]);
  });

  it.each<[what: string, claims: Record<string, unknown>, read: number, write: number]>([
    ['no right', {}, 403, 403],
    ['a word for reading', { scope: 'reader' }, 200, 403],
    ['a word for writing', { scope: 'openid writer' }, 200, 201],
    ['an access entry', { access: [{ type: 'repository', name: 'box', actions: ['pull'] }] }, 200, 403],
    [
      'an access entry of another repository',
      { access: [{ type: 'repository', name: 'box2', actions: ['*'] }] },
      403,
      403,
    ],
  ])('takes tokens of an identity provider: %s', async (_what, claims, read, write) => {
    const host = await start('none', JWT);
    const who = await token(claims);

    const got = await host.get('/box/a.txt', who);
    const put = await host.get('/box/b.txt', who, { method: 'PUT', body: 'x' });

    expect([got.status, put.status]).toEqual([read, write]);
    if (put.status === 403) expect(put.text).toContain('robot may not write to b.txt in repository box');
    expect(put.challenge).toBeNull();
  });

  it('reads an htpasswd file again when it changes, and keeps what it has when the file is bad', async () => {
    const host = await start('none', '\n      htpasswd: users');
    const dora = basic('dora', 'explorer');
    const file = join(host.folder, 'users');
    const change = (content: string): void => {
      writeFileSync(file, content);
      utimesSync(file, new Date(), new Date(Date.now() + Math.random() * 1e9));
    };
    async function until(authorization: string, status: number): Promise<void> {
      await expect
        .poll(async () => (await host.get('/box/a.txt', authorization)).status, { timeout: 60_000 })
        .toBe(status);
    }
    expect((await host.get('/box/c.txt', dora, { method: 'PUT', body: 'x' })).status).toBe(201);

    change(`dora:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nemil:${await hash('detective', 4)}\n`);
    await until(dora, 200);
    change(`emil:${await hash('detective', 4)}\n`);

    await until(basic('emil', 'detective'), 200);
    expect((await host.get('/box/a.txt', dora)).status).toBe(401);
  });

  it('answers on one connection whatever it did with a body', async () => {
    const host = await start('none');
    const body = 'x'.repeat(300_000);
    const put = { method: 'PUT', path: '/box/c.txt', body };
    const chunked = { 'transfer-encoding': 'chunked' };

    const { answers, connections } = await onOneConnection(host.urls[0] as string, [
      put,
      { ...put, headers: chunked },
      { ...put, headers: { expect: '100-continue', ...chunked } },
      { ...put, headers: { authorization: bob } },
      { ...put, headers: { authorization: alice, ...chunked } },
      { ...put, path: '/box/d.txt', headers: { authorization: alice, expect: '100-continue', ...chunked } },
      { ...put, method: 'PATCH', headers: { authorization: alice } },
      { method: 'GET', path: '/box/d.txt', headers: { authorization: bob } },
    ]);

    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 403, 201, 201, 405, 200]);
    expect(answers.at(-1)?.text).toBe(body);
    expect(connections).toBe(1);
  });

  it('hashes a password once for many requests, and one for whoever nobody knows as well', async () => {
    const host = await start('none');
    const check = PasswordPool.prototype.check;
    const checked: string[] = [];
    PasswordPool.prototype.check = async function (name, task) {
      checked.push(name);
      return await check.call(this, name, task);
    };
    onTestFinished(() => void (PasswordPool.prototype.check = check));

    const asked = [alice, basic('alice', 'wrong'), basic('mallory', 'wrong')];
    for (const who of [...asked, ...asked]) await host.get('/box/a.txt', who);

    // Alice's was right when the file was put.
    expect(checked).toEqual(['alice', 'mallory']);
  });
});

describe('a configuration of access', () => {
  it.each<[access: string, path: string, message: RegExp]>([
    ['{ users: { a: { password: s3cret } } }', 'users.a.password', /expected \$\{env:NAME\} or \$\{file:PATH\}/],
    ['{ users: { a: { may: read } } }', 'users.a', /either password or passwordHash/],
    ['{ users: { a: { passwordHash: "$apr1$x$y" } } }', 'users.a.passwordHash', /found an MD5 hash/],
    ['{ users: { "a:b": { passwordHash: x } } }', 'users.a:b', /user name without ":"/],
    ['{ htpasswd: nothing }', 'htpasswd', /nothing cannot be read \(ENOENT\)/],
    ['{ htpasswd: md5 }', 'htpasswd', /line 2: expected a bcrypt hash .* found an MD5 hash/],
    ['{ jwt: { issuer: a, audience: b } }', 'jwt', /either keyFile or keysUrl/],
    ['{ jwt: { issuer: a, keyFile: md5 } }', 'jwt.audience', /expected a text/],
    ['{ jwt: { issuer: a, audience: b, keyFile: md5 } }', 'jwt.keyFile', /is no public key/],
    [
      '{ jwt: { issuer: a, audience: b, keyFile: md5, algorithms: [HS256] } }',
      'jwt.algorithms.0',
      /RS256, ES256 or EdDSA/,
    ],
    ['{ anonymus: read }', 'anonymus', /did you mean anonymous/],
  ])('%s is refused', async (access, path, message) => {
    const yaml = `repositories: { box: { type: files, kind: hosted, access: ${access} } }`;

    const started = startHost(yaml, { md5: '# users\nx:$apr1$salt$hashhashhash\n' });

    await expect(started).rejects.toMatchObject({
      problems: [{ path: `repositories.box.access.${path}`, message: expect.stringMatching(message) }],
    });
  });
});
