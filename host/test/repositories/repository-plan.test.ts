import {
  artifactClass,
  defineProtocolPlugin,
  EntrepotError,
  type AnyDeclaredPlugin,
  type DiscoveredUpstream,
} from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig, type LoadedConfig } from '../../src/config/load.js';
import { repositoryConfig } from '../../src/config/schema.js';
import type { LoadedPlugin } from '../../src/plugins/load.js';
import { planRepositories } from '../../src/repositories/repository-plan.js';

const SIDE = { classes: { file: artifactClass({ about: 'A file.' }) }, create: () => ({ route: () => undefined }) };

function plugin(id: string, more: Partial<AnyDeclaredPlugin> = {}, bundled = false): LoadedPlugin {
  const made = defineProtocolPlugin({
    id,
    options: z.strictObject({ depth: z.int().optional() }),
    inject: {},
    proxy: SIDE,
    hosted: SIDE,
  });
  return { package: `plugin-${id}`, location: '/', bundled, plugin: { ...made, ...more } };
}

const FOUND: DiscoveredUpstream = { url: 'https://found.example.com/', source: 'the settings of zoo' };
const zoo = plugin('zoo', { clients: { discoverUpstreams: () => Promise.resolve([FOUND]) } });
const plain = plugin('plain');
const fixed = plugin('fixed', { http: { sharedMounts: ['/v2'], mountAlone: '/v2' } });

type Repositories = Readonly<Record<string, Parameters<typeof repositoryConfig>[0]>>;

async function plan(repositories: Repositories, plugins = [zoo, plain, fixed], more: Partial<LoadedConfig> = {}) {
  const configured = Object.entries(repositories).map(([name, one]) => [name, repositoryConfig(one)] as const);
  const base = await loadConfig({ env: {}, cwd: '/nowhere' });
  const config = { ...base.config, repositories: Object.fromEntries(configured) };
  const loaded = { ...base, config, addBundledRepositories: false, ...more };
  return planRepositories(loaded, plugins);
}

const UPSTREAM = 'https://files.example.com';

