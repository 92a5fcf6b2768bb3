import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadPlugins, type LoadPluginsOptions } from '../../src/plugins/load.js';

const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));
const PREFIX = 'entrepot-zoo-';

/** A folder with every plugin of the zoo installed, as a configuration file would lie in it. */
let folder: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'entrepot-zoo-')));
  for (const name of readdirSync(FIXTURES)) cpSync(join(FIXTURES, name), installed(name), { recursive: true });
  // These two are no files that a formatter could read.
  const manifest = { name: `${PREFIX}syntax-error`, type: 'module', exports: './index.js' };
  write('syntax-error', 'package.json', JSON.stringify({ ...manifest, peerDependencies: { '@entrepot/core': '*' } }));
  write('syntax-error', 'index.js', 'export default {;');
  write('manifest-broken', 'package.json', '{ "name": ');
});

afterAll(() => rmSync(folder, { recursive: true }));

function installed(name: string): string {
  return join(folder, 'node_modules', PREFIX + name);
}

function write(name: string, file: string, text: string): void {
  mkdirSync(installed(name), { recursive: true });
  writeFileSync(join(installed(name), file), text);
}

function load(plugins: readonly string[], options: Partial<LoadPluginsOptions> = {}) {
  return loadPlugins({ plugins, folder, coreVersion: '0.1.0', ...options });
}

