import { describe, expect, it } from 'vitest';
import { ALLOWED, allowAll, anonymousAccess, passthroughClass, type PolicyEngine } from '../../src/index.js';
import { openHarness, withClasses } from './harness.js';
import { DEFAULT_LIMITS } from '../../src/engine/index.js';

describe('a hosted repository', () => {
  it('takes, serves, lists and removes a file', async () => {
    const { ask, get } = await openHarness({ kind: 'hosted' });
    const created = await ask('PUT', '/files/a.txt', {}, 'hello');
    expect(created).toMatchObject({
      status: 201,
      headers: { Location: 'https://packages.example.com/test/files/a.txt' },
    });
    const read = await get('/files/a.txt');
    expect(await read.text()).toBe('hello');
    expect(read.headers['ETag']).toBe(created.headers['ETag']);
    expect(await (await get('/list')).text()).toBe('files/a.txt 5\n');
    expect((await ask('HEAD', '/files/a.txt')).headers['Content-Length']).toBe('5');
    expect((await ask('DELETE', '/files/a.txt')).status).toBe(204);
    expect((await ask('DELETE', '/files/a.txt')).status).toBe(404);
    expect((await get('/files/a.txt')).status).toBe(404);
  });

  it('takes an empty file', async () => {
    const { ask, get } = await openHarness({ kind: 'hosted' });
    expect((await ask('PUT', '/files/empty')).status).toBe(201);
    expect((await get('/files/empty')).headers['Content-Length']).toBe('0');
  });

  it('does not overwrite unless asked to', async () => {
    const { ask, get } = await openHarness({ kind: 'hosted' });
    await ask('PUT', '/files/a', {}, 'one');
    expect((await ask('PUT', '/files/a', {}, 'two')).status).toBe(409);
    expect(await (await get('/files/a')).text()).toBe('one');
    expect((await ask('PUT', '/files/a?overwrite', {}, 'two')).status).toBe(200);
    expect(await (await get('/files/a')).text()).toBe('two');
    expect((await ask('PUT', '/files/a?overwrite', { 'if-none-match': '*' }, 'three')).status).toBe(412);
    expect((await ask('PUT', '/files/a?overwrite', { 'if-match': '"other"' }, 'three')).status).toBe(412);
  });

  it('lets one of many uploads of one name win', async () => {
    const { ask, get } = await openHarness({ kind: 'hosted' });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => ask('PUT', '/files/a', {}, `body ${index}`)),
    );
    const winners = answers.flatMap(({ status }, index) => (status === 201 ? [index] : []));
    expect(winners.length).toBe(1);
    expect(answers.filter(({ status }) => status === 409).length).toBe(19);
    expect(await (await get('/files/a')).text()).toBe(`body ${winners[0]}`);
  });

  it('refuses a body that is too large, and leaves nothing', async () => {
    const { ask, get, storage } = await openHarness({ kind: 'hosted' });
    expect((await ask('PUT', '/files/a', {}, Buffer.alloc(1_000_001))).status).toBe(413);
    expect((await ask('PUT', '/files/a', { 'content-length': '1000001' }, 'x')).status).toBe(413);
    expect((await get('/files/a')).status).toBe(404);
    expect(storage.spools.used).toBe(0);
  });

  it('refuses uploads where it must, and a proxy always does', async () => {
    const closed = await openHarness({ kind: 'hosted', definition: { access: anonymousAccess(['read']) } });
    expect((await closed.ask('PUT', '/files/a', {}, 'x')).status).toBe(403);
    const proxy = await openHarness();
    expect(await proxy.ask('PUT', '/files/a', {}, 'x')).toMatchObject({ status: 405, headers: { Allow: 'GET, HEAD' } });
  });
});

