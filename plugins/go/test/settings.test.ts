import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseOptions, silentLogger, type Transport } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import { DirectModules, requireDirectTools } from '../src/direct.js';
import { discoverUpstreams, parseProxies } from '../src/discover.js';
import { escapeCase, isVersionOf, unescapeModulePath, unescapeVersion, urlPath } from '../src/module-path.js';
import { modulePatterns } from '../src/module-match.js';
import { goOptions } from '../src/options.js';
import type { NoteVerifier } from '../src/note.js';
import { GoProxy } from '../src/routes.js';
import { createSources } from '../src/sources.js';
import { compareVersions, isCanonicalVersion, isPseudoVersion, parseVersion, type Version } from '../src/version.js';

describe('versions', () => {
  it.each([
    ['v1.2.3', true, false],
    ['v1.2.3-rc.1', true, false],
    ['v2.0.0+incompatible', true, false],
    ['v0.0.0-20191109021931-daa7c04131f5', true, true],
    ['v1.2.3-pre.0.20191109021931-daa7c04131f5', true, true],
    ['v1.2.4-0.20191109021931-daa7c04131f5', true, true],
    ['v2.0.1-0.20191109021931-daa7c04131f5+incompatible', true, true],
    ['v1.2.3-20191109021931-daa7c04131f5', true, false],
    ['v0.0.1-go1.26.8.linux-amd64', true, false],
    ['v1', false, false],
    ['v1.2', false, false],
    ['1.2.3', false, false],
    ['v1.2.3+meta', false, false],
    ['v01.2.3', false, false],
    ['v1.2.3-01', false, false],
    ['v1.2.3-', false, false],
    ['v1.2.3-a..b', false, false],
    ['V1.2.3', false, false],
    ['v1.2.3\n', false, false],
    ['', false, false],
  ])('%j: canonical %s, pseudo %s', (text, canonical, pseudo) => {
    expect([isCanonicalVersion(text), isPseudoVersion(text)]).toEqual([canonical, pseudo]);
  });

  it('are ordered as semver orders them', () => {
    const order = [
      'v0.9.0',
      'v1.0.0-0',
      'v1.0.0-9',
      'v1.0.0-10',
      'v1.0.0-a',
      'v1.0.0-a.1',
      'v1.0.0-b',
      'v1.0.0',
      'v1.2.0',
      'v1.10.0',
      'v2.0.0+incompatible',
      'v18446744073709551616.0.0',
    ];
    for (const shuffled of [[...order].reverse(), [...order].sort()]) {
      const sorted = shuffled.map((text) => parseVersion(text) as Version).sort(compareVersions);
      expect(sorted.map(({ text }) => text)).toEqual(order);
    }
  });

  it.each([
    ['example.com/m', 'v1.0.0', true],
    ['example.com/m', 'v2.0.0', false],
    ['example.com/m', 'v2.0.0+incompatible', true],
    ['example.com/m/v2', 'v2.1.0', true],
    ['example.com/m/v2', 'v1.0.0', false],
    ['example.com/m/v10', 'v10.0.0', true],
    ['gopkg.in/yaml.v2', 'v2.4.0', true],
    ['gopkg.in/yaml.v2', 'v3.0.0', false],
    ['gopkg.in/yaml.v1', 'v0.0.0-20191109021931-daa7c04131f5', true],
    ['gopkg.in/yaml.v2', 'v0.0.0-20191109021931-daa7c04131f5', false],
    ['gopkg.in/x/y.v3-unstable', 'v3.0.0', true],
    ['golang.org/toolchain', 'v0.0.1-go1.26.8.linux-amd64', true],
  ])('%s %s: %s', (path, version, wanted) => expect(isVersionOf(path, version)).toBe(wanted));
});

describe('case-encoding', () => {
  it('goes there and back', () => {
    const signs = 'abzABZ019-_~.';
    for (let round = 0; round < 5000; round += 1) {
      const text = Array.from(
        { length: (round % 12) + 1 },
        (_, at) => signs[(round * 31 + at * at * 7) % signs.length],
      ).join('');
      const escaped = escapeCase(`example.com/${text}`);
      expect(escaped).toBe(escaped.toLowerCase());
      const back = unescapeModulePath(escaped);
      if (back !== undefined) expect(back).toBe(`example.com/${text}`);
      expect(urlPath(text)).toMatch(/^[a-z0-9\-_~.%]*$/);
    }
    expect(urlPath('v2.0.0-RC1+incompatible')).toBe('v2.0.0-%21r%21c1+incompatible');
  });

  it.each(['A', 'a!', '!A', '!1', '!!a', 'a b', 'é', 'a\u0000', 'a/b', 'a.', ''])('refuses the version %j', (text) => {
    expect(unescapeVersion(text)).toBeUndefined();
  });
});

