import { describe, expect, it } from 'vitest';
import { printProblem } from '../../src/config/configuration-error.js';
import { authorizationHeader, repositoryConfig } from '../../src/config/schema.js';
import { validateConfig } from '../../src/config/validate.js';

function problemsOf(raw: unknown): string[] {
  return validateConfig(raw).problems.map(printProblem);
}

function repository(keys: Record<string, unknown>): unknown {
  return { repositories: { one: { type: 'npm', ...keys } } };
}

describe('defaults', () => {
  it('serve on the loopback address with embedded drivers', () => {
    expect(validateConfig({}).config).toEqual({
      server: {
        listen: { host: '127.0.0.1', port: 8080 },
        trustProxy: [],
        drainDelay: 0,
        drainTimeout: 30_000,
        workers: 1,
        headersTimeout: 30_000,
        requestTimeout: 3_600_000,
        keepAliveTimeout: 75_000,
        maxHeaderBytes: 16_384,
        maxPathLength: 8192,
        home: {},
      },
      storage: {
        backend: 'filesystem',
        path: './data/blobs',
        durability: 'strict',
        gc: { interval: 3_600_000, grace: 3_600_000, batchSize: 500 },
        maxBytes: Infinity,
        reserve: 268_435_456,
        verify: { rate: 4_194_304, interval: 3_600_000, batchSize: 500, onFirstRead: false },
        spool: { maxBytes: 21_474_836_480, keepUploads: 86_400_000 },
      },
      metadata: { backend: 'sqlite', path: './data/entrepot.db' },
      cache: { backend: 'memory', maxBytes: 134_217_728, maxEntries: 100_000 },
      metrics: { enabled: true, path: '/metrics' },
      statistics: {
        enabled: true,
        interval: 30_000,
        keep: 34_560_000_000,
        packagesPerDay: 500,
        principalsPerDay: 200,
      },
      tracing: { headers: {}, serviceName: 'entrepot', sample: 1, passToUpstreams: false },
      log: { level: 'info', format: 'auto', access: true },
      admin: { users: {} },
      audit: { keepChanges: 31_536_000_000, keepDenials: 2_592_000_000, maxRecords: 500_000, webhooks: [] },
      webhooks: [],
      scanners: [],
      plugins: [],
      projects: {},
    });
  });

  it('make a repository of its type alone', () => {
    expect(repositoryConfig({ type: 'npm' })).toEqual({
      type: 'npm',
      kind: 'proxy',
      enabled: true,
      mount: undefined,
      listen: undefined,
      tls: undefined,
      access: undefined,
      publicUrl: undefined,
      upstreams: undefined,
      auth: undefined,
      trustedRealms: [],
      useClientCredentials: false,
      transport: {
        minTlsVersion: 'TLSv1.2',
        userAgent: 'entrepot',
        connectTimeout: 5000,
        headersTimeout: 30_000,
        idleTimeout: 30_000,
        totalTimeout: 1_800_000,
        connections: 64,
        allowPrivateHosts: [],
      },
      cache: {},
      coldRange: 'auto',
      requireIntegrity: false,
      limits: {
        maxDocumentBytes: 268_435_456,
        maxArtifactBytes: Infinity,
        maxRequestBytes: 4_194_304,
        fetchQueueTimeout: 60_000,
      },
      options: {},
    });
  });
});

describe('repositories', () => {
  it('leave every key of the plugin in options', () => {
    const { options } = repositoryConfig({ type: 'files', rules: [{ match: '**' }], upstreem: 'x' });
    expect(options).toEqual({ rules: [{ match: '**' }], upstreem: 'x' });
  });

  it('move credentials out of upstream URLs', () => {
    const { upstreams } = repositoryConfig({ type: 'npm', upstream: 'https://me:p%40ss@registry.example.com/npm/' });
    expect(upstreams).toEqual([
      { url: 'https://registry.example.com/npm', auth: { username: 'me', password: 'p@ss' } },
    ]);
  });

  it('give every upstream its own credentials, else those of its URL, else those of the repository', () => {
    const { upstreams } = repositoryConfig({
      type: 'npm',
      auth: { token: 'common' },
      upstreams: [
        'https://one.example.com',
        'https://me:secret@two.example.com',
        { url: 'https://three.example.com', scope: '@acme', fallback: 'any-error', auth: { token: 'own' } },
        { url: 'https://four.example.com/' },
      ],
    });
    expect(upstreams).toEqual([
      { url: 'https://one.example.com', auth: { token: 'common' } },
      { url: 'https://two.example.com', auth: { username: 'me', password: 'secret' } },
      { url: 'https://three.example.com', scope: '@acme', fallback: 'any-error', auth: { token: 'own' } },
      { url: 'https://four.example.com', auth: { token: 'common' } },
    ]);
  });

  it('parse cache rules, leaving out what is not said', () => {
    const { cache } = repositoryConfig({ type: 'npm', cache: { packument: { freshFor: '5m', expireAfter: 'never' } } });
    expect(cache).toEqual({ packument: { freshFor: 300_000, expireAfter: Infinity } });
  });
});

