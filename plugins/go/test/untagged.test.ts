import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { PolicyEngine } from '@entrepot/core';
import { goModule, openGo, type GoRepository } from './fixtures.js';

const run = promisify(execFile);
const hasGo = await run('go', ['version']).then(
  () => true,
  () => false,
);
const PATH = 'example.com/untagged';
const OLDER = 'v0.0.0-20200101000000-aaaaaaaaaaaa';
const NEWER = 'v0.0.0-20210101000000-bbbbbbbbbbbb';

/** A module of two commits without a tag, which the upstream lists; it has no `@latest`, as many mirrors have none. */
async function openUntagged(policy?: PolicyEngine): Promise<GoRepository> {
  const opened = await openGo({ unverified: 'example.com' }, policy);
  for (const version of [OLDER, NEWER])
    opened.modules.push(goModule({ path: PATH, version, files: { 'a.go': 'package untagged' } }));
  opened.tamper((path, answer) => {
    if (path === `${PATH}/@v/list`) return { body: `${NEWER}\n${OLDER}\n` };
    return path.endsWith('/@latest') ? undefined : answer;
  });
  return opened;
}

/** Runs the `go` of this machine with the repository as its proxy. */
async function go({ repository }: GoRepository, args: readonly string[]): Promise<string> {
  const server = createServer(async (request, response) => {
    const reply = await repository.ask({ path: request.url ?? '/', headers: {} });
    response.writeHead(reply.status, { 'content-type': String(reply.headers['content-type']) }).end(reply.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const home = await mkdtemp(join(tmpdir(), 'entrepot-go-'));
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  });
  const { PATH: path } = process.env;
  const proxy = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { PATH: path, HOME: home, GOENV: 'off', GOFLAGS: '-modcacherw', GOPROXY: proxy, GOSUMDB: 'off' };
  const { stdout } = await run('go', [...args], { cwd: home, env: { ...env, GOTOOLCHAIN: 'local' } });
  return stdout.trim();
}

describe('a module without tags', () => {
  it.runIf(hasGo)(
    'is listed with its commits, of which go takes the newest',
    async () => {
      const opened = await openUntagged();
      expect((await opened.get(`/${PATH}/@v/list`)).body.toString()).toBe(`${OLDER}\n${NEWER}\n`);
      expect(await go(opened, ['list', '-m', `${PATH}@latest`])).toBe(`${PATH} ${NEWER}`);
    },
    60_000,
  );

  it.runIf(hasGo)(
    'has the latest commit that the upstream says, not one that somebody fetched',
    async () => {
      const opened = await openUntagged();
      expect(await opened.get(`/${PATH}/@v/${OLDER}.zip`)).toMatchObject({ status: 200 });
      expect(await opened.get(`/${PATH}/@latest`)).toMatchObject({ status: 404 });
      expect(await go(opened, ['list', '-m', `${PATH}@latest`])).toBe(`${PATH} ${NEWER}`);
      // A commit of another branch is later than the latest one.
      opened.repository.clock.advance(86_400_000);
      opened.tamper((path) => (path === `${PATH}/@latest` ? { body: `{"Version":"${OLDER}"}` } : undefined));
      expect(await opened.get(`/${PATH}/@v/${NEWER}.zip`)).toMatchObject({ status: 200 });
      expect((await opened.get(`/${PATH}/@latest`)).body.toString()).toBe(`{"Version":"${OLDER}"}`);
    },
    60_000,
  );

  it.each([404, 503])(
    'has no list and no latest commit made up from what is kept, where the upstream says %d',
    async (status) => {
      const opened = await openUntagged();
      expect(await opened.get(`/${PATH}/@v/${OLDER}.zip`)).toMatchObject({ status: 200 });
      opened.tamper(() => ({ status, body: '' }));
      const wanted = status === 404 ? 404 : 502;
      for (const file of ['@v/list', '@latest'])
        expect([file, (await opened.get(`/${PATH}/${file}`)).status]).toEqual([file, wanted]);
    },
  );

  it.runIf(hasGo)(
    'keeps the times that an upstream writes behind versions',
    async () => {
      const opened = await openUntagged();
      const lines = [`${OLDER} 2022-01-01T00:00:00Z`, `${NEWER} 2021-01-01T00:00:00Z junk`, 'v0.1.0-rc.1 yesterday'];
      opened.tamper((path, answer) => {
        if (path === `${PATH}/@v/list`) return { body: lines.slice(0, 2).join('\n') };
        if (path === 'example.com/one/@v/list') return { body: lines.join('\n') };
        return path.endsWith('/@latest') ? undefined : answer;
      });
      expect(await go(opened, ['list', '-m', `${PATH}@latest`])).toBe(`${PATH} ${OLDER}`);
      expect((await opened.get('/example.com/one/@v/list')).body.toString()).toBe(
        `${OLDER} 2022-01-01T00:00:00Z\n${NEWER} 2021-01-01T00:00:00Z\nv0.1.0-rc.1\n`,
      );
    },
    60_000,
  );

  it('is judged by the times of its commits without a request for each', async () => {
    const before = Date.parse('2020-06-01T00:00:00Z');
    const opened = await openUntagged({
      revision: () => '1',
      needs: () => new Set(['publishedAt']),
      evaluate({ coordinates: { version }, facts: { publishedAt = Infinity } }) {
        if (version === undefined || publishedAt < before) return { action: 'allow', rules: [] };
        return { action: 'hold', rules: [{ id: 'cooldown', action: 'hold', reason: 'too new' }] };
      },
    });
    expect((await opened.get(`/${PATH}/@v/list`)).body.toString()).toBe(`${OLDER}\n`);
    expect(opened.asked.filter((path) => path.endsWith('.info'))).toEqual([]);
  });
});
