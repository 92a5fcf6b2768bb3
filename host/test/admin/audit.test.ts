import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { text as bodyOf } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import type { AuditRecord } from '../../src/drivers/sql/audit-store.js';
import { basic } from '../access/server.js';
import { listenOnLoopback } from '../local-server.js';
import { serve, until, type PolicyServer } from '../policy/support.js';

const API = '/-/api/v1';
const TOKEN = 'a-token-of-some-length';
const ann = { authorization: basic('ann', 'password-of-ann') };
const ENV = { ADMIN: TOKEN, ANN: 'password-of-ann', CI: 'password-of-ci', HOOK: 'a-secret-of-the-hook' };

const CONFIGURATION = `
admin: { token: "\${env:ADMIN}", users: { ann: { password: "\${env:ANN}" } } }
policy: { rules: [{ id: not-two, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: deny }] }
repositories:
  npm: { type: npm, upstream: "{upstream}" }
  box: { type: files, kind: hosted, access: { users: { ci: { password: "\${env:CI}", may: write } } } }`;

async function start(more = '', files = {}) {
  const server = await serve(`${more}${CONFIGURATION}`, files, ENV);
  const audit = async (query = '', headers: Record<string, string> = ann): Promise<readonly AuditRecord[]> => {
    const { status, json, text } = await server.get(`${API}/audit${query}`, headers);
    expect(status, text).toBe(200);
    return json.records;
  };
  return { ...server, audit };
}

async function key({ send }: PolicyServer, name: string, scopes: readonly object[]) {
  const { json } = await send('POST', `${API}/keys`, { name, scopes }, ann);
  return {
    id: json.key.id as string,
    headers: { authorization: `Bearer ${json.secret}` },
    secret: json.secret as string,
  };
}

const local = expect.stringMatching(/^(::ffff:)?127\.0\.0\.1$|^::1$/);