describe('authorization headers', () => {
  it('are basic for a user, bearer for a token', () => {
    expect(authorizationHeader({ username: 'Aladdin', password: 'open sesame' })).toBe(
      'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
    );
    expect(authorizationHeader({ token: 'abc' })).toBe('Bearer abc');
  });
});

describe('problems', () => {
  it.each<[string, unknown, string[]]>([
    ['an unknown section', { servr: {} }, ['servr: unknown key; did you mean server?']],
    ['an unknown key', { server: { listn: ':80' } }, ['server.listn: unknown key; did you mean listen?']],
    [
      'an unknown key that resembles none',
      { log: { colour: true } },
      ['log.colour: unknown key; known here: level, format, file, access'],
    ],
    ['an unknown key of a driver', { storage: { pth: 'x' } }, ['storage.pth: unknown key; did you mean path?']],
    [
      'an unknown driver',
      { metadata: { backend: 'tape' } },
      ['metadata.backend: expected sqlite, postgresql or postgres'],
    ],
    [
      'a backend that is none',
      { storage: { backend: 5 } },
      ['storage.backend: expected a text, found a number (put it in quotes)'],
    ],
    [
      'faults of a driver beside plugins',
      { storage: { backend: 's3', region: 5, pth: 1 } },
      [
        'storage.bucket: expected a text, found nothing',
        'storage.region: expected a text, found a number (put it in quotes)',
        'storage.pth: unknown key; did you mean path?',
      ],
    ],
    [
      'a wrong type',
      { log: { access: 'yes' }, server: 5 },
      ['server: expected a mapping of keys, found a number', 'log.access: expected true or false, found a text'],
    ],
    [
      'a key without a value',
      { server: null },
      ['server: expected a mapping of keys, found an empty value (leave the key out for its default)'],
    ],
    [
      'a text that YAML takes for a number',
      { metrics: { token: 5 } },
      ['metrics.token: expected a text, found a number (put it in quotes)'],
    ],
    ['a bad address', { server: { listen: '8080' } }, ['server.listen: expected host:port, [address]:port or :port']],
    [
      'a bad duration',
      { server: { drainTimeout: 30 } },
      ['server.drainTimeout: expected a duration from 1ms to 24d, such as 30s or 5m'],
    ],
    [
      'a bad size',
      { cache: { maxBytes: '10 mb' } },
      ['cache.maxBytes: expected a size such as 64KiB, 10MB, 2GiB or a number of bytes'],
    ],
    [
      'a bad network',
      { server: { trustProxy: ['10.0.0.0/33', '::1', '10', '10.0.0.0/8', 'fd00::/8'] } },
      [
        'server.trustProxy.0: expected an address or a network such as 10.0.0.0/8',
        'server.trustProxy.2: expected an address or a network such as 10.0.0.0/8',
      ],
    ],
    [
      'credentials in a public URL, which clients see',
      { server: { publicUrl: 'https://a:b@example.com' } },
      ['server.publicUrl: expected an http:// or https:// URL without credentials'],
    ],
    [
      'a public URL with a query',
      { server: { publicUrl: 'https://example.com/?a' } },
      ['server.publicUrl: expected an http:// or https:// URL without a query and a fragment'],
    ],
    ['a bad choice', { log: { level: 'loud' } }, ['log.level: expected debug, info, warn, error or silent']],
    [
      'a plugin that cannot be named so',
      { plugins: ['Npm Plugin', './x', '@acme/entrepot-plugin-x'] },
      ['plugins.0: expected the name of a package, a path that begins with ./, ../ or /, or a file: URL'],
    ],
    ['a bad metrics path', { metrics: { path: 'metrics' } }, ['metrics.path: expected a path such as /metrics']],
    [
      'a bad repository name',
      { repositories: { 'No Good': { type: 'npm' } } },
      [
        'repositories.No Good: expected a name of lower-case letters, digits, ".", "_" and "-" that begins with a letter or digit',
      ],
    ],
    ['no type', { repositories: { one: {} } }, ['repositories.one.type: expected a text, found nothing']],
    [
      'a bad type',
      repository({ type: 'N P M' }),
      ['repositories.one.type: expected the id of a protocol plugin, such as npm'],
    ],
    ['a bad kind', repository({ kind: 'group' }), ['repositories.one.kind: expected proxy or hosted']],
    [
      'an upstream that is no URL',
      repository({ upstream: 'registry.example.com' }),
      ['repositories.one.upstream: expected an http:// or https:// URL'],
    ],
    [
      'no upstream in the list',
      repository({ upstreams: [] }),
      ['repositories.one.upstreams: expected at least one upstream'],
    ],
    [
      'upstream and upstreams',
      repository({ upstream: 'https://a.example.com', upstreams: ['https://b.example.com'] }),
      ['repositories.one.upstreams: expected either upstream or upstreams, found both'],
    ],
    [
      'faults inside the list of upstreams',
      repository({ upstreams: [{ uri: 'https://a.example.com' }, 5, 'ftp://a.example.com', { url: 'x' }] }),
      [
        'repositories.one.upstreams.0.url: expected a text, found nothing',
        'repositories.one.upstreams.0.uri: unknown key; did you mean url?',
        'repositories.one.upstreams.1: expected a text or a mapping of keys, found a number',
        'repositories.one.upstreams.2: expected an http:// or https:// URL',
        'repositories.one.upstreams.3.url: expected an http:// or https:// URL',
      ],
    ],
    [
      'a hosted repository with upstreams',
      repository({ kind: 'hosted', upstream: 'https://a.example.com' }),
      ['repositories.one.upstream: a hosted repository has no upstreams; remove it, or set kind to proxy'],
    ],
    [
      'rules of cleanup for a proxy',
      repository({ cleanup: { rules: [{ keepVersions: 1 }] } }),
      ['repositories.one.cleanup: only hosted repositories are cleaned up by rules; remove it, or set kind to hosted'],
    ],
    [
      'rules of cleanup that say nothing, or would remove all',
      repository({
        kind: 'hosted',
        cleanup: { batchSize: 0, interval: '30d', rules: [{ names: ['a'] }, { keepVersions: 0 }] },
      }),
      [
        'repositories.one.cleanup.interval: expected a duration from 1ms to 24d, such as 30s or 5m',
        'repositories.one.cleanup.batchSize: expected at least 1',
        'repositories.one.cleanup.rules.0: expected keepVersions, notDownloadedFor or prereleasesOlderThan',
        'repositories.one.cleanup.rules.1.keepVersions: expected at least 1',
      ],
    ],
    [
      'ages of cleanup that let everything go at once',
      repository({
        kind: 'hosted',
        cleanup: { rules: [{ notDownloadedFor: 0 }, { prereleasesOlderThan: 'forever' }] },
      }),
      [
        'repositories.one.cleanup.rules.0.notDownloadedFor: expected a duration such as 500ms, 30s, 5m, 720h, 7d',
        'repositories.one.cleanup.rules.1.prereleasesOlderThan: expected a duration such as 500ms, 30s, 5m, 720h, 7d',
      ],
    ],
    [
      'a database that is nowhere',
      { metadata: { backend: 'postgresql', user: 'me' } },
      ['metadata: expected either url, or host with database, user and password; found neither'],
    ],
    [
      'a database that is named twice',
      { metadata: { backend: 'postgres', url: 'postgres://a/b', host: 'a', password: 'secret' } },
      ['host', 'password'].map(
        (key) => `metadata.${key}: expected it once, found it here and a url, which says it, too; remove one of them`,
      ),
    ],
    [
      'another kind of encryption',
      { metadata: { backend: 'postgresql', host: 'a', port: 70_000, tls: { mode: 'prefer' } } },
      [
        'metadata.port: expected at most 65535',
        'metadata.tls.mode: expected disable, require, verify-ca or verify-full',
      ],
    ],
    [
      'a key of the other database',
      { metadata: { host: 'a' } },
      ['metadata.host: unknown key of this backend; remove it, or set the backend that it is for'],
    ],
    ['a cache that is nowhere', { cache: { backend: 'redis' } }, ['cache.url: expected a text, found nothing']],
    [
      'a cache by another protocol',
      { cache: { backend: 'redis', url: 'http://127.0.0.1:6379' } },
      ['cache.url: expected redis://host:port/number or, with TLS, rediss://host:port/number'],
    ],
    [
      'credentials of a cache that are said twice, and authorities without TLS',
      { cache: { backend: 'redis', url: 'redis://me:secret@a/1', user: 'me', password: 'secret', ca: 'ca.pem' } },
      [
        'cache.user: expected it once, found it here and in cache.url; remove one of them',
        'cache.password: expected it once, found it here and in cache.url; remove one of them',
        'cache.ca: expected it only beside a url that begins with rediss://',
      ],
    ],
    [
      'half a pair of credentials',
      repository({ auth: { username: 'me' } }),
      ['repositories.one.auth: expected either username and password, or token'],
    ],
    [
      'both kinds of credentials',
      repository({ auth: { username: 'me', password: 'secret', token: 'secret' } }),
      ['repositories.one.auth: expected either username and password, or token'],
    ],
    [
      'credentials in the URL and beside it',
      repository({ upstream: 'https://me:secret@a.example.com', auth: { token: 'secret' } }),
      ['repositories.one.auth: expected credentials once, found them here and in the URL of the upstream; remove one'],
    ],
    [
      'a misspelt key of a cache class',
      repository({ cache: { packument: { freshfor: '5m', policy: 'immutabel' } } }),
      [
        'repositories.one.cache.packument.policy: expected immutable, revalidate or bypass; did you mean immutable?',
        'repositories.one.cache.packument.freshfor: unknown key; did you mean freshFor?',
      ],
    ],
    [
      'a user agent that would break the head of a request',
      repository({ transport: { userAgent: 'a\r\nX: y' } }),
      ['repositories.one.transport.userAgent: expected printable ASCII text'],
    ],
    [
      'too many connections',
      repository({ transport: { connections: 0.5 } }),
      ['repositories.one.transport.connections: expected a whole number, found a number'],
    ],
    [
      'no connection at all',
      repository({ transport: { connections: 0 } }),
      ['repositories.one.transport.connections: expected at least 1'],
    ],
    [
      'a mount that is reserved',
      repository({ mount: '/-/x' }),
      ['repositories.one.mount: the path /- is reserved for the server itself'],
    ],
    [
      'the reserved mount',
      repository({ mount: '/-' }),
      ['repositories.one.mount: the path /- is reserved for the server itself'],
    ],
  ])('name %s', (_what, raw, expected) => {
    expect(problemsOf(raw)).toEqual(expected);
  });

  it.each(['npm', '/npm/', '//', '/a//b', '/a/../b', '/a b', '/a%2fb', '/a?b', ''])('refuse the mount %j', (mount) => {
    expect(problemsOf(repository({ mount }))).toEqual([
      'repositories.one.mount: expected / or a path such as /npm, without a slash at its end',
    ]);
  });

  it.each(['/', '/npm', '/teams/a.b/npm-1', '/v2'])('take the mount %j', (mount) => {
    expect(problemsOf(repository({ mount }))).toEqual([]);
  });

  it('hold no value, which could be a secret', () => {
    const secret = 's3cr3t value';
    const raw = {
      server: { listen: secret, publicUrl: `https://${secret}@x y` },
      metrics: { token: [secret] },
      log: { level: secret, access: secret },
      cache: { maxBytes: secret },
      repositories: {
        one: {
          type: secret,
          upstream: `ftp://user:${secret}@example.com`,
          auth: { token: secret },
          transport: { proxy: secret, idleTimeout: secret },
        },
      },
    };
    const problems = problemsOf(raw);
    expect(problems).toHaveLength(12);
    expect(problems.join('\n')).not.toContain('s3cr3t');
  });
});

