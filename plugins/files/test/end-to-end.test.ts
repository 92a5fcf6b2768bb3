import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Fixture } from '@entrepot/core/testing';
import { startRepository } from './repository.js';
import type { TestRepository } from './repository.js';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

let repository: TestRepository | undefined;
afterEach(async () => {
  await repository?.close();
  repository = undefined;
});

describe('a proxy', () => {
  /** A repository, and its upstream with paths below its base. */
  async function start(written: object) {
    const { upstream, base, ...rest } = (repository = await startRepository(written, 'proxy'));
    return {
      ...rest,
      upstream,
      base,
      count: (path: string) => upstream.count(base + path),
      serve: (path: string, fixture: Fixture) => upstream.serve(base + path, fixture),
      remove: (path: string) => upstream.remove(base + path),
      asked: () => upstream.requests.map(({ path }) => path.slice(base.length)),
    };
  }

  const RULES = {
    rules: [
      { match: 'private/**', policy: 'deny' },
      { match: 'live/**', policy: 'bypass' },
      { match: '**/*.zip', policy: 'immutable' },
      { match: '**/*.tgz', policy: 'immutable', checksum: { sidecar: '.sha256' } },
      { match: '**/*.iso', policy: 'immutable', checksum: { sidecar: 'SHA256SUMS', required: false } },
      { match: '**/*.bin', policy: 'immutable', checksum: { sha256: sha256('pinned') } },
      { match: '**/*.json', policy: 'revalidate', freshFor: '30s', onGone: 'keep' },
    ],
  };

  it('fetches an immutable file once, with its kept headers, and serves it while the upstream is down', async () => {
    const { get, serve, count, upstream } = await start(RULES);
    const headers = { 'Content-Disposition': 'attachment; filename="a b.zip"', 'Set-Cookie': 'a=b' };
    serve('/d/a%20b.zip', { body: 'bytes', mediaType: 'application/zip', headers });
    await get('/d/a%20b.zip');
    upstream.goOffline();
    const reply = await get('/d/a%20b.zip');
    expect(reply).toMatchObject({ status: 200, body: 'bytes', outcome: 'hit' });
    expect(reply.headers).toMatchObject({
      'content-type': 'application/zip',
      'content-disposition': 'attachment; filename="a b.zip"',
      'cache-control': 'max-age=31536000, immutable',
    });
    expect(reply.headers).not.toHaveProperty('set-cookie');
    expect(count('/d/a%20b.zip')).toBe(1);
    expect(await get('/d/a%20b.zip', { range: 'bytes=1-2' })).toMatchObject({ status: 206, body: 'yt' });
  });

  it('sends those request headers upstream that are listed, and serves nobody what was chosen for another', async () => {
    const { get, serve, upstream } = await start({ ...RULES, passRequestHeaders: ['X-Channel', 'x-absent'] });
    serve('/a.json', { body: 'beta', headers: { Vary: 'X-Channel' } });
    const headers = { 'x-channel': 'beta', 'x-other': '1', authorization: 'Basic YTpi' };
    expect(await get('/a.json', headers)).toMatchObject({ body: 'beta', outcome: 'miss' });
    expect(upstream.requests[0]?.headers).toMatchObject({ 'x-channel': 'beta' });
    for (const name of ['x-other', 'x-absent', 'authorization'])
      expect(upstream.requests[0]?.headers).not.toHaveProperty(name);
    serve('/a.json', { body: 'stable', headers: { Vary: 'X-Channel' } });
    expect(await get('/a.json', { 'x-channel': 'stable' })).toMatchObject({ body: 'stable' });
    const again = await get('/a.json', headers);
    expect(again).toMatchObject({ body: 'beta', outcome: 'hit' });
    expect(again.headers['vary']).toMatch(/x-channel/i);
  });

  it('has the media type of the extension, where it is asked to', async () => {
    const types = {
      mediaType: 'name',
      mediaTypes: { '.gz': 'application/gzip', '.tar.gz': 'application/x-compressed-tar' },
    };
    const { get, serve } = await start({ ...RULES, ...types });
    const expected = {
      '/a.tar.gz': 'application/x-compressed-tar',
      '/a.gz': 'application/gzip',
      '/d/a.ZIP': 'application/zip',
      '/a.unheard-of': 'application/x-upstream',
    };
    for (const [path, type] of Object.entries(expected)) {
      serve(path, { body: 'bytes', mediaType: 'application/x-upstream' });
      expect([path, (await get(path)).headers['content-type']]).toEqual([path, type]);
      expect([path, (await get(path)).headers['content-type']]).toEqual([path, type]);
    }
  });

  it('has browsers save every file under its own name, where it is asked to', async () => {
    const { get, serve } = await start({ ...RULES, attachment: true });
    serve('/d/a%20%22b%22.zip', { body: '1', headers: { 'Content-Disposition': 'inline; filename=x' } });
    serve('/caf%C3%A9.json', { body: '1' });
    serve('/d/', { body: 'index' });
    const disposition = async (path: string) => (await get(path)).headers['content-disposition'];
    expect(await disposition('/d/a%20%22b%22.zip')).toBe('attachment; filename="a \\"b\\".zip"');
    expect(await disposition('/caf%C3%A9.json')).toBe('attachment; filename="café.json"');
    expect(await disposition('/d/')).toBeUndefined();
  });

  it('revalidates a mutable file when its rule says so', async () => {
    const { get, clock, serve, remove } = await start(RULES);
    serve('/a.json', { body: '1', etag: '"1"' });
    expect(await get('/a.json')).toMatchObject({ outcome: 'miss', body: '1' });
    clock.advance(29_000);
    expect(await get('/a.json')).toMatchObject({ outcome: 'hit' });
    clock.advance(2_000);
    expect(await get('/a.json')).toMatchObject({ outcome: 'revalidated', body: '1' });
    serve('/a.json', { body: '2', etag: '"2"' });
    clock.advance(31_000);
    expect(await get('/a.json')).toMatchObject({ body: '2' });
    remove('/a.json');
    clock.advance(31_000);
    expect(await get('/a.json')).toMatchObject({ status: 200, outcome: 'stale', body: '2' });
  });

  it('asks for a bypassed file every time', async () => {
    const { get, serve } = await start(RULES);
    serve('/live/now', { body: '1' });
    expect(await get('/live/now')).toMatchObject({ body: '1', outcome: 'bypass' });
    serve('/live/now', { body: '2' });
    expect(await get('/live/now')).toMatchObject({ body: '2', outcome: 'bypass' });
  });

  it('refuses what a rule denies, without asking the upstream', async () => {
    const { get, asked } = await start(RULES);
    for (const target of ['/private/a', '/private%2Fa', '/%70rivate/a', '/private/']) {
      const reply = await get(target);
      expect(reply).toMatchObject({ status: 403 });
      expect(reply.body).toContain('rules[0] "private/**"');
    }
    for (const target of ['/x/../private/a', '/x/%2e%2e/private/a', '/x/..%2fprivate/a', '//private/a']) {
      expect(await get(target)).toMatchObject({ status: 400 });
    }
    expect(asked()).toEqual([]);
  });

  it('keeps nothing that the upstream says must not be stored', async () => {
    const { get, serve } = await start(RULES);
    serve('/a.json', { body: '1', headers: { 'Cache-Control': 'private' } });
    await get('/a.json');
    serve('/a.json', { body: '2', headers: { 'Cache-Control': 'private' } });
    expect(await get('/a.json')).toMatchObject({ body: '2' });
  });

  it('sends the upstream the path and the query as they were meant', async () => {
    const { get, asked } = await start({});
    await get('/g%2Fp/a+b%20c~%7e/d%C3%A9/?x=1&y=%26');
    expect(asked()).toEqual(['/g%2Fp/a%2Bb%20c~~/d%C3%A9/?x=1&y=%26']);
  });

  it('takes names that are not UTF-8, each apart from all others, and asks for them as they came', async () => {
    const { get, serve, asked } = await start(RULES);
    const targets = [
      '/d%E8s/caf%E9.zip',
      '/d%E8s/caf%25E9.zip',
      '/d%E8s/caf%C3%A9.zip',
      '/d%E8s/caf%255CxE9.zip',
      '/caf%FF.json',
    ];
    for (const target of targets) serve(target, { body: target });
    for (const target of targets)
      expect(await get(target)).toMatchObject({ status: 200, body: target, outcome: 'miss' });
    for (const target of targets)
      expect(await get(target)).toMatchObject({ status: 200, body: target, outcome: 'hit' });
    expect(asked()).toEqual(targets);
    expect(await get('/private/caf%E9.zip')).toMatchObject({ status: 403 });
    expect(await get('/private%2Fcaf%E9.zip')).toMatchObject({ status: 403 });
    expect(await get('/x/%C0%AE%C0%AE/private/a')).toMatchObject({ status: 400 });
    expect(await get('/caf%E9%5C.zip')).toMatchObject({ status: 400 });
    expect(asked()).toHaveLength(targets.length);
  });

  it('checks a file whose name is not UTF-8 against its sidecar', async () => {
    const { get, serve } = await start(RULES);
    serve('/caf%E9.tgz', { body: 'good' });
    serve('/caf%E9.tgz.sha256', { body: sha256('good') });
    expect(await get('/caf%E9.tgz')).toMatchObject({ status: 200, body: 'good' });
    serve('/caf%E8.tgz', { body: 'evil' });
    serve('/caf%E8.tgz.sha256', { body: sha256('good') });
    expect((await get('/caf%E8.tgz')).body).not.toBe('evil');
  });

  it('follows redirects and keeps the file under its own path', async () => {
    const { get, serve, asked, upstream, base } = await start(RULES);
    upstream.handle(`${base}/a.zip`, (_, response) => {
      response.writeHead(302, { Location: `${base}/signed/blob?sig=a%2Bb` }).end();
    });
    serve('/signed/blob', { body: 'bytes' });
    expect(await get('/a.zip')).toMatchObject({ status: 200, body: 'bytes' });
    expect(await get('/a.zip')).toMatchObject({ outcome: 'hit' });
    expect(asked()).toEqual(['/a.zip', '/signed/blob?sig=a%2Bb']);
  });

  it('checks a file against its sidecar', async () => {
    const { get, serve } = await start(RULES);
    serve('/d/a.tgz', { body: 'good' });
    serve('/d/a.tgz.sha256', { body: `${sha256('good')}  build/a.tgz\n` });
    expect(await get('/d/a.tgz')).toMatchObject({ status: 200, body: 'good' });
    expect(await get('/d/a.tgz.sha256')).toMatchObject({ status: 200, outcome: 'hit' });
  });

  it('never completes and never keeps a file with another sum', async () => {
    const { get, serve } = await start(RULES);
    serve('/d/a.tgz', { body: 'evil' });
    serve('/d/a.tgz.sha256', { body: sha256('good') });
    const first = await get('/d/a.tgz');
    expect(first.status === 200 ? first.error : first.status).toSatisfy(
      (found) => found === 502 || found instanceof Error,
    );
    expect(first.body).not.toBe('evil');
    serve('/d/a.tgz', { body: 'good' });
    expect(await get('/d/a.tgz')).toMatchObject({ status: 200, body: 'good' });
  });

  it('refuses a file whose required sum is missing or unreadable', async () => {
    const { get, serve, count } = await start(RULES);
    serve('/a.tgz', { body: 'bytes' });
    expect(await get('/a.tgz')).toMatchObject({ status: 404 });
    serve('/b.tgz', { body: 'bytes' });
    serve('/b.tgz.sha256', { body: '<html>Sign in</html>' });
    expect(await get('/b.tgz')).toMatchObject({ status: 502 });
    expect(count('/a.tgz') + count('/b.tgz')).toBe(0);
  });

  it('takes a list of sums, and what it does not list where that is allowed', async () => {
    const { get, serve, count } = await start(RULES);
    serve('/d/SHA256SUMS', { body: `${sha256('one')} *1.iso\n${sha256('two')} *2.iso\n` });
    serve('/d/1.iso', { body: 'one' });
    serve('/d/2.iso', { body: 'wrong' });
    serve('/d/3.iso', { body: 'three' });
    serve('/e/4.iso', { body: 'four' });
    expect(await get('/d/1.iso')).toMatchObject({ status: 200, body: 'one' });
    expect((await get('/d/2.iso')).body).not.toBe('wrong');
    expect(await get('/d/3.iso')).toMatchObject({ status: 200, body: 'three' });
    expect(await get('/e/4.iso')).toMatchObject({ status: 200, body: 'four' });
    // Once to begin with, once more for the wrong bytes, and once for the file that is not listed.
    expect(count('/d/SHA256SUMS')).toBe(3);
  });

  it('checks a pinned sum', async () => {
    const { get, serve } = await start(RULES);
    serve('/a.bin', { body: 'other' });
    expect((await get('/a.bin')).body).not.toBe('other');
    serve('/a.bin', { body: 'pinned' });
    expect(await get('/a.bin')).toMatchObject({ status: 200, body: 'pinned' });
  });

  it('passes the headers that are configured, kept and cold, and no others', async () => {
    const { get, serve } = await start({ ...RULES, passHeaders: ['X-Build'] });
    for (const path of ['/a.zip', '/page']) {
      serve(path, { body: 'bytes', headers: { 'x-build': '7', 'set-cookie': 'a=b', 'x-other': 'no' } });
      for (let asked = 0; asked < 2; asked += 1) {
        const { headers } = await get(path);
        expect(headers).toMatchObject({ 'x-build': '7' });
        expect(headers['set-cookie'] ?? headers['x-other']).toBeUndefined();
      }
    }
  });

  describe('that an upstream redirects', () => {
    const redirecting = async (rules: object, from: string, to: string, status = 301) => {
      const repository = await start(rules);
      const { base, upstream, serve } = repository;
      upstream.serve(base + from, { status, headers: { location: to.replace('BASE', base) } });
      serve('/dir/', { body: 'listing' });
      serve('/tag/v1.2', { body: 'v1.2' });
      return repository;
    };

    it.each([
      ['/dir', 'BASE/dir/', './dir/'],
      ['/a/b', '/upstream/base/a/b/', '../a/b/'],
      ['/dir', './dir/?C=M', './dir/?C=M'],
    ])('to its slash are redirected here: %s to %s', async (from, to, expected) => {
      const { ask } = await redirecting({}, from, to);
      for (const method of ['GET', 'HEAD', 'GET']) {
        const reply = await ask(method, from);
        expect([reply.status, reply.headers['location']]).toEqual([301, expected]);
      }
    });

    it('to another place are followed, unless clients are to know', async () => {
      const followed = await redirecting({}, '/latest', 'BASE/tag/v1.2', 302);
      expect(await followed.get('/latest')).toMatchObject({ status: 200, body: 'v1.2' });
      const rules = { rules: [{ match: 'latest', policy: 'revalidate', redirects: 'pass' }] };
      const passed = await redirecting(rules, '/latest', 'BASE/tag/v1.2', 302);
      expect(await passed.get('/latest')).toMatchObject({ status: 302, headers: { location: './tag/v1.2' } });
      expect(await passed.get('/tag/v1.2')).toMatchObject({ status: 200, body: 'v1.2' });
    });

    it('out of the upstream are followed in any case', async () => {
      const rules = { defaultPolicy: 'revalidate', rules: [{ match: '**', policy: 'revalidate', redirects: 'pass' }] };
      const { get, upstream } = await redirecting(rules, '/away', '/elsewhere');
      upstream.serve('/elsewhere', { body: 'from elsewhere' });
      expect(await get('/away')).toMatchObject({ status: 200, body: 'from elsewhere' });
    });

    it('to a slash are followed where they are not to be told of', async () => {
      const rules = { rules: [{ match: '**', policy: 'revalidate', redirects: 'follow' }] };
      const { get } = await redirecting(rules, '/dir', 'BASE/dir/');
      expect(await get('/dir')).toMatchObject({ status: 200, body: 'listing' });
    });
  });

  describe('of an upstream that answers by who asks', () => {
    const browser = { 'user-agent': 'Browser/1.0', accept: 'text/html' };
    const curl = { 'user-agent': 'curl/8.0', accept: '*/*' };

    async function startChoosing(rules: object, vary?: string) {
      const repository = await start(rules);
      const { base, upstream } = repository;
      upstream.handle(`${base}/install`, ({ headers }, response) => {
        const body = headers['user-agent']?.startsWith('curl/') === true ? '#!/bin/sh' : '<html>';
        response.writeHead(200, { 'content-type': 'text/plain', ...(vary !== undefined && { vary }) }).end(body);
      });
      return repository;
    }

    it('lets it see the client, cold and as HEAD', async () => {
      const { get, ask, upstream } = await startChoosing(RULES);
      expect((await ask('HEAD', '/install', curl)).status).toBe(200);
      expect((await get('/install', curl)).body).toBe('#!/bin/sh');
      const seen = upstream.requests.map(({ headers }) => [headers['user-agent'], headers['accept']]);
      expect(seen).toEqual([
        ['curl/8.0', '*/*'],
        ['curl/8.0', '*/*'],
      ]);
    });

    it('gives nobody what was chosen for others', async () => {
      const { get, upstream, clock } = await startChoosing(RULES, 'Accept-Encoding, User-Agent');
      expect((await get('/install', browser)).body).toBe('<html>');
      const other = await get('/install', curl);
      expect([other.body, other.outcome]).toEqual(['#!/bin/sh', 'bypass']);
      const again = await get('/install', browser);
      expect([again.body, again.outcome, again.headers['vary']]).toEqual(['<html>', 'hit', 'user-agent']);
      upstream.goOffline();
      clock.advance(3_600_000);
      expect(await get('/install', browser)).toMatchObject({ body: '<html>', outcome: 'stale' });
      expect(await get('/install', curl)).toMatchObject({ body: '<html>', outcome: 'stale' });
    });

    it('takes no notice of that where the file never changes under its name', async () => {
      const { get } = await startChoosing({ rules: [{ match: '**', policy: 'immutable' }] }, 'User-Agent');
      expect((await get('/install', browser)).body).toBe('<html>');
      expect(await get('/install', curl)).toMatchObject({ body: '<html>', outcome: 'hit' });
    });
  });

  it('answers HEAD as GET', async () => {
    const { get, ask, serve } = await start(RULES);
    serve('/a.zip', { body: 'bytes', mediaType: 'application/zip' });
    const cold = await ask('HEAD', '/a.zip');
    expect(cold).toMatchObject({ status: 200, body: '', headers: { 'content-length': '5' } });
    await get('/a.zip');
    expect(await ask('HEAD', '/a.zip')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '5' } });
    expect(await ask('PUT', '/a.zip')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  });
});

