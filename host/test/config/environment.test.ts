import { describe, expect, it } from 'vitest';
import { applyEnvironment, variableName } from '../../src/config/environment.js';

const written = {
  server: { listen: ':1' },
  repositories: {
    npm: { type: 'npm', cache: { packument: { freshFor: '1m' }, distTags: {} } },
    'npm-internal': { type: 'npm' },
    'files.eu': { type: 'files', rules: [], layout: { maxDepth: 3 } },
  },
};

function keysSet(env: Record<string, string>, tree: Record<string, unknown> = written): Record<string, unknown> {
  const { tree: changed, variables, problems } = applyEnvironment(tree, env);
  expect(problems).toEqual([]);
  return Object.fromEntries([...variables.keys()].map((key) => [key, valueAt(changed, key)]));
}

function valueAt(tree: unknown, dotted: string): unknown {
  let value = tree;
  let rest = dotted;
  while (rest !== '') {
    const mapping = value as Record<string, unknown>;
    const key = Object.keys(mapping)
      .filter((name) => rest === name || rest.startsWith(`${name}.`))
      .sort((one, two) => two.length - one.length)[0] as string;
    value = mapping[key];
    rest = rest.slice(key.length + 1);
  }
  return value;
}

describe('variables', () => {
  it.each<[string, string, string, unknown]>([
    ['ENTREPOT_SERVER_LISTEN', ':2', 'server.listen', ':2'],
    ['ENTREPOT_SERVER_PUBLIC_URL', 'https://a.example.com', 'server.publicUrl', 'https://a.example.com'],
    ['ENTREPOT_SERVER_PUBLICURL', 'https://a.example.com', 'server.publicUrl', 'https://a.example.com'],
    ['ENTREPOT_SERVER_TRUST_PROXY', '[10.0.0.0/8]', 'server.trustProxy', ['10.0.0.0/8']],
    ['ENTREPOT_SERVER_WORKERS', '2', 'server.workers', 2],
    ['ENTREPOT_SERVER_WORKERS', 'auto', 'server.workers', 'auto'],
    ['ENTREPOT_SERVER_DRAIN_TIMEOUT', '0', 'server.drainTimeout', '0'],
    ['ENTREPOT_STORAGE_BACKEND', 's3', 'storage.backend', 's3'],
    ['ENTREPOT_STORAGE_SPOOL_MAX_BYTES', '1GiB', 'storage.spool.maxBytes', '1GiB'],
    ['ENTREPOT_STORAGE_SPOOL', '{ maxBytes: 1GiB }', 'storage.spool', { maxBytes: '1GiB' }],
    ['ENTREPOT_CACHE_MAX_ENTRIES', '5', 'cache.maxEntries', 5],
    ['ENTREPOT_CACHE_PASSWORD', '0123', 'cache.password', '0123'],
    ['ENTREPOT_METADATA_BACKEND', 'postgresql', 'metadata.backend', 'postgresql'],
    ['ENTREPOT_METADATA_PORT', '5433', 'metadata.port', 5433],
    ['ENTREPOT_METADATA_PASSWORD', '0123', 'metadata.password', '0123'],
    ['ENTREPOT_METADATA_TLS_MODE', 'verify-ca', 'metadata.tls.mode', 'verify-ca'],
    ['ENTREPOT_METADATA_LISTEN_URL', 'postgres://a/b', 'metadata.listenUrl', 'postgres://a/b'],
    ['ENTREPOT_LOG_ACCESS', 'false', 'log.access', false],
    ['ENTREPOT_PLUGINS', '["@acme/x"]', 'plugins', ['@acme/x']],
    // Text is taken as it is: YAML would make numbers, comments and mappings of secrets.
    ['ENTREPOT_METRICS_TOKEN', '0123', 'metrics.token', '0123'],
    ['ENTREPOT_METRICS_TOKEN', 'a #b', 'metrics.token', 'a #b'],
    ['ENTREPOT_METRICS_TOKEN', '{a: b', 'metrics.token', '{a: b'],
    [
      'ENTREPOT_REPOSITORIES_NPM_UPSTREAM',
      'https://a.example.com',
      'repositories.npm.upstream',
      'https://a.example.com',
    ],
    ['ENTREPOT_REPOSITORIES_NPM_TYPE', 'files', 'repositories.npm.type', 'files'],
    ['ENTREPOT_REPOSITORIES_NPM_ENABLED', 'false', 'repositories.npm.enabled', false],
    [
      'ENTREPOT_REPOSITORIES_NPM_UPSTREAMS',
      '[{ url: "https://a.example.com", scope: "@a" }]',
      'repositories.npm.upstreams',
      [{ url: 'https://a.example.com', scope: '@a' }],
    ],
    ['ENTREPOT_REPOSITORIES_NPM_AUTH_TOKEN', '12', 'repositories.npm.auth.token', '12'],
    ['ENTREPOT_REPOSITORIES_NPM_TRANSPORT_CONNECTIONS', '9', 'repositories.npm.transport.connections', 9],
    ['ENTREPOT_REPOSITORIES_NPM_CACHE_PACKUMENT_FRESH_FOR', '5m', 'repositories.npm.cache.packument.freshFor', '5m'],
    ['ENTREPOT_REPOSITORIES_NPM_CACHE_DISTTAGS_FRESH_FOR', '5m', 'repositories.npm.cache.distTags.freshFor', '5m'],
    ['ENTREPOT_REPOSITORIES_NPM_CACHE_DIST_TAGS_FRESH_FOR', '5m', 'repositories.npm.cache.dist-tags.freshFor', '5m'],
    [
      'ENTREPOT_REPOSITORIES_NPM_CACHE_TARBALL',
      '{ freshFor: 1m }',
      'repositories.npm.cache.tarball',
      { freshFor: '1m' },
    ],
    // The longest name wins.
    ['ENTREPOT_REPOSITORIES_NPM_INTERNAL_UPSTREAM', 'https://b', 'repositories.npm-internal.upstream', 'https://b'],
    ['ENTREPOT_REPOSITORIES_FILES_EU_MOUNT', '/x', 'repositories.files.eu.mount', '/x'],
    // Options of plugins: what is there, else camel case.
    ['ENTREPOT_REPOSITORIES_FILES_EU_RULES', '[{ match: "**" }]', 'repositories.files.eu.rules', [{ match: '**' }]],
    ['ENTREPOT_REPOSITORIES_FILES_EU_LAYOUT_MAX_DEPTH', '4', 'repositories.files.eu.layout.maxDepth', 4],
    ['ENTREPOT_REPOSITORIES_FILES_EU_ALLOW_EMPTY_FILES', 'true', 'repositories.files.eu.allowEmptyFiles', true],
    // What is no key of the section is left to the plugin, or to the schema, which know what is wrong with it.
    ['ENTREPOT_REPOSITORIES_NPM_TRANSPORT_PROXI', 'x', 'repositories.npm.transportProxi', 'x'],
    ['ENTREPOT_REPOSITORIES_NPM_CACHE_PACKUMENT_FRESH', 'x', 'repositories.npm.cache.packument-fresh', 'x'],
    ['ENTREPOT_REPOSITORIES_NEW_ONE_TYPE', 'npm', 'repositories.new-one.type', 'npm'],
  ])('%s=%s sets %s', (variable, text, key, expected) => {
    expect(keysSet({ [variable]: text })).toEqual({ [key]: expected });
  });

  it('make a repository together with its other keys', () => {
    const env = { ENTREPOT_REPOSITORIES_NEW_ONE_TYPE: 'files', ENTREPOT_REPOSITORIES_NEW_ONE_UPSTREAM: 'https://a' };
    const { tree, problems } = applyEnvironment(written, env);
    expect(problems).toEqual([]);
    expect(tree['repositories']).toEqual({
      ...written.repositories,
      'new-one': { type: 'files', upstream: 'https://a' },
    });
  });

  it('for single keys stand beside those for their whole section', () => {
    const env = {
      ENTREPOT_REPOSITORIES_A_MOUNT: '/x',
      ENTREPOT_REPOSITORIES: '{ a: { type: npm, mount: /y } }',
      ENTREPOT_SERVER_LISTEN: ':3',
      ENTREPOT_SERVER: '{ listen: ":4", drainTimeout: 1s }',
    };
    const { tree, problems } = applyEnvironment(written, env);
    expect(problems).toEqual([]);
    expect(tree).toEqual({
      server: { listen: ':3', drainTimeout: '1s' },
      repositories: { a: { type: 'npm', mount: '/x' } },
    });
  });

  it('leave what was written as it is, and parts that aliases share apart', () => {
    const shared = { freshFor: '1m' };
    const tree = { repositories: { a: { type: 'npm', cache: { x: shared, y: shared } } } };
    const before = structuredClone(tree);
    const changed = applyEnvironment(tree, { ENTREPOT_REPOSITORIES_A_CACHE_X_FRESH_FOR: '2m' });
    expect(tree).toEqual(before);
    expect(changed.tree).toEqual({
      repositories: { a: { type: 'npm', cache: { x: { freshFor: '2m' }, y: { freshFor: '1m' } } } },
    });
  });

  it('speak of the repositories of the built-in default by their types', () => {
    const env = { ENTREPOT_REPOSITORIES_NPM_UPSTREAM: 'https://a', ENTREPOT_REPOSITORIES_FILES_TYPE: 'x' };
    expect(applyEnvironment({}, env, ['npm', 'files', 'go']).tree).toEqual({
      repositories: { npm: { type: 'npm', upstream: 'https://a' }, files: { type: 'x' } },
    });
    expect(applyEnvironment({ repositories: {} }, env, ['npm']).problems).toHaveLength(1);
  });

  it('are ignored when they are empty, not ours, the file’s, or set by Kubernetes', () => {
    expect(
      keysSet({
        ENTREPOT_SERVER_LISTEN: '',
        ENTREPOT_CONFIG: '/etc/entrepot.yaml',
        ENTREPOT_SERVICE_HOST: '10.0.0.1',
        ENTREPOT_SERVICE_PORT: '80',
        ENTREPOT_SERVICE_PORT_HTTP: '80',
        ENTREPOT_PORT: 'tcp://10.0.0.1:80',
        ENTREPOT_PORT_80_TCP: 'tcp://10.0.0.1:80',
        ENTREPOT_PORT_80_TCP_PROTO: 'tcp',
        ENTREPOT_SERVER_SERVICE_HOST: '10.0.0.2',
        ENTREPOT_REDIS_PORT: 'tcp://10.0.0.3:6379',
        ENTREPOT_REDIS_PORT_6379_TCP_ADDR: '10.0.0.3',
        HOME: '/root',
        entrepot_server: 'x',
      }),
    ).toEqual({});
  });

  it.each<[string, string, RegExp]>([
    ['ENTREPOT_SERVER_LISTN', 'x', /^unknown variable; did you mean ENTREPOT_SERVER_LISTEN\?$/],
    ['ENTREPOT_SERVER_LISTEN_PORT', '80', /^unknown variable/],
    ['ENTREPOT_COLOUR', 'x', /^unknown variable; known ones begin with ENTREPOT_SERVER_…, ENTREPOT_STORAGE_…/],
    ['ENTREPOT_REPOSITORIES_NPX_UPSTREAM', 'x', /did you mean ENTREPOT_REPOSITORIES_NPM_UPSTREAM\?$/],
    ['ENTREPOT_REPOSITORIES_PYTHON_UPSTREAM', 'x', /there is no such repository; ENTREPOT_REPOSITORIES_<NAME>_TYPE/],
    ['ENTREPOT_SERVER_TRUST_PROXY', '[a', /./],
    ['ENTREPOT_SERVER_TRUST_PROXY', '*a', /./],
  ])('%s=%s is a problem', (variable, text, message) => {
    const { problems } = applyEnvironment(written, { [variable]: text });
    expect(problems).toEqual([{ path: variable, message: expect.stringMatching(message) as string }]);
  });

  it('cannot tell names apart that differ by a sign only', () => {
    const tree = { repositories: { 'a-b': { type: 'npm' }, 'a.b': { type: 'npm' } } };
    expect(applyEnvironment(tree, { ENTREPOT_REPOSITORIES_A_B_MOUNT: '/x' }).problems).toEqual([
      {
        path: 'ENTREPOT_REPOSITORIES_A_B_MOUNT',
        message:
          'ambiguous, could be repositories.a-b.mount and repositories.a.b.mount; set the one that you mean in the file',
      },
    ]);
  });

  it('cannot be set inside something that is no mapping', () => {
    expect(applyEnvironment({ server: 5 }, { ENTREPOT_SERVER_LISTEN: ':1' }).problems).toEqual([
      {
        path: 'ENTREPOT_SERVER_LISTEN',
        message: 'cannot be set: expected a mapping above server.listen in the file, found another value',
      },
    ]);
  });
});

it.each([
  [['server', 'publicUrl'], 'ENTREPOT_SERVER_PUBLIC_URL'],
  [['repositories', '<name>', 'cache', '<class>', 'freshFor'], 'ENTREPOT_REPOSITORIES_<NAME>_CACHE_<CLASS>_FRESH_FOR'],
])('the variable of %j is %s', (path, expected) => {
  expect(variableName(path)).toBe(expected);
});
