import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { hashPassword } from '../../src/access/password-hash.js';
import { loadConfig } from '../../src/config/load.js';
import { checkConfiguration } from '../../src/create-host.js';
import { silentLogger } from '@entrepot/core';
import { serve } from '../policy/support.js';
import { TestProcess } from '../cli/test-context.js';
import { basic, testFolder } from '../access/server.js';

const API = '/-/api/v1';
const PURL = 'pkg:npm/demo@2.0.0';
const TARBALL = '/npm/demo/-/demo-2.0.0.tgz';
const RULE = `{ id: not-two, match: { purl: ["${PURL}"] }, exceptions: two-approvers, action: deny }`;
const EXCEPTION = { id: 'e1', purl: [PURL], reason: 'we need it', expires: '30d' };
const TOKEN = 'a-token-of-some-length';

async function configuration(): Promise<string> {
  const users = `{ ann: { passwordHash: '${await hashPassword('of ann')}' }, bob: { password: "\${env:BOB}" } }`;
  const jwt =
    '{ keyFile: ./key.pem, issuer: https://id.example.com, audience: entrepot, claim: groups, admin: [operators] }';
  return `admin: { token: "\${env:TOKEN}", users: ${users}, jwt: ${jwt} }\npolicy: { rules: [${RULE}] }`;
}

async function open(env: Readonly<Record<string, string>> = {}) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const server = await serve(await configuration(), { 'key.pem': pem }, { BOB: 'of bob', TOKEN, ...env });
  const tokenOf = async (subject: string, groups: readonly string[]): Promise<string> => {
    const token = new SignJWT({ groups })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setSubject(subject)
      .setIssuer('https://id.example.com')
      .setAudience('entrepot')
      .setExpirationTime('5m');
    return `Bearer ${await token.sign(privateKey)}`;
  };
  return { ...server, tokenOf };
}

describe('administrators', () => {
  it('are whom the configuration names, and nobody else', async () => {
    const { get, tokenOf } = await open();
    const status = async (authorization?: string): Promise<number> =>
      (await get(`${API}/policy`, authorization === undefined ? {} : { authorization })).status;
    expect(await status(basic('ann', 'of ann'))).toBe(200);
    expect(await status(basic('bob', 'of bob'))).toBe(200);
    expect(await status(`Bearer ${TOKEN}`)).toBe(200);
    expect(await status(await tokenOf('cleo', ['staff', 'operators']))).toBe(200);
    for (const wrong of [
      undefined,
      basic('ann', 'of bob'),
      basic('dan', 'of ann'),
      'Basic ann',
      'Bearer x',
      'Digest x',
    ])
      expect([wrong, await status(wrong)]).toEqual([wrong, 401]);
    expect(await status(await tokenOf('eve', ['operators-of-something']))).toBe(403);
    const { headers } = await get(`${API}/policy`);
    expect(headers.get('www-authenticate')).toMatch(/^Bearer .*, Basic /);
  });

  it('decide under their own name, whatever they call themselves', async () => {
    const { get, send, tokenOf } = await open();
    const by = async (authorization: string, path: string, form: object) =>
      send('POST', `${API}/exceptions${path}`, form, { authorization });
    const ann = basic('ann', 'of ann');
    expect((await by(ann, '', EXCEPTION)).json).toMatchObject({ requestedBy: ['ann'] });
    expect((await by(ann, '/e1/approve', { by: 'bob' })).json).toMatchObject({ approvedBy: ['ann'] });
    expect((await get(TARBALL)).status).toBe(403);
    const approved = await by(await tokenOf('cleo', ['operators']), '/e1/approve', {});
    expect(approved.json).toMatchObject({ approvedBy: ['ann', 'cleo'] });
    expect((await get(TARBALL)).status).toBe(200);
    // Whoever has the token alone says who they are.
    expect((await by(`Bearer ${TOKEN}`, '/e1/approve', {})).status).toBe(400);
    const vex = {
      author: 'somebody',
      statements: [{ vulnerability: 'CVE-1', products: [{ '@id': PURL }], status: 'fixed' }],
    };
    const imported = await send('POST', `${API}/vex`, vex, { authorization: ann });
    expect(imported.json.exceptions).toMatchObject([{ requestedBy: ['ann'], reason: 'VEX of somebody: fixed' }]);
  });

  it('are not the pages that a browser of theirs is led to', async () => {
    const { send, url } = await open();
    const ann = { authorization: basic('ann', 'of ann') };
    const foreign = await send('POST', `${API}/exceptions`, EXCEPTION, { ...ann, origin: 'https://example.com' });
    expect(foreign.status).toBe(401);
    expect((await send('POST', `${API}/exceptions`, EXCEPTION, { ...ann, origin: url })).status).toBe(201);
  });

  it('see explanations of repositories that not everybody may read', async () => {
    const { get } = await open({ ENTREPOT_REPOSITORIES_NPM_ACCESS_ANONYMOUS: 'none' });
    const seen = async (password: string): Promise<unknown[]> => {
      const headers = { authorization: basic('ann', password), accept: 'application/json' };
      return (await get(`/-/explain/${PURL}`, headers)).json.explanations;
    };
    expect(await seen('of ann')).toMatchObject([{ repository: 'npm' }]);
    expect(await seen('wrong')).toEqual([]);
  });

  it('work on the command line with their password', async () => {
    const { url, folder } = await open();
    const process = new TestProcess(folder);
    process.env = { BOB: 'of bob', TOKEN };
    process.input = 'of ann\n';
    const words = ['exceptions', 'add', '--purl', PURL, '--reason', 'x', '--expires', '1d', '--id', 'e2'];
    expect(await process.run(...words, '--server', url, '--user', 'ann')).toBe(0);
    expect(process.output).toEqual(['added e2']);
    process.input = 'of somebody';
    expect(await process.run('exceptions', 'list', '--server', url, '--user', 'ann')).toBe(1);
    expect(process.errors.join()).toContain('Wrong user name or password');
  });

  it('are checked before anything starts', async () => {
    const cwd = testFolder();
    const jwt = {
      ENTREPOT_ADMIN_JWT_KEY_FILE: './none.pem',
      ENTREPOT_ADMIN_JWT_ISSUER: 'a',
      ENTREPOT_ADMIN_JWT_AUDIENCE: 'b',
    };
    const loaded = await loadConfig({
      env: { ...jwt, ENTREPOT_REPOSITORIES_UPLOADS_TYPE: 'files', ENTREPOT_REPOSITORIES_UPLOADS_KIND: 'hosted' },
      cwd,
    });
    const { problems } = await checkConfiguration(loaded, { logger: silentLogger });
    expect(problems).toMatchObject([{ path: 'admin.jwt.keyFile', message: expect.stringContaining('none.pem') }]);
  });
});