describe('a hosted repository', () => {
  async function start(written: object = {}): Promise<TestRepository> {
    repository = await startRepository(written, 'hosted');
    return repository;
  }

  it('wants names in UTF-8', async () => {
    const { ask } = await start({});
    expect(await ask('PUT', '/caf%E9.zip', {}, 'bytes')).toMatchObject({ status: 400 });
    expect(await ask('GET', '/caf%E9.zip')).toMatchObject({ status: 400 });
  });

  it('gives back what was put', async () => {
    const { ask, get } = await start();
    expect(await ask('PUT', '/d/a%20b.txt', {}, 'text')).toMatchObject({ status: 201 });
    const reply = await get('/d/a%20b.txt');
    expect(reply).toMatchObject({ status: 200, body: 'text', headers: { 'content-type': 'text/plain' } });
    expect(reply.headers['cache-control']).toBe('no-cache');
    expect(await get('/d/a%20b.txt', { 'if-none-match': reply.headers['etag'] as string })).toMatchObject({
      status: 304,
    });
    expect(await get('/d/a%20b.txt', { range: 'bytes=-2' })).toMatchObject({ status: 206, body: 'xt' });
  });

  it('does not replace a file', async () => {
    const { ask, get } = await start();
    await ask('PUT', '/a', {}, '1');
    expect(await ask('PUT', '/a', {}, '2')).toMatchObject({ status: 409 });
    expect(await ask('PUT', '/a', { 'if-none-match': '*' }, '2')).toMatchObject({ status: 412 });
    expect(await get('/a')).toMatchObject({ body: '1' });
  });

  it('replaces a file with overwrite: true, unless the client forbids it', async () => {
    const { ask, get } = await start({ overwrite: true });
    await ask('PUT', '/a', {}, '1');
    expect(await get('/a')).toMatchObject({ body: '1' });
    expect(await ask('PUT', '/a', { 'if-none-match': '*' }, '2')).toMatchObject({ status: 412 });
    expect(await ask('PUT', '/a', {}, '2')).toMatchObject({ status: 200 });
    expect(await get('/a')).toMatchObject({ body: '2' });
  });

  it('removes a file', async () => {
    const { ask, get } = await start();
    await ask('PUT', '/a', {}, '1');
    expect(await ask('DELETE', '/a')).toMatchObject({ status: 204 });
    expect(await get('/a')).toMatchObject({ status: 404 });
    expect(await ask('DELETE', '/a')).toMatchObject({ status: 404 });
  });

  it('takes no file above maxBytes', async () => {
    const { ask, get } = await start({ maxBytes: 4 });
    expect(await ask('PUT', '/a', {}, '12345')).toMatchObject({ status: 413 });
    expect(await get('/a')).toMatchObject({ status: 404 });
    expect(await ask('PUT', '/a', {}, '1234')).toMatchObject({ status: 201 });
  });

  it('lists what is there', async () => {
    const { ask, get } = await start();
    expect(await get('/', { accept: 'application/json' })).toMatchObject({ status: 200, body: '[]\n' });
    for (const target of ['/a.txt', '/d/1', '/d/2', '/d/e/3']) await ask('PUT', target, {}, 'x');
    const root = await get('/', { accept: 'application/json' });
    expect(JSON.parse(root.body)).toMatchObject([
      { name: 'a.txt', size: 1 },
      { name: 'd', type: 'directory' },
    ]);
    expect(root.headers['vary']?.toLowerCase()).toContain('accept');
    const below = await get('/d/');
    expect(below.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(below.body).toContain('<a href="./e/">e/</a>');
    expect(await get('/nothing/')).toMatchObject({ status: 404 });
    expect(await get('/d')).toMatchObject({ status: 404 });
  });
});
