import { describe, expect, it, onTestFinished } from 'vitest';
import { anonymousAccess, type Access, type PolicyEngine } from '@entrepot/core';
import { openTestRepository, type TestReply } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { openGo, type GoRepository } from './fixtures.js';

const ONE = { Path: 'example.com/one', Version: 'v1.0.0' };
const NEXT = { Path: 'example.com/one', Version: 'v1.1.0' };
const UPPER = { Path: 'example.com/Upper/Foo', Version: 'v1.1.0-RC1' };
const SECRET = { Path: 'corp.example.com/secret', Version: 'v1.0.0' };
const ZIPS = [
  '/example.com/one/@v/v1.1.0.zip',
  '/example.com/%21upper/%21foo/@v/v1.1.0-%21r%21c1.zip',
  '/example.com/one/@v/v1.0.0.zip',
  '/corp.example.com/secret/@v/v1.0.0.zip',
];

interface Line {
  readonly Path: string;
  readonly Version: string;
  readonly Timestamp: string;
}

function linesOf({ status, body }: TestReply): Line[] {
  expect(status, body.toString()).toBe(200);
  const lines = body.toString().split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as Line);
}

const named = ({ Path, Version }: Line): object => ({ Path, Version });

/** Fetches zips, a second apart unless `at` once, and waits until they are listed. @returns the time of the first */
async function fetchAll({ get, repository }: GoRepository, at?: 'once'): Promise<number> {
  const began = repository.clock.now();
  for (const path of ZIPS) {
    expect((await get(path)).status).toBe(200);
    if (at !== 'once') repository.clock.advance(1000);
  }
  repository.clock.advance(61_000);
  return began;
}

/** The whole index, by the links to next pages. */
async function pagesOf(get: GoRepository['get'], first: string): Promise<Line[][]> {
  const pages: Line[][] = [];
  for (let path: string | undefined = first; path !== undefined && pages.length < 100;) {
    const reply = await get(path);
    pages.push(linesOf(reply));
    const next = /^<(\?[^>]+)>; rel="next"$/.exec(reply.headers['link'] ?? '')?.[1];
    path = next && `/index${next}`;
  }
  return pages;
}

const time = (milliseconds: number): string => new Date(milliseconds).toISOString();