describe('planRepositories', () => {
  it('completes a repository by its plugin', async () => {
    const { plans, problems } = await plan({
      pets: { type: 'zoo', depth: 3, cache: { file: { staleIfError: '1h' } } },
    });

    expect(problems).toEqual([]);
    expect(plans).toMatchObject([
      {
        name: 'pets',
        kind: 'proxy',
        mount: '/pets',
        listen: undefined,
        options: { depth: 3 },
        upstreams: [{ url: 'https://found.example.com', source: 'the settings of zoo' }],
        freshness: { file: { policy: 'immutable', staleIfError: 3_600_000 } },
      },
    ]);
  });

  it('refuses the options of the other kind along with all that is wrong', async () => {
    const own = plugin('own', { proxy: { ...SIDE, ownOptions: ['depth'] } });
    const { plans, problems } = await plan(
      {
        a: { type: 'own', kind: 'hosted', depth: 1, cache: { nothing: { freshFor: '1m' } } },
        b: { type: 'own', depth: 1, upstream: UPSTREAM },
      },
      [own],
    );
    expect(plans.map(({ name }) => name)).toEqual(['b']);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toEqual({ path: 'repositories.a.depth', message: 'not an option of kind: hosted' });
  });

  it('says of configured upstreams that they are, and keeps their credentials apart from their URL', async () => {
    const { plans } = await plan({
      a: {
        type: 'zoo',
        upstreams: [{ url: 'https://u:p@one.example.com', fallback: 'any-error' }, UPSTREAM],
        auth: { token: 't' },
      },
    });

    expect(plans[0]?.upstreams).toEqual([
      {
        url: 'https://one.example.com',
        scope: undefined,
        fallback: 'any-error',
        authorization: 'Basic dTpw',
        source: 'the configuration',
      },
      { url: UPSTREAM, scope: undefined, authorization: 'Bearer t', source: 'the configuration' },
    ]);
  });

  it('asks for the credentials of clients only where the configuration does', async () => {
    const asked: boolean[] = [];
    const secretive = plugin('secretive', {
      clients: {
        discoverUpstreams: ({ useClientCredentials }) => {
          asked.push(useClientCredentials);
          return Promise.resolve([FOUND]);
        },
      },
    });

    await plan({ a: { type: 'secretive' }, b: { type: 'secretive', useClientCredentials: true } }, [secretive]);

    expect(asked).toEqual([false, true]);
  });

  it.each<[string, Repositories, path: string, message: RegExp]>([
    [
      'an unknown type',
      { a: { type: 'zooo' } },
      'repositories.a.type',
      /unknown type "zooo"; did you mean zoo\? known types: apk, cargo, deb, files, fixed, go, helm, maven, npm, oci, pacman, plain, pypi, rpm, zoo/,
    ],
    [
      'a kind that the plugin has not',
      { a: { type: 'proxied', kind: 'hosted' } },
      'repositories.a.kind',
      /proxied has no hosted .* expected proxy/,
    ],
    [
      'two that have a shared mount to themselves',
      {
        a: { type: 'fixed', kind: 'hosted', listen: '127.0.0.1:5000' },
        b: { type: 'fixed', kind: 'hosted', listen: '127.0.0.1:5000' },
      },
      'repositories.b.mount',
      /\/v2 on 127\.0\.0\.1:5000 is already the mount of the repository a/,
    ],
    [
      'a mount below a shared one',
      { a: { type: 'fixed', kind: 'hosted' }, b: { type: 'plain', kind: 'hosted', mount: '/v2/b' } },
      'repositories.b.mount',
      /\/v2\/b is below the shared mount of repositories of type fixed/,
    ],
    [
      'a shared mount for a repository of another type',
      { a: { type: 'fixed', kind: 'hosted' }, b: { type: 'plain', kind: 'hosted', mount: '/v2' } },
      'repositories.b.mount',
      /\/v2 is below the shared mount of repositories of type fixed/,
    ],
    ['an unknown option', { a: { type: 'zoo', dept: 3 } }, 'repositories.a.dept', /did you mean depth/],
    ['a bad option', { a: { type: 'zoo', depth: 'x' } }, 'repositories.a.depth', /number/],
    [
      'an unknown class',
      { a: { type: 'zoo', cache: { files: {} } } },
      'repositories.a.cache.files',
      /did you mean file/,
    ],
    [
      'no upstream where none can be found',
      { a: { type: 'plain' } },
      'repositories.a.upstream',
      /set repositories\.a\.upstream to the URL of one/,
    ],
    [
      'no upstream that was found',
      { a: { type: 'lost' } },
      'repositories.a.upstream',
      /settings of lost clients on this machine name no other server; set repositories\.a\.upstream/,
    ],
    ['settings that cannot be read', { a: { type: 'broken' } }, 'repositories.a.upstream', /cannot be read: line 3/],
    [
      'settings that break the plugin',
      { a: { type: 'buggy' } },
      'repositories.a.upstream',
      /cannot be read: an unexpected error;/,
    ],
  ])('refuses %s', async (_what, repositories, path, message) => {
    const odd = [
      plugin('proxied', { hosted: undefined }),
      plugin('lost', { clients: { discoverUpstreams: () => Promise.resolve([]) } }),
      plugin('broken', {
        clients: { discoverUpstreams: () => Promise.reject(new EntrepotError('configuration', 'line 3')) },
      }),
      plugin('buggy', { clients: { discoverUpstreams: () => Promise.reject(new Error('_authToken=hunter2')) } }),
    ];
    const known = 'zooo' === repositories['a']?.type ? [] : odd;

    const { problems } = await plan(repositories, [zoo, plain, fixed, ...known]);

    expect(problems).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  it('reports everything at once', async () => {
    const { problems } = await plan({
      a: { type: 'zooo' },
      b: { type: 'plain', x: 1, cache: { y: {} } },
      c: { type: 'zoo' },
    });

    expect(problems.map(({ path }) => path).sort()).toEqual([
      'repositories.a.type',
      'repositories.b.cache.y',
      'repositories.b.upstream',
      'repositories.b.x',
    ]);
  });

  it('checks what is not enabled, as far as nothing outside is needed, and leaves it out', async () => {
    const { plans, problems } = await plan({
      a: { type: 'plain', enabled: false },
      b: { type: 'plain', enabled: false, depth: 'x' },
    });

    expect(plans).toEqual([]);
    expect(problems.map(({ path }) => path)).toEqual(['repositories.b.depth']);
  });

  it.each<[string, Repositories, [mount: string, shared: string[]][]]>([
    [
      'with others on the listener of the server',
      { a: { type: 'fixed', kind: 'hosted' }, b: { type: 'fixed', kind: 'hosted', mount: '/images' } },
      [
        ['/a', ['/v2']],
        ['/images', ['/v2']],
      ],
    ],
    [
      'alone on a listener of its own',
      {
        a: { type: 'fixed', kind: 'hosted', listen: '127.0.0.1:8080' },
        b: { type: 'fixed', kind: 'hosted', listen: '127.0.0.1:5000' },
      },
      [
        ['/a', ['/v2']],
        ['/v2', ['/v2']],
      ],
    ],
    [
      'with others on another listener, where it says where it is',
      {
        a: { type: 'fixed', kind: 'hosted', listen: '127.0.0.1:5000', mount: '/a' },
        b: { type: 'fixed', kind: 'hosted', listen: '127.0.0.1:5000', mount: '/b' },
      },
      [
        ['/a', ['/v2']],
        ['/b', ['/v2']],
      ],
    ],
    [
      'alone where it is mounted there, so that others are not',
      { a: { type: 'fixed', kind: 'hosted', mount: '/v2' }, b: { type: 'fixed', kind: 'hosted' } },
      [
        ['/v2', ['/v2']],
        ['/b', []],
      ],
    ],
  ])('finds repositories at a shared mount %s', async (_what, repositories, expected) => {
    const { plans, problems } = await plan(repositories);

    expect(problems).toEqual([]);
    expect(plans.map(({ mount, sharedMounts }) => [mount, sharedMounts])).toEqual(expected);
  });

  it.each([
    ['127.0.0.1:1', true],
    ['[::1]:1', true],
    ['localhost:1', true],
    ['0.0.0.0:1', false],
    [':1', false],
    ['192.0.2.1:1', false],
    ['127.example.com:1', false],
  ])('takes uploads on %s: %s', async (listen, acceptsUploads) => {
    expect((await plan({ a: { type: 'plain', kind: 'hosted', listen } })).plans).toMatchObject([{ acceptsUploads }]);
  });

  it('says that a package is too old for a type of it', async () => {
    const old = { ...plugin('apt'), package: '@entrepot/plugin-linux-repos', version: '0.0.1' };

    const { problems } = await plan({ a: { type: 'deb', upstream: UPSTREAM } }, [zoo, old]);

    expect(problems).toEqual([
      {
        path: 'repositories.a.type',
        message: 'type "deb" is of a newer @entrepot/plugin-linux-repos than 0.0.1, which has apt; update it',
      },
    ]);
  });

  it('adds the bundled ones whose upstream is known when none is named', async () => {
    const bundled = [
      plugin('zoo', { clients: { discoverUpstreams: () => Promise.resolve([FOUND]) } }, true),
      plugin('lost', { clients: { discoverUpstreams: () => Promise.resolve([]) } }, true),
      plugin('plain', {}, true),
      plugin('extra', { clients: { discoverUpstreams: () => Promise.resolve([FOUND]) } }),
    ];

    const { plans, problems } = await plan({}, bundled, { addBundledRepositories: true });

    expect(problems).toEqual([]);
    expect(plans).toMatchObject([{ name: 'zoo', mount: '/zoo', upstreams: [{ source: 'the settings of zoo' }] }]);
  });
});