describe('the broken-plugin zoo', () => {
  const API = 'apiVersion 1';
  const DEFAULT_EXPORT =
    'a default export made by defineProtocolPlugin, defineScannerPlugin or defineBlobStorePlugin, or a list of formats';
  const IMPORTABLE = 'a module that can be imported';
  const PEER = 'a peerDependency on @entrepot/core in package.json that allows 0.1.0';

  it.each<[name: string, ...mismatches: [found: string | RegExp, wanted: string][]]>([
    [
      'not-installed',
      [
        /^no such package from .* or from Entrepot itself$/,
        `an installed package (npm install ${PREFIX}not-installed)`,
      ],
    ],
    ['manifest-broken', [/package\.json: SyntaxError/, 'a package.json that can be read']],
    ['entry-missing', [/dist\/index\.js/, 'a package whose entry exists (is it built?)']],
    [
      'dependency-missing',
      ['that entrepot-zoo-nowhere, which it imports, is missing', "the plugin's own dependencies to be installed"],
    ],
    ['throws', ['an error on import: Error: the licence file is missing', IMPORTABLE]],
    ['throws-nothing', ['an error on import: undefined', IMPORTABLE]],
    ['syntax-error', [/^an error on import: SyntaxError/, IMPORTABLE]],
    ['hangs', ['an import that is still running after 100 ms', IMPORTABLE]],
    ['no-default', ['only the exports plugin', DEFAULT_EXPORT]],
    ['no-exports', ['no exports', DEFAULT_EXPORT]],
    ['not-an-object', ['"zoo"', DEFAULT_EXPORT]],
    ['several-none', ['an empty list of plugins', DEFAULT_EXPORT]],
    [
      'several-mixed',
      ['in default[1]: id "good-one", which default[0] has too', 'an id of its own'],
      ['in default[2]: undefined', DEFAULT_EXPORT],
      ['in default[3]: id "Bad Id"', 'an id of lower-case letters, digits and -, beginning with a letter'],
      ['in default[4]: kind "scanner"', 'kind "protocol": a scanner or a store has a package of its own'],
    ],
    ['wrong-kind', ['kind "storage"', 'kind "protocol", "scanner" or "blob-store"']],
    ['sideless', ['neither proxy nor hosted', 'a side of the format: proxy, hosted or both']],
    [
      'misspelt',
      ['a member proxy.cleanup', 'only members that this core reads (is it misspelt?)'],
      ['a member proxy.classes.file.trust.verfy', 'only members that this core reads (is it misspelt?)'],
      ['a member hosted.cleanup.retyre', 'only members that this core reads (is it misspelt?)'],
      ['a member hosted.cleanup.versions.ordre', 'only members that this core reads (is it misspelt?)'],
      ['proxy.create "no"', 'a function'],
      [
        'proxy.classes.page an object with kind, about',
        'a class of the kind artifact, document, passthrough, alias with a line about it',
      ],
      ['hosted.cleanup.stored 1', 'a function'],
      ['hosted.cleanup.retire undefined', 'a function'],
    ],
    // Its id is wrong too, but nothing else of a plugin for another API is looked at.
    ['api-too-old', ['apiVersion 0', API]],
    ['api-too-new', ['apiVersion 99', API]],
    ['api-missing', ['apiVersion undefined', API]],
    // It throws when it is run, which it is not.
    ['peer-too-new', ['"^9.0.0"', PEER]],
    ['peer-missing', ['none', PEER]],
    ['peer-nonsense', ['"workspace:nonsense"', PEER]],
    [
      'unknown-token',
      ['inject.secrets: the token secrets', 'a token of a service that plugins may use (logger, clock, transport)'],
      ['inject.nothing: undefined', 'a token of a service that plugins may use (logger, clock, transport)'],
    ],
    [
      'shapeless',
      ['id "Bad Id"', 'an id of lower-case letters, digits and -, beginning with a letter'],
      ['sharedMounts ["v2"]', 'mounts such as /v2, or none'],
      ['dotSegments true', 'dotSegments "refuse", "collapse", "redirect" or none'],
      ['otherBytes "keep"', 'otherBytes "refuse", "escape" or none'],
      ['inject []', 'inject: an object of tokens by name'],
      ['clients.setup 1', 'a function or nothing'],
      ['options an object with no keys', 'options: a schema of Standard Schema version 1'],
    ],
  ])('%s', async (name, ...mismatches) => {
    const result = await load([PREFIX + name], { importTimeout: name === 'hangs' ? 100 : 15_000 });

    expect(result.plugins).toEqual([]);
    expect(result.problems).toEqual(
      mismatches.map(([found, wanted]) => ({
        path: 'plugins.0',
        package: PREFIX + name,
        location:
          name === 'not-installed' || name === 'manifest-broken' || name === 'entry-missing'
            ? undefined
            : installed(name),
        found: typeof found === 'string' ? found : expect.stringMatching(found),
        wanted,
        message: expect.stringContaining(PREFIX + name),
      })),
    );
  });

  it('collects the problems of all plugins and skips none', async () => {
    const { plugins, problems } = await load(
      ['throws', 'good', 'wrong-kind', 'no-default'].map((name) => PREFIX + name),
    );

    expect(plugins.map(({ plugin }) => plugin.id)).toEqual(['good']);
    expect(problems.map(({ path }) => path)).toEqual(['plugins.0', 'plugins.2', 'plugins.3']);
  });

  it('names both plugins that have one id', async () => {
    const { problems } = await load([`${PREFIX}good`, `${PREFIX}good-twin`]);

    expect(problems.map(({ message }) => message)).toEqual([
      `plugin ${PREFIX}good-twin (${installed('good-twin')}): expected an id of its own, ` +
        `found id "good", which ${PREFIX}good (${installed('good')}) has too`,
    ]);
  });

  it.each(['short', 'Entrepot-Zoo', '@acme', 'https://plugins.example.com/x.js', 'a/../../b', ''])(
    'does not guess what %j could mean',
    async (specifier) => {
      const { problems } = await load([specifier]);

      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatchObject({ package: specifier, path: 'plugins.0' });
    },
  );
});