describe('the module index', () => {
  it('is served by option alone', async () => {
    for (const options of [{}, { index: false }])
      expect((await (await openGo(options)).get('/index')).status).toBe(404);
    const { get } = await openGo({ index: true });
    for (const path of ['/index/', '/index/x', '/cached-only/index', '/indexes'])
      expect((await get(path)).status, path).toBe(404);
  });

  it('lists versions whose zips are kept, by the time at which they were stored', async () => {
    const go = await openGo({ index: true });
    expect(linesOf(await go.get('/index'))).toEqual([]);
    expect((await go.get('/example.com/old/@v/v2.0.0+incompatible.mod')).status).toBe(200);
    const began = await fetchAll(go);
    const asked = go.asked.length;
    const reply = await go.get('/index?include=all');
    expect(linesOf(reply)).toEqual(
      [NEXT, UPPER, ONE, SECRET].map((line, at) => ({ ...line, Timestamp: time(began + at * 1000) })),
    );
    expect(reply.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'private, no-cache' });
    expect(reply.headers['link']).toBeUndefined();
    expect(go.asked.length).toBe(asked);
  });

  it('keeps the place of a version that is asked for again', async () => {
    const go = await openGo({ index: true });
    await fetchAll(go);
    const before = (await go.get('/index')).body.toString();
    for (const path of [...ZIPS].reverse()) expect((await go.get(path)).status).toBe(200);
    go.repository.clock.advance(120_000);
    expect((await go.get('/index')).body.toString()).toBe(before);
  });

  it('begins at since, which is in it, and has limit lines at the most', async () => {
    const go = await openGo({ index: true });
    const began = await fetchAll(go);
    const since = async (text: string): Promise<object[]> =>
      linesOf(await go.get(`/index?since=${encodeURIComponent(text)}`)).map(named);
    expect(await since(time(began + 1000))).toEqual([UPPER, ONE, SECRET]);
    expect(await since(time(began + 1000).replace('Z', '000001Z'))).toEqual([ONE, SECRET]);
    expect(await since(time(began + 1000 + 2 * 3_600_000).replace('Z', '+02:00'))).toEqual([UPPER, ONE, SECRET]);
    expect(await since(time(began + 3001))).toEqual([]);
    expect(linesOf(await go.get('/index?limit=2')).map(named)).toEqual([NEXT, UPPER]);
    expect(linesOf(await go.get(`/index?limit=1&since=${time(began + 2000)}`)).map(named)).toEqual([ONE]);
  });

  it.each(['once', undefined] as const)('loses nothing between pages, nor lists it twice (stored %s)', async (at) => {
    const go = await openGo({ index: true });
    await fetchAll(go, at);
    const all = linesOf(await go.get('/index'));
    expect(all.length).toBe(4);
    for (const limit of [1, 2, 3]) {
      const pages = await pagesOf(go.get, `/index?limit=${limit}`);
      expect(pages.flat(), `limit ${limit}`).toEqual(all);
      expect(Math.max(...pages.map(({ length }) => length))).toBe(limit);
    }
  });

  it('waits until nothing older can come any more', async () => {
    const go = await openGo({ index: true });
    expect((await go.get(ZIPS[0] as string)).status).toBe(200);
    go.repository.clock.advance(59_000);
    expect(linesOf(await go.get('/index'))).toEqual([]);
    go.repository.clock.advance(2_000);
    expect(linesOf(await go.get('/index')).map(named)).toEqual([NEXT]);
  });

  it('leaves out what policy denies, also what was kept before the rule', async () => {
    let denied = '';
    const policy: PolicyEngine = {
      revision: () => denied,
      needs: () => new Set(),
      evaluate: ({ coordinates: { version } }) =>
        version === denied
          ? { action: 'deny', rules: [{ id: 'r', action: 'deny', reason: 'no' }] }
          : { action: 'allow', rules: [] },
    };
    const go = await openGo({ index: true }, policy);
    await fetchAll(go);
    expect(linesOf(await go.get('/index')).length).toBe(4);
    denied = 'v1.0.0';
    expect(linesOf(await go.get('/index')).map(named)).toEqual([NEXT, UPPER]);
    expect((await pagesOf(go.get, '/index?limit=1')).flat().map(named)).toEqual([NEXT, UPPER]);
  });

  it('leaves out what is gone, and after a restart what is not found here any more', async () => {
    const go = await openGo({ index: true });
    await fetchAll(go);
    await go.repository.entries.remove('test', 'example.com/one/@v/v1.0.0.zip');
    expect(linesOf(await go.get('/index')).map(named)).toEqual([NEXT, UPPER, SECRET]);
    const options = { index: true, sumdb: 'off', unverified: [], private: 'corp.example.com' };
    const again = await openTestRepository({ plugin, options, stores: go.repository });
    onTestFinished(() => again.close());
    again.clock.advance(3_600_000);
    expect((await again.ask(ZIPS[3] as string)).status).toBe(404);
    expect(linesOf(await again.ask('/index')).map(named)).toEqual([NEXT, UPPER]);
  });

  it('is for those who may read the whole repository', async () => {
    const named: Access = {
      ...anonymousAccess([]),
      knowsCallers: true,
      isOpen: ({ name }) => name === 'example.com/one',
      authenticate: async (authorization) => ({
        name: authorization ?? 'x',
        may: ({ name }) => authorization === 'all' || name === 'example.com/one',
      }),
    };
    const go = await openGo({ index: true }, undefined, { access: named });
    expect((await go.get(ZIPS[0] as string)).status).toBe(200);
    go.repository.clock.advance(61_000);
    expect((await go.get('/index')).status).toBe(403);
    expect((await go.get('/index', { authorization: 'one' })).status).toBe(403);
    expect(linesOf(await go.get('/index', { authorization: 'all' })).length).toBe(1);
  });

  it.each([
    'limit=0',
    'limit=2001',
    'limit=x',
    'limit=1e2',
    'since=yesterday',
    'since=2026-01-01',
    'since=2026-13-01T00:00:00Z',
    'since=2026-01-01T00:00:00',
    'include=some',
  ])('refuses %s', async (query) => {
    const { status, body } = await (await openGo({ index: true })).get(`/index?${query}`);
    expect([status, body.toString()]).toEqual([400, expect.stringContaining('expected')]);
  });

  it('answers HEAD, and no other method', async () => {
    const { repository } = await openGo({ index: true });
    const head = await repository.ask({ method: 'HEAD', path: '/index' });
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect((await repository.ask({ method: 'POST', path: '/index' })).status).toBe(405);
  });
});