describe('patterns', () => {
  it.each([
    ['corp.example.com', 'corp.example.com/a/b', true],
    ['corp.example.com/*', 'corp.example.com/a/b', true],
    ['corp.example.com/*', 'corp.example.com', false],
    ['corp.example.com/a', 'corp.example.com/ab', false],
    ['*.example.com', 'git.example.com/x', true],
    ['*.example.com', 'example.com/x', false],
    ['a.test, b.test/', 'b.test/x', true],
    ['x.test/[ab]?', 'x.test/bz', true],
    ['x.test/[^ab]', 'x.test/a', false],
    ['x.test/[^a-c]', 'x.test/b', false],
    ['x.test/[a\\]b]', 'x.test/]', true],
    ['x.test/[a-c]*x', 'x.test/bnnnx', true],
    ['x.test/a\\*', 'x.test/a*', true],
    ['x.test/a.b', 'x.test/aXb', false],
    ['', 'x.test', false],
  ])('%j and %s: %s', (patterns, path, wanted) => expect(modulePatterns(patterns).matches(path)).toBe(wanted));
});

describe('options', () => {
  it('say what is wrong with them', async () => {
    expect(
      (await parseOptions(goOptions, { sumdb: 'off', private: ['a.test', 'b.test'], unverified: 'c.test' })).problems,
    ).toBeUndefined();
    for (const sumdb of [['off'], [], ['sum.golang.org', 'off'], ['sum.golang.org', 'sum.golang.org']])
      expect((await parseOptions(goOptions, { sumdb })).problems).toHaveLength(1);
    const { problems } = await parseOptions(goOptions, { sumdb: 'nobody', private: 'a[', colour: 1 });
    expect(problems?.map(({ path }) => path).sort()).toEqual(['', 'private', 'sumdb']);
  });
});

describe('direct routes', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const parse = async (route: object) =>
    await parseOptions(goOptions, { routes: [{ match: 'git.test/*', direct: true, ...route }] });

  it.each([
    [{ token: 'x' }, { kind: 'basic', hosts: ['git.test'], username: 'x-access-token', password: 'x' }],
    [
      { username: 'a', password: 'b', hosts: ['H.test:8443'] },
      { kind: 'basic', hosts: ['h.test:8443'], username: 'a', password: 'b' },
    ],
    [{ netrc: 'machine a login b password c' }, { kind: 'netrc' }],
    [
      { githubApp: { appId: 1, privateKey: key } },
      {
        kind: 'github-app',
        hosts: ['git.test'],
        app: { appId: '1', apiUrl: 'https://api.github.com', installation: undefined },
      },
    ],
    [
      { githubApp: { appId: 'Iv1.a', privateKey: key, installation: 7, apiUrl: 'https://ghe.test/api/v3/' } },
      { kind: 'github-app', app: { appId: 'Iv1.a', apiUrl: 'https://ghe.test/api/v3', installation: '7' } },
    ],
  ])('take credentials: row %#', async (credentials, wanted) => {
    expect((await parse({ credentials })).options?.routes[0]?.credentials).toMatchObject(wanted);
  });

  it.each<[object, string]>([
    [{ direct: false }, 'routes.0.direct'],
    [{ direct: undefined }, 'routes.0.direct'],
    [{ match: ' , ' }, 'routes.0.match'],
    [{ match: 'a[' }, 'routes.0.match'],
    [{ colour: 1 }, 'routes.0'],
    [{ credentials: {} }, 'routes.0.credentials'],
    [{ credentials: { token: 'a', netrc: '' } }, 'routes.0.credentials'],
    [{ credentials: { username: 'a' } }, 'routes.0.credentials'],
    [{ credentials: { netrc: '', hosts: ['a.test'] } }, 'routes.0.credentials'],
    [{ match: '*.test', credentials: { token: 'a' } }, 'routes.0.credentials'],
    [{ credentials: { token: 'canary\nhost=evil.test' } }, 'routes.0.credentials.token'],
    [{ credentials: { token: 'a', hosts: ['https://a.test'] } }, 'routes.0.credentials.hosts.0'],
    [{ credentials: { githubApp: { appId: 1, privateKey: 'canary' } } }, 'routes.0.credentials.githubApp.privateKey'],
    [
      { credentials: { githubApp: { appId: 1, privateKey: key, apiUrl: 'ftp://a' } } },
      'routes.0.credentials.githubApp.apiUrl',
    ],
  ])('say what is wrong with %j', async (route, path) => {
    const { problems } = await parse(route);
    expect(problems?.map((problem) => problem.path)).toEqual([path]);
    expect(JSON.stringify(problems)).not.toContain('canary');
  });

  it('need go and git, and say which is missing', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(requireDirectTools()).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('needs go:'),
    });
  });
});