describe('plugins that work', () => {
  it.each([
    ['good', 'good'],
    ['good-commonjs', 'commonjs'],
    ['good-transpiled', 'transpiled'],
    ['good-top-level-await', 'awaited'],
    ['good-services', 'services'],
    ['good-main', 'by-main'],
  ])('%s', async (name, id) => {
    const { plugins, problems } = await load([PREFIX + name]);

    expect(problems).toEqual([]);
    expect(plugins).toMatchObject([
      { package: PREFIX + name, version: '1.0.0', location: installed(name), bundled: false, plugin: { id } },
    ]);
  });

  it.each([
    ['the folder of a package with exports', () => `./node_modules/${PREFIX}good`],
    ['the folder of a package with main', () => `./node_modules/${PREFIX}good-main`],
    ['a file', () => `./node_modules/${PREFIX}good/index.js`],
    ['an absolute path', () => join(installed('good'), 'index.js')],
    ['a file URL', () => pathToFileURL(join(installed('good'), 'index.js')).href],
  ])('by path: %s', async (_what, specifier) => {
    const { plugins, problems } = await load([specifier()]);

    expect(problems).toEqual([]);
    expect(plugins).toHaveLength(1);
  });

  it('may be several in one package, whatever names it', async () => {
    const name = `${PREFIX}good-several`;
    const one = { package: name, version: '1.0.0', location: installed('good-several') };

    for (const { plugins, problems } of [await load([name]), await load([], { formats: [name, name] })]) {
      expect(problems).toEqual([]);
      expect(plugins).toMatchObject([
        { ...one, plugin: { id: 'good-one' } },
        { ...one, plugin: { id: 'good-two' } },
      ]);
    }
    expect((await load([], { bundled: [name, name] })).plugins).toMatchObject([{ bundled: true }, { bundled: true }]);
  });

  it('have ids of their own over packages', async () => {
    cpSync(installed('good-several'), installed('good-several-twin'), { recursive: true });

    const { plugins, problems } = await load([`${PREFIX}good-several`, `${PREFIX}good-several-twin`]);

    expect(plugins).toHaveLength(2);
    expect(problems.map(({ found }) => found)).toEqual(
      ['good-one', 'good-two'].map(
        (id) => `id "${id}", which ${PREFIX}good-several (${installed('good-several')}) has too`,
      ),
    );
  });

  it('of stores of blobs are told apart', async () => {
    const { plugins, stores, problems } = await load([`${PREFIX}blob-store`]);

    expect(problems).toEqual([]);
    expect([plugins, stores]).toMatchObject([[], [{ package: `${PREFIX}blob-store`, plugin: { id: 'zoo' } }]]);
  });

  it('need no package when they are a file beside the configuration', async () => {
    cpSync(join(FIXTURES, 'good', 'index.js'), join(folder, 'own.mjs'));

    const { plugins, problems } = await load(['./own.mjs']);

    expect(problems).toEqual([]);
    expect(plugins).toMatchObject([{ package: './own.mjs', version: undefined, plugin: { id: 'good' } }]);
  });

  it('are loaded once, however often they are listed', async () => {
    const { plugins, problems } = await load([`${PREFIX}good`, `${PREFIX}good`, `./node_modules/${PREFIX}good`]);

    expect(problems).toEqual([]);
    expect(plugins).toHaveLength(1);
  });

  it('may be made for a prerelease of core', async () => {
    const { problems } = await load([`${PREFIX}good`], { coreVersion: '0.1.1-next.0' });

    expect(problems).toEqual([]);
  });

  it('include the bundled ones, which the configuration does not list', async () => {
    const { plugins, problems } = await loadPlugins({
      plugins: [],
      folder,
      bundled: [`${PREFIX}good`],
      coreVersion: '0.1.0',
    });

    expect(problems).toEqual([]);
    expect(plugins).toMatchObject([{ package: `${PREFIX}good`, bundled: true }]);
  });

  it('are found from the distribution, where the folder of the configuration has none', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'entrepot-zoo-elsewhere-'));
    const formats = { good: `${PREFIX}good`, lost: `${PREFIX}not-installed` };

    const found = await load([], {
      folder: elsewhere,
      bundled: Object.values(formats),
      distribution: { formats, folder },
    });

    rmSync(elsewhere, { recursive: true });
    expect(found.plugins).toMatchObject([{ package: formats.good, location: installed('good'), bundled: true }]);
    expect(found.problems).toMatchObject([{ path: 'plugins', package: formats.lost }]);
  });

  it('are looked for where the type of a repository names one', async () => {
    const { plugins, problems } = await load([], { formats: [`${PREFIX}good`, `${PREFIX}not-installed`] });

    expect(plugins).toMatchObject([{ package: `${PREFIX}good`, bundled: false }]);
    expect(problems).toMatchObject([{ path: 'repositories', package: `${PREFIX}not-installed` }]);
  });
});