describe('projects', () => {
  it('have repositories that are there, each in one of them', () => {
    const repositories = { one: { type: 'files' }, two: { type: 'files' } };
    const projects = {
      a: { quota: '1GiB', repositories: ['one', 'none'] },
      b: { quota: '1GiB', repositories: ['one', 'two'] },
    };
    expect(problemsOf({ repositories, projects })).toEqual([
      'projects.a.repositories.1: expected the name of a repository: one, two; found another one',
      'projects.b.repositories.0: expected it in one project, found it in a, too; remove one of them',
    ]);
    expect(problemsOf({ projects: { a: { quota: '1GiB', repositories: ['npm'] } } })).toEqual([]);
    expect(problemsOf({ projects: { a: { quota: '1kB', repositories: [] } } })).toHaveLength(2);
  });
});

describe('mounts', () => {
  it.each<[string, unknown, string[]]>([
    [
      'two equal mounts on one listener',
      { repositories: { one: { type: 'npm', mount: '/x' }, two: { type: 'files', mount: '/x' } } },
      ['repositories.two.mount: /x on 127.0.0.1:8080 is already the mount of the repository one; set another'],
    ],
    [
      'a mount that is the default of another one',
      { repositories: { one: { type: 'npm' }, two: { type: 'files', mount: '/one' } } },
      ['repositories.two.mount: /one on 127.0.0.1:8080 is already the mount of the repository one; set another'],
    ],
    [
      'the same listener, spelt out',
      {
        server: { listen: ':9000' },
        repositories: { one: { type: 'npm', mount: '/' }, two: { type: 'files', mount: '/', listen: ':9000' } },
      },
      ['repositories.two.mount: / on :9000 is already the mount of the repository one; set another'],
    ],
    [
      'the path of the metrics',
      { repositories: { metrics: { type: 'files' } } },
      ['repositories.metrics.mount: /metrics is taken: metrics are served at /metrics; change this, or metrics.path'],
    ],
    [
      'a path above that of the metrics',
      { metrics: { path: '/one/metrics' }, repositories: { one: { type: 'files' } } },
      ['repositories.one.mount: /one is taken: metrics are served at /one/metrics; change this, or metrics.path'],
    ],
  ])('refuse %s', (_what, raw, expected) => {
    expect(problemsOf(raw)).toEqual(expected);
  });

  it.each<[string, unknown]>([
    [
      'the path of metrics that have a listener of their own',
      { metrics: { listen: ':9100' }, repositories: { metrics: { type: 'files' } } },
    ],
    [
      'the path of metrics that are not served',
      { metrics: { enabled: false }, repositories: { metrics: { type: 'files' } } },
    ],
    [
      'equal mounts on different listeners',
      { repositories: { one: { type: 'npm', mount: '/' }, two: { type: 'files', mount: '/', listen: ':9001' } } },
    ],
    [
      'listeners that are shared',
      { repositories: { one: { type: 'npm', listen: ':9001' }, two: { type: 'files', listen: ':9001' } } },
    ],
    [
      'a mount of a repository that is switched off',
      { repositories: { one: { type: 'npm', enabled: false }, two: { type: 'files', mount: '/one' } } },
    ],
    [
      'mounts inside of each other',
      { repositories: { one: { type: 'npm' }, two: { type: 'npm', mount: '/one/two' } } },
    ],
    ['the path of the metrics on another listener', { repositories: { metrics: { type: 'files', listen: ':9001' } } }],
    ['the root beside the metrics', { repositories: { one: { type: 'files', mount: '/' } } }],
  ])('may be %s', (_what, raw) => {
    expect(problemsOf(raw)).toEqual([]);
  });

  it('are checked although other keys are wrong', () => {
    const raw = {
      server: { listen: 5 },
      repositories: { one: { type: 'npm', colour: 1 }, two: { kind: 'x', mount: '/one' } },
    };
    expect(problemsOf(raw).map((line) => line.split(':', 1)[0])).toEqual([
      'server.listen',
      'repositories.two.type',
      'repositories.two.kind',
      'repositories.two.mount',
    ]);
  });
});