describe('scopes', () => {
  it('send modules and the database to their upstreams', () => {
    const url = 'https://x.example.com';
    const upstreams = [{ url }, { url, scope: 'corp.test/*' }, { url, scope: 'sumdb/sums.test/v2' }];
    const repository = { name: 'go', kind: 'proxy', upstreams } as const;
    const direct = {
      match: modulePatterns('corp.test/direct,golang.org/toolchain'),
      credentials: undefined,
      insecure: false,
    };
    const sourceOf = createSources({
      repository,
      hasDatabase: true,
      unverified: modulePatterns('golang.org'),
      private: modulePatterns('corp.test'),
      routes: [direct],
    });
    expect(sourceOf('public.test/m')).toEqual({ scope: undefined, verified: true, confidential: false });
    expect(sourceOf('corp.test/m')).toEqual({ scope: 'corp.test/*', verified: false, confidential: true });
    expect(sourceOf('corp.test')).toBeUndefined();
    expect(sourceOf('golang.org/x')).toMatchObject({ verified: false });
    expect(sourceOf('golang.org/toolchain')).toMatchObject({ verified: true });
    expect(sourceOf('corp.test/direct/m')).toEqual({ scope: undefined, verified: false, confidential: true, direct });
    const services = { logger: silentLogger, transport: {} as Transport, clock: new ManualClock() };
    const go = new GoProxy({
      servesIndex: false,
      repository,
      verifiers: [{ name: 'sums.test/v2' }, { name: 'other.test' }] as NoteVerifier[],
      servesDatabases: true,
      sourceOf,
      direct: new DirectModules([direct], services, 4),
      logger: silentLogger,
    });
    const coordinates = { ecosystem: 'golang', name: 'public.test/M', version: 'v1.0.0' };
    expect(go.recordFor({ class: 'zip', key: '', path: '', coordinates })).toMatchObject({
      scope: 'sumdb/sums.test/v2',
      path: 'lookup/public.test/%21m@v1.0.0',
      key: 'sumdb/sums.test/v2/lookup/public.test/M@v1.0.0',
    });
    const head = {
      method: 'GET',
      trailingSlash: false,
      query: new URLSearchParams(),
      rawQuery: '',
      header: () => undefined,
    };
    const asked = (path: string) => go.route({ ...head, segments: path.split('/') });
    expect(asked('sumdb/sums.test/v2/tile/8/0/001.p/3')).toMatchObject({ path: 'tile/8/0/001.p/3' });
    expect(asked('sumdb/other.test/latest')).toMatchObject({ path: 'sumdb/other.test/latest' });
    expect(asked('sumdb/other.test/latest')).not.toHaveProperty('scope');
  });
});

