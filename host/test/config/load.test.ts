import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EntrepotError } from '@entrepot/core';
import { ConfigurationError, printProblem } from '../../src/config/configuration-error.js';
import { loadConfig, type LoadedConfig } from '../../src/config/load.js';

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-config-'));
});

afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const file = path.join(cwd, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

function load(yaml: string, env: Record<string, string> = {}): Promise<LoadedConfig> {
  write('entrepot.yaml', yaml);
  return loadConfig({ env, cwd });
}

async function problemsOf(work: Promise<unknown>): Promise<string[]> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  return (error as ConfigurationError).problems.map(printProblem);
}

describe('the file', () => {
  it('may be missing: the built-in default holds, with paths in the current folder', async () => {
    const loaded = await loadConfig({ env: {}, cwd });
    expect(loaded).toMatchObject({
      sources: ['built-in default'],
      file: undefined,
      directory: cwd,
      addBundledRepositories: true,
      config: {
        storage: { path: path.join(cwd, 'data/blobs'), spool: { path: path.join(cwd, 'data/spool') } },
        metadata: { path: path.join(cwd, 'data/entrepot.db') },
      },
    });
    expect(loaded.config.repositories).toBeUndefined();
  });

  it('is entrepot.yaml of the current folder, else that of ENTREPOT_CONFIG, else the one that is named', async () => {
    const usual = write('entrepot.yaml', 'log: { level: warn }');
    write('other/variable.yaml', 'log: { level: error }');
    const named = write('other/named.yaml', 'log: { level: debug }');
    const env = { ENTREPOT_CONFIG: 'other/variable.yaml' };
    expect(await loadConfig({ env: {}, cwd })).toMatchObject({ file: usual, config: { log: { level: 'warn' } } });
    expect(await loadConfig({ env, cwd })).toMatchObject({ config: { log: { level: 'error' } } });
    expect(await loadConfig({ file: named, env, cwd })).toMatchObject({
      sources: [named],
      directory: path.join(cwd, 'other'),
      config: { log: { level: 'debug' } },
    });
  });

  it('may be empty', async () => {
    expect(await load('# nothing\n')).toMatchObject({ addBundledRepositories: true });
  });

  it('says which repositories there are, when it says so', async () => {
    expect(await load('repositories: {}')).toMatchObject({ addBundledRepositories: false });
  });

  it('is where relative paths begin', async () => {
    const file = write('etc/entrepot.yaml', 'storage: { path: ../blobs }\nmetadata: { path: /var/lib/e.db }');
    const { config } = await loadConfig({ file, env: { ENTREPOT_STORAGE_SPOOL_PATH: 'tmp' }, cwd });
    expect(config.storage).toMatchObject({
      path: path.join(cwd, 'blobs'),
      spool: { path: path.join(cwd, 'etc/tmp') },
    });
    expect(config.metadata).toMatchObject({ path: '/var/lib/e.db' });
  });

  it('says where a store in a bucket spools, and which of its keys are secrets', async () => {
    const storage = (secret: string) =>
      `storage: { backend: s3, bucket: packages, cache: { path: copies }, credentials: { accessKeyId: a, secretAccessKey: ${secret} } }`;
    const file = write('etc/entrepot.yaml', storage("'${env:S3_SECRET}'"));
    const { config } = await loadConfig({ file, env: { S3_SECRET: 'hidden' }, cwd });
    expect(config.storage).toMatchObject({
      credentials: { secretAccessKey: 'hidden' },
      spool: { path: path.join(cwd, 'etc/data/spool') },
      cache: { path: path.join(cwd, 'etc/copies') },
    });
    write('etc/entrepot.yaml', storage('plain'));
    expect(await problemsOf(loadConfig({ file, env: {}, cwd }))).toEqual([
      expect.stringContaining('storage.credentials.secretAccessKey: expected ${env:NAME} or ${file:PATH}'),
    ]);
  });

  it('keeps the passwords of a database and a cache out of the file', async () => {
    const file = write(
      'etc/entrepot.yaml',
      'metadata: { backend: postgresql, host: db, user: e, password: "${file:password}", tls: { ca: db.pem } }\n' +
        'cache: { backend: redis, url: "rediss://cache", password: "${env:CACHE_PASSWORD}", ca: cache.pem }',
    );
    write('etc/password', 'hidden\n');
    const { config } = await loadConfig({ file, env: { CACHE_PASSWORD: 'hidden, too' }, cwd });
    expect(config.metadata).toMatchObject({
      password: 'hidden',
      tls: { mode: 'verify-full', ca: path.join(cwd, 'etc/db.pem') },
    });
    expect(config.cache).toMatchObject({ password: 'hidden, too', ca: path.join(cwd, 'etc/cache.pem') });
    write(
      'etc/entrepot.yaml',
      'metadata: { backend: postgresql, url: "postgres://e@db/e", listenUrl: "postgres://e:plain@db/e" }\n' +
        'cache: { backend: redis, url: "redis://e:plain@cache", password: plain }\n' +
        `cluster: { secret: ${'plain'.repeat(7)}, advertise: "http://10.0.0.1:8090" }`,
    );
    const problems = await problemsOf(loadConfig({ file, env: {}, cwd }));
    expect(problems.filter((problem) => problem.includes('expected ${env:NAME} or ${file:PATH}'))).toEqual([
      expect.stringMatching(/^cluster\.secret: /),
      expect.stringMatching(/^metadata\.listenUrl: .*, for it has a password/),
      expect.stringMatching(/^cache\.password: /),
      expect.stringMatching(/^cache\.url: .*, for it has a password/),
    ]);
    expect(problems.join()).not.toContain('plain');
  });

  it.each([
    ['a bucket that is none', 'bucket: Packages', 'storage.bucket: expected the name of a bucket'],
    ['a prefix with a slash at its end', 'bucket: packages, prefix: a/', 'storage.prefix: expected a path'],
    ['a folder', 'bucket: packages, path: ./blobs', 'storage.path: unknown'],
    [
      'a key without kms',
      'bucket: packages, encryption: { type: s3, key: k }',
      'storage.encryption: expected a key only',
    ],
  ])('refuses for S3 %s', async (_what, keys, expected) => {
    expect(await problemsOf(load(`storage: { backend: s3, ${keys} }`))).toEqual([expect.stringContaining(expected)]);
  });

  it('must be there when it is named', async () => {
    expect(await problemsOf(loadConfig({ file: 'no.yaml', env: {}, cwd }))).toEqual([
      'no.yaml: expected a configuration file; there is no such file',
    ]);
    expect(await problemsOf(loadConfig({ file: '.', env: {}, cwd }))).toEqual([
      expect.stringMatching(/expected a configuration file; it cannot be read \(EISDIR\)/),
    ]);
  });

  it.each<[string, string, string | RegExp]>([
    ['keys that are given twice', 'log: {}\nserver: {}\nlog: {}', /^entrepot\.yaml:3:1: not valid YAML: .*unique/],
    ['tabs', 'log:\n\tlevel: info', /^entrepot\.yaml:2:1: not valid YAML: Tabs are not allowed/],
    ['an end that is missing', 'log: {level: info', /^entrepot\.yaml:1:\d+: not valid YAML: /],
    [
      'a tag that nobody knows',
      'log: { level: !secret info }',
      /^entrepot\.yaml:1:\d+: not valid YAML: Unresolved tag/,
    ],
    ['several documents', 'log: {}\n---\nlog: {}', /^entrepot\.yaml:2:1: not valid YAML: .*multiple documents/],
    ['a list', '- a', 'entrepot.yaml: expected a mapping of keys (server, storage, repositories …) at the top'],
    ['a word', 'hello', 'entrepot.yaml: expected a mapping of keys (server, storage, repositories …) at the top'],
    ['an alias without its anchor', 'log: *x', /^entrepot\.yaml(:1:\d+)?: not valid YAML: /],
  ])('is refused with %s', async (_what, yaml, expected) => {
    const problems = await problemsOf(load(yaml));
    expect(problems).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  it('is refused when its aliases unfold without end', async () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let level = 1; level < 9; level += 1) {
      lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join()}]`);
    }
    expect(await problemsOf(load(lines.join('\n')))).toEqual([expect.stringContaining('Excessive alias count')]);
  });

  it.each(['['.repeat(200_000), '{a: '.repeat(200_000), '- '.repeat(200_000), '? '.repeat(200_000)])(
    'is refused when it is nested without end: %.8s…',
    async (text) => {
      expect(await problemsOf(load(text))).toEqual(['entrepot.yaml: not valid YAML: it is nested too deeply']);
    },
  );

  it('is refused when it is no configuration by its size', async () => {
    expect(await problemsOf(load(`# ${'x'.repeat(1024 * 1024)}`))).toEqual([
      'entrepot.yaml: expected a configuration file of at most 1 MiB',
    ]);
  });
});

