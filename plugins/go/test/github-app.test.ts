import { generateKeyPairSync } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ManualClock, NodeTransport } from '@entrepot/core/testing';
import { GithubServer } from '@entrepot/fixtures/github-server';
import { GithubApp, type GithubAppSettings } from '../src/github-app.js';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
const signal = new AbortController().signal;

async function open(settings: Partial<GithubAppSettings> = {}) {
  const clock = new ManualClock();
  const installed = ['acme/lib', 'acme/other'];
  const github = await new GithubServer({
    appId: '4711',
    privateKey: pem,
    installed,
    clock: () => clock.now(),
  }).start();
  const transport = new NodeTransport();
  onTestFinished(async () => {
    await transport.dispose();
    await github.stop();
  });
  const base = { appId: '4711', privateKey, installation: undefined, apiUrl: github.url };
  return { clock, github, app: new GithubApp({ ...base, ...settings }, { transport, clock }) };
}

describe('a GitHub App', () => {
  it('fetches one token for a repository at a time, and keeps it until shortly before its end', async () => {
    const { app, github, clock } = await open();
    const tokens = await Promise.all(['lib', 'LIB', 'lib'].map((name) => app.token('Acme', name, signal)));
    expect(new Set(tokens).size).toBe(1);
    expect(github.tokens).toEqual([tokens[0]]);
    clock.advance(49 * 60_000);
    expect(await app.token('acme', 'lib', signal)).toBe(tokens[0]);
    clock.advance(2 * 60_000);
    expect(await app.token('acme', 'lib', signal)).not.toBe(tokens[0]);
    expect(await app.token('acme', 'other', signal)).not.toBe(await app.token('acme', 'lib', signal));
    expect(github.tokens.length).toBe(3);
    expect(app.secrets()).toEqual(github.tokens.slice(1));
  });

  it('fetches another one when that was refused', async () => {
    const { app, github } = await open();
    const first = await app.token('acme', 'lib', signal);
    app.forget(first);
    expect(await app.token('acme', 'lib', signal)).not.toBe(first);
    expect(github.tokens.length).toBe(2);
  });

  it('asks for no installation that is configured', async () => {
    const { app, github } = await open({ installation: '17' });
    await app.token('acme', 'lib', signal);
    expect([...github.requests.keys()]).toEqual(['POST /app/installations/17/access_tokens']);
  });

  it.each<[string, Partial<GithubAppSettings>, string, string]>([
    ['a repository where it is not installed', {}, 'acme/none', 'GITHUB_APP_NOT_INSTALLED'],
    ['another installation', { installation: '18' }, 'acme/lib', 'GITHUB_APP_NOT_INSTALLED'],
    ['another id', { appId: '4712' }, 'acme/lib', 'GITHUB_APP_REFUSED'],
    ['a name that is none', {}, 'acme/..', 'NOT_FOUND'],
    ['a name with more in it', {}, 'acme/a?b', 'NOT_FOUND'],
  ])('says what is wrong with %s', async (_, settings, repository, code) => {
    const { app } = await open(settings);
    const [owner = '', name = ''] = repository.split('/');
    await expect(app.token(owner, name, signal)).rejects.toMatchObject({ code });
  });

  it.each<[string, (response: ServerResponse) => unknown, object]>([
    ['an outage', (response) => response.writeHead(503).end(), { kind: 'upstream-unavailable' }],
    ['a limit', (response) => response.writeHead(403, { 'retry-after': '7' }).end(), { status: 503, retryAfter: 7 }],
    ['a page', (response) => response.writeHead(200).end('<html>'), { code: 'GITHUB_APP_MALFORMED' }],
    ['null', (response) => response.writeHead(200).end('null'), { code: 'GITHUB_APP_MALFORMED' }],
    ['too much', (response) => response.writeHead(200).end('x'.repeat(2_000_000)), { code: 'GITHUB_APP_MALFORMED' }],
  ])('takes %s for a failure, and asks again', async (_, answer, wanted) => {
    const { app, github } = await open();
    github.intercept = (response) => {
      answer(response);
      return true;
    };
    await expect(app.token('acme', 'lib', signal)).rejects.toMatchObject(wanted);
    github.intercept = undefined;
    expect(await app.token('acme', 'lib', signal)).toMatch(/^ghs_/);
  });

  it('lets one who gives up go, and the others have it', async () => {
    const { app } = await open();
    const stop = new AbortController();
    const gone = app.token('acme', 'lib', stop.signal);
    const stays = app.token('acme', 'lib', signal);
    stop.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    expect(await stays).toMatch(/^ghs_/);
  });
});