describe('discovery', () => {
  /** A `go` that prints `values`. */
  async function fakeGo(script: string): Promise<Record<string, string>> {
    const folder = await mkdtemp(join(tmpdir(), 'entrepot-go-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'go'), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, 'go'), 0o755);
    return { PATH: folder, HOME: folder };
  }
  const printing = (values: object): Promise<Record<string, string>> => fakeGo(`echo '${JSON.stringify(values)}'`);

  it('finds the proxies and the database of go', async () => {
    const environment = await printing({
      GOPROXY: 'https://user:secret@one.example.com/go/|http://two.example.com,direct,https://never.example.com',
      GOSUMDB: 'sum.golang.org https://sums.example.com',
    });
    const found = await discoverUpstreams({ useClientCredentials: false }, environment);
    expect(JSON.stringify(found)).not.toContain('secret');
    expect(found.map(({ url, scope, fallback }) => [url, scope, fallback])).toEqual([
      ['https://one.example.com/go', undefined, 'any-error'],
      ['http://two.example.com', undefined, 'not-found'],
      ['https://one.example.com/go/sumdb/sum.golang.org', 'sumdb/sum.golang.org', 'any-error'],
      ['http://two.example.com/sumdb/sum.golang.org', 'sumdb/sum.golang.org', 'not-found'],
      ['https://sums.example.com', 'sumdb/sum.golang.org', undefined],
    ]);
    const [one, two] = await discoverUpstreams({ useClientCredentials: true }, environment);
    expect(one?.authorization).toBe(`Basic ${Buffer.from('user:secret').toString('base64')}`);
    expect(two?.authorization).toBeUndefined();
  });

  it.each([
    ['https://a.test', ['https://a.test/ not-found']],
    ['https://a.test,https://b.test|direct', ['https://a.test/ not-found', 'https://b.test/ any-error']],
    ['https://a.test|https://b.test,off', ['https://a.test/ any-error', 'https://b.test/ not-found']],
    [' https://a.test | , https://b.test ', ['https://a.test/ any-error', 'https://b.test/ not-found']],
    ['proxy.test/go,localhost:3000', ['https://proxy.test/go not-found', 'https://localhost:3000/ not-found']],
    ['file:///modules|https://b.test', ['https://b.test/ not-found']],
    ['direct,https://a.test', []],
    ['off', []],
    ['', []],
  ])('reads the list %j as go does', (list, wanted) => {
    expect(parseProxies(list).map(({ url, fallback }) => `${url.href} ${fallback}`)).toEqual(wanted);
  });

  it('reads credentials from netrc when they are wanted', async () => {
    const environment = await printing({ GOPROXY: 'https://one.example.com:8443/go', GOSUMDB: 'off' });
    await writeFile(
      join(environment['HOME'] as string, '.netrc'),
      'machine one.example.com:8443\n  login me\n  password pass\n',
    );
    const [one, ...others] = await discoverUpstreams({ useClientCredentials: true }, environment);
    expect(one?.authorization).toBe(`Basic ${Buffer.from('me:pass').toString('base64')}`);
    expect(others).toEqual([]);
  });

  it('passes over what leads to the server itself, for the others of the list or what go does by itself', async () => {
    const isOwn = (url: string): boolean => url.startsWith('http://127.0.0.1:8080/');
    const asked = { useClientCredentials: false, isOwn };
    const beside = await printing({ GOPROXY: 'http://127.0.0.1:8080/go|https://one.example.com', GOSUMDB: 'off' });
    expect((await discoverUpstreams(asked, beside)).map(({ url }) => url)).toEqual(['https://one.example.com']);
    const script = `if [ "$GOENV" = off ] && [ -z "$GOPROXY" ]
then echo '{"GOPROXY":"https://default.example.com,direct","GOSUMDB":"off"}'
else echo '{"GOPROXY":"http://127.0.0.1:8080/go","GOSUMDB":"off"}'
fi`;
    expect((await discoverUpstreams(asked, await fakeGo(script))).map(({ url }) => url)).toEqual([
      'https://default.example.com',
    ]);
  });

  it('finds nothing where there is no go, none that answers, or one without proxies', async () => {
    const none = { PATH: '/nonexistent' };
    for (const environment of [
      none,
      await fakeGo('exit 1'),
      await fakeGo('echo nonsense'),
      await printing({ GOPROXY: 'off' }),
      await printing({ GOPROXY: 'direct' }),
    ]) {
      expect(await discoverUpstreams({ useClientCredentials: false }, environment)).toEqual([]);
    }
  });

  it('says what is wrong with the settings', async () => {
    for (const values of [{ GOPROXY: 'ftp://x' }, { GOPROXY: 'https://x.example.com', GOSUMDB: 'nobody' }]) {
      await expect(discoverUpstreams({ useClientCredentials: false }, await printing(values))).rejects.toMatchObject({
        kind: 'configuration',
      });
    }
    expect(() => parseProxies('nonsense')).toThrow('GOPROXY');
  });
});