describe('problems', () => {
  it('are reported all at once, each with its key', async () => {
    write('entrepot.yaml', 'server: { listn: 5 }\nlog: { level: loud }\nmetrics: { token: "${env:NONE}" }');
    const env = { ENTREPOT_COLOUR: 'red', ENTREPOT_CACHE_MAX_BYTES: 'much' };
    expect(await problemsOf(loadConfig({ env, cwd }))).toEqual([
      expect.stringMatching(/^ENTREPOT_COLOUR: unknown variable/),
      'metrics.token: the environment variable NONE is not set; set it, or write the value here',
      'server.listn: unknown key; did you mean listen?',
      'cache.maxBytes: expected a size such as 64KiB, 10MB, 2GiB or a number of bytes (set by ENTREPOT_CACHE_MAX_BYTES)',
      'log.level: expected debug, info, warn, error or silent',
    ]);
  });

  it('make an error of kind configuration that is told from other errors', async () => {
    const error = await load('a: 1').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EntrepotError);
    expect(error).toMatchObject({ kind: 'configuration', message: expect.stringMatching(/^a: unknown key/) as string });
    expect(new EntrepotError('configuration', 'x')).not.toBeInstanceOf(ConfigurationError);
  });
});

describe('references', () => {
  it.each<[string, string]>([
    ['${env:TOKEN}', 'one'],
    ['a-${env:TOKEN}-${env:TOKEN}', 'a-one-one'],
    ['${file:secret}', 'two'],
    ['${file:./folder/secret}', 'three\n'],
    ['${env:NESTED}', '${env:TOKEN}'],
    ['$${env:TOKEN}', '${env:TOKEN}'],
    ['$TOKEN $$ {x}', '$TOKEN $$ {x}'],
    ['${env:EMPTY}x', 'x'],
  ])('%s is %j', async (text, expected) => {
    write('secret', 'two\n');
    write('folder/secret', 'three\n\n');
    const env = { TOKEN: 'one', NESTED: '${env:TOKEN}', EMPTY: '' };
    const { config } = await load(`metrics: { token: '${text}' }`, env);
    expect(config.metrics.token).toBe(expected);
  });

  it('are filled in everywhere, also in options of plugins and in variables', async () => {
    write('secret', 'two');
    const { config } = await load('repositories: { one: { type: files, rules: [{ match: "${env:TOKEN}/**" }] } }', {
      TOKEN: 'one',
      ENTREPOT_METRICS_TOKEN: '${file:secret}',
    });
    expect(config.repositories?.['one']?.options).toEqual({ rules: [{ match: 'one/**' }] });
    expect(config.metrics.token).toBe('two');
  });

  it.each<[string, string | RegExp]>([
    ['${env:NONE}', 'the environment variable NONE is not set; set it, or write the value here'],
    ['${file:none}', /^there is no file .*none$/],
    ['${file:.}', /is not a file$/],
    ['${file:large}', /is larger than 1 MiB$/],
    ['${vault:x}', 'expected ${env:NAME} or ${file:PATH}; write $${ for a plain ${'],
    ['${TOKEN}', 'expected ${env:NAME} or ${file:PATH}; write $${ for a plain ${'],
    ['${env:}', 'expected ${env:NAME} or ${file:PATH}; write $${ for a plain ${'],
  ])('%s is a problem of its key', async (text, expected) => {
    write('large', 'x'.repeat(1024 * 1024 + 1));
    const [problem, ...others] = await problemsOf(load(`metrics: { token: '${text}' }\nlog: { level: "\${env:NO}" }`));
    const prefix = 'metrics.token: ';
    expect(problem?.startsWith(prefix)).toBe(true);
    expect(problem?.slice(prefix.length)).toEqual(
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    );
    expect(others).toEqual(['log.level: the environment variable NO is not set; set it, or write the value here']);
  });
});