describe('the audit log', () => {
  it('has each change by the API: who, from where, what', async () => {
    const server = await start();
    const { send, audit } = server;
    const ci = await key(server, 'ci', [{ may: 'read', repositories: ['box'] }]);
    await send('PATCH', `${API}/keys/${ci.id}`, { note: 'of the build' }, ann);
    const form = { id: 'e1', purl: ['pkg:npm/demo@2.0.0'], reason: 'we need it', expires: '30d' };
    await send('POST', `${API}/exceptions`, form, ann);
    await send('DELETE', `${API}/exceptions/e1`, undefined, ann);
    const verdict = { repository: 'npm', purl: 'pkg:npm/demo@1.0.0', reason: 'broken' };
    await send('POST', `${API}/quarantine/deny`, verdict, ann);
    await send('POST', `${API}/pins`, { subject: 'npm/**' }, ann);
    await send('POST', `${API}/purge`, { subject: 'npm/**', dryRun: true }, ann);
    await send('POST', `${API}/gc`, {}, ann);
    await send('POST', `${API}/policy/simulate`, { version: 1, rules: [] }, ann);
    await send('DELETE', `${API}/keys/${ci.id}`, undefined, ann);
    await send('DELETE', `${API}/keys/${ci.id}`, undefined, ann);
    const records = await audit('?kind=change');
    expect(records.map(({ event, subject }) => [event, subject])).toEqual([
      ['revokeKey', ci.id],
      ['beginCollection', undefined],
      ['beginPurge', 'npm/**'],
      ['addPin', 'npm/**'],
      ['denyVersion', 'pkg:npm/demo@1.0.0'],
      ['removeException', 'e1'],
      ['addException', 'e1'],
      ['changeKey', ci.id],
      ['createKey', 'ci'],
    ]);
    for (const record of records) expect(record).toMatchObject({ actor: 'ann', address: local, times: 1 });
    expect(records.find(({ event }) => event === 'denyVersion')).toMatchObject({
      repository: 'npm',
      detail: { asked: verdict },
    });
    expect(records.at(-1)?.detail).toMatchObject({ asked: { name: 'ci' }, answer: { key: { id: ci.id } } });
    expect(JSON.stringify(records)).not.toContain(ci.secret);
  });

  it('has what was published and removed in hosted repositories', async () => {
    const { send, audit } = await start();
    const ci = { authorization: basic('ci', ENV.CI) };
    expect((await send('PUT', '/box/a.txt', 'hello', ci)).status).toBe(201);
    expect((await send('DELETE', '/box/a.txt', undefined, ci)).status).toBe(204);
    expect(await audit('?repository=box')).toMatchObject([
      { event: 'hosted-removed', actor: 'ci', address: local, subject: 'a.txt', detail: { removed: ['a.txt'] } },
      { event: 'hosted-published', actor: 'ci', address: local, subject: 'a.txt', detail: { created: ['a.txt'] } },
    ]);
  });

  it('has denials of access control, of the administration and of policy, equal ones counted', async () => {
    const server = await start();
    const { get, send, audit } = server;
    const reader = await key(server, 'reader', [{ may: 'read', repositories: ['box'] }]);
    for (let times = 0; times < 3; times += 1) expect((await get(`/box/${times}`)).status).toBe(401);
    expect((await get('/box/a', { authorization: basic('ci', 'wrong') })).status).toBe(401);
    for (let times = 0; times < 2; times += 1)
      expect((await send('PUT', `/box/${times}`, 'x', reader.headers)).status).toBe(403);
    expect((await get(`${API}/pins`)).status).toBe(401);
    expect((await get(`${API}/pins`, reader.headers)).status).toBe(403);
    for (let times = 0; times < 4; times += 1) expect((await get('/npm/demo/-/demo-2.0.0.tgz')).status).toBe(403);
    const told = (await audit('?kind=denial')).map(({ event, actor, repository, subject, times }) => [
      event,
      actor,
      repository,
      subject,
      times,
    ]);
    expect(
      told.toSorted((one, other) => String(one[0] + String(one[1])).localeCompare(String(other[0] + String(other[1])))),
    ).toEqual([
      ['access-forbidden', 'key:reader', 'box', '/box/0', 2],
      ['access-unauthorized', undefined, 'box', '/box/0', 4],
      ['admin-forbidden', 'key:reader', undefined, `${API}/pins`, 1],
      ['admin-unauthorized', undefined, undefined, `${API}/pins`, 1],
      ['policy-refused', undefined, 'npm', 'pkg:npm/demo@2.0.0', 4],
    ]);
  });

  it('is shown to administrators of a repository as far as it is about that', async () => {
    const server = await start();
    const { get, send } = server;
    const owner = await key(server, 'owner', [{ may: 'admin', repositories: ['box'] }]);
    await send('PUT', '/box/a.txt', 'x', owner.headers);
    expect((await get(`${API}/audit?repository=box`, owner.headers)).json.records).toMatchObject([
      { event: 'hosted-published', actor: 'key:owner' },
    ]);
    expect((await get(`${API}/audit?repository=npm`, owner.headers)).status).toBe(403);
    expect((await get(`${API}/audit`, owner.headers)).status).toBe(403);
    expect((await get(`${API}/audit`)).status).toBe(401);
    expect((await server.get(`${API}/audit?actor=key:owner&event=admin-forbidden`, ann)).json.records).toMatchObject([
      { subject: `${API}/audit`, times: 2, detail: { code: 'KEY_SCOPE' } },
    ]);
  });

  it.each([
    ['?kind=other', 'kind'],
    ['?since=soon', 'since: expected a date or a duration'],
    ['?limit=0', 'limit'],
    ['?limit=5000', 'limit'],
    ['?who=ann', 'who'],
    ['?actor=a&actor=b', 'actor'],
    ['?actor=a%00', 'actor: expected a text without NUL'],
  ])('refuses %s', async (query, message) => {
    const { get } = await start();
    expect(await get(`${API}/audit${query}`, ann)).toMatchObject({
      status: 400,
      text: expect.stringContaining(message),
    });
  });

  it('has what a reload changes, without secrets', async () => {
    const server = await start();
    const { host, folder, audit } = server;
    const file = join(folder, 'entrepot.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('not-two', 'not-the-second'));
    const env = { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', ...ENV };
    (await host.prepare(await loadConfig({ env, cwd: folder }))).apply();
    const records = await audit('?event=configuration-applied');
    expect(records).toMatchObject([
      { kind: 'change', detail: { changes: [{ key: expect.stringContaining('policy.rules') }] } },
    ]);
    expect(JSON.stringify(records)).not.toContain(ENV.ANN);
  });

  it('goes to a file and a webhook as well', async () => {
    const posted: { readonly signature: unknown; readonly body: string }[] = [];
    const hook = await listenOnLoopback(
      createServer((request, response) => {
        void bodyOf(request).then((body) => {
          posted.push({ signature: request.headers['entrepot-signature'], body });
          response.end();
        });
      }),
    );
    const server = await start(
      `audit: { file: ./audit.jsonl, webhooks: [{ url: "${hook}", secret: "\${env:HOOK}", allowPrivate: true }] }\n`,
    );
    await server.send('POST', `${API}/pins`, { subject: 'npm/**' }, ann);
    const [record] = await server.audit();
    const file = join(server.folder, 'audit.jsonl');
    await until(() => posted.length > 0);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([record]);
    const [{ signature, body }] = posted as [(typeof posted)[number]];
    expect(JSON.parse(body)).toMatchObject({ event: 'audit', records: [{ id: record?.id, event: 'addPin' }] });
    expect(signature).toBe(`sha256=${createHmac('sha256', ENV.HOOK).update(body).digest('hex')}`);
  });
});