describe('passthrough and local', () => {
  it('asks the upstream every time', async () => {
    const { upstream, get } = await openHarness();
    upstream.serve('/search', { body: '{}', mediaType: 'application/json' });
    expect(await (await get('/search')).text()).toBe('{}');
    expect((await get('/search')).headers['X-Cache']).toBe('BYPASS');
    expect(upstream.count('/search')).toBe(2);
  });

  it('adapts request and reply, and shares the reply for a while', async () => {
    const { upstream, ask, clock } = await openHarness();
    upstream.handle('/audit', (request, response) => void response.end(`got ${request.body.toString()}`));
    expect(await (await ask('POST', '/audit', {}, 'abc')).text()).toBe('adapted got cba');
    expect(await (await ask('POST', '/audit', {}, 'abc')).text()).toBe('adapted got cba');
    expect(upstream.count('/audit')).toBe(1);
    await upstream.goOffline();
    expect((await ask('POST', '/audit', {}, 'abc')).status).toBe(200);
    clock.advance(60_001);
    expect((await ask('POST', '/audit', {}, 'abc')).status).toBe(502);
    expect((await ask('GET', '/audit')).status).toBe(405);
  });

  it('adapts a reply by its headers, the base URL and the policy, and gives it headers of its own', async () => {
    const audit = passthroughClass({
      about: 'a search',
      method: 'POST',
      shareFor: 60_000,
      adapt: {
        request: (_resource, body) => ({ method: 'POST', upstreamPath: 'audit', body }),
        reply(_resource, { status, headers, body }, { requestBody, baseUrl, admits }) {
          const names = Buffer.from(body).toString().split(' ');
          const listed = names.filter((version) => admits({ ecosystem: 'test', name: 'x', version }));
          const text = `${headers['x-total']} ${baseUrl} ${Buffer.from(requestBody).toString()} ${listed.join(' ')}`;
          return {
            status,
            mediaType: 'text/plain',
            headers: { 'X-Listed': String(listed.length), 'content-length': '1' },
            body: text,
          };
        },
      },
    });
    let revision = 1;
    const policy: PolicyEngine = {
      ...allowAll,
      revision: () => String(revision),
      evaluate: ({ coordinates: { version } }) =>
        version === '2' ? { action: 'deny', rules: [{ id: 'no', action: 'deny', reason: 'no' }] } : ALLOWED,
    };
    const { upstream, ask } = await openHarness({ side: withClasses({ audit }), policy });
    upstream.handle('/audit', (_request, response) => void response.setHeader('X-Total', '3').end('1 2 3'));
    for (let asked = 0; asked < 2; asked += 1) {
      const reply = await ask('POST', '/audit', {}, 'all');
      expect(await reply.text()).toBe('3 https://packages.example.com/test all 1 3');
      expect(reply.headers).toMatchObject({ 'X-Listed': '2', 'Content-Length': '43' });
      expect(reply.headers).not.toHaveProperty('content-length');
    }
    expect(upstream.count('/audit')).toBe(1);
    revision = 2;
    await ask('POST', '/audit', {}, 'all');
    expect(upstream.count('/audit')).toBe(2);
  });

  it('inflates a request body, within bounds', async () => {
    const { gzipSync } = await import('node:zlib');
    const { upstream, ask } = await openHarness({
      definition: {
        limits: {
          ...DEFAULT_LIMITS,
          totalTimeout: 5000,
          maxDocumentBytes: 1e6,
          maxArtifactBytes: 1e6,
          maxRequestBytes: 1000,
        },
      },
    });
    upstream.handle('/audit', (request, response) => void response.end(request.body));
    expect(await (await ask('POST', '/audit', { 'content-encoding': 'gzip' }, gzipSync('abc'))).text()).toBe(
      'adapted cba',
    );
    expect(
      (await ask('POST', '/audit', { 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(1_000_000)))).status,
    ).toBe(413);
    expect((await ask('POST', '/audit', { 'content-encoding': 'gzip' }, 'not gzip')).status).toBe(400);
    expect((await ask('POST', '/audit', { 'content-encoding': 'rot13' }, 'abc')).status).toBe(415);
  });

  it('answers what needs no upstream, and 404 for what is nothing', async () => {
    const { get } = await openHarness();
    expect(await (await get('/ping')).text()).toBe('pong');
    expect((await get('/nothing')).status).toBe(404);
  });

  it.each([
    '/a/../b',
    '/a/%2e%2e/b',
    '/a/%2e%2e%2fb',
    '/files/%00',
    '/files/a%0d%0ab',
    '/files/%5c..%5c',
    '/files//a',
    '/./files',
    '/files/%zz',
    '/files/%c3%28',
  ])('refuses the path %s', async (path) => {
    const { get, upstream } = await openHarness();
    expect((await get(path)).status).toBe(400);
    expect(upstream.requests).toEqual([]);
  });
});
