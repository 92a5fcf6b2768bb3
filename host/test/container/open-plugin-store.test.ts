import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BlobStore, silentLogger } from '@entrepot/core';
import { blobStoreSuite } from '@entrepot/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/load.js';
import { openBlobs } from '../../src/container/open-stores.js';
import { createHost } from '../../src/create-host.js';
import { TestProcess } from '../cli/test-context.js';

const TEMPLATE = fileURLToPath(new URL('../../../templates/store-plugin', import.meta.url));
const NODE_MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const PACKAGE = 'entrepot-storage-acme';

/** A folder outside of the workspace, with the store of the template installed beside the configuration. */
let folder: string;
let stores = 0;

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'entrepot-store-')));
  const installed = join(folder, 'node_modules', PACKAGE);
  mkdirSync(join(installed, 'dist'), { recursive: true });
  cpSync(join(TEMPLATE, 'package.json'), join(installed, 'package.json'));
  for (const name of await readdir(join(TEMPLATE, 'src'))) {
    const code = stripTypeScriptTypes(await readFile(join(TEMPLATE, 'src', name), 'utf8'));
    writeFileSync(join(installed, 'dist', name.replace(/ts$/, 'js')), code);
  }
  for (const name of ['@entrepot', 'zod']) symlinkSync(join(NODE_MODULES, name), join(folder, 'node_modules', name));
  cpSync(
    fileURLToPath(new URL('../plugins/fixtures/blob-store', import.meta.url)),
    join(folder, 'node_modules/entrepot-zoo-blob-store'),
    { recursive: true },
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

function configured(storage: object, plugins: readonly string[] = [PACKAGE], cwd = folder) {
  const written = {
    server: { listen: '127.0.0.1:0' },
    log: { level: 'silent' },
    metadata: { path: join(folder, `${stores}.db`) },
    repositories: { files: { type: 'files', kind: 'hosted', overwrite: true } },
    plugins,
    storage: { gc: { grace: '0s' }, ...storage },
  };
  // JSON is YAML.
  writeFileSync(join(cwd, 'entrepot.yaml'), JSON.stringify(written));
  const { loaded, problems } = readConfig({ env: {}, cwd });
  expect(problems).toEqual([]);
  return loaded as NonNullable<typeof loaded>;
}

function nextFolder(): string {
  stores += 1;
  return join(folder, `objects-${stores}`);
}

async function open(storage: object, plugins?: readonly string[]): Promise<BlobStore> {
  return await openBlobs(configured(storage, plugins).config.storage, silentLogger);
}

describe('a store from outside of the workspace, by the id of its plugin', () => {
  blobStoreSuite(
    { describe, it },
    async () => {
      const storage = { backend: 'acme', folder: nextFolder() };
      return { store: await open(storage), reopen: () => open(storage) };
    },
    { replicas: true },
  );
});

it('is opened by its package, behind a disk cache', async () => {
  const cache = { path: join(folder, 'cache') };
  const store = await open({ backend: `./node_modules/${PACKAGE}`, folder: nextFolder(), cache }, []);
  await store.check();
  await store.dispose();
  expect(await readdir(cache.path)).not.toEqual([]);
});

it('keeps what a server has, and the collector and the doctor work on it', async () => {
  const objects = nextFolder();
  const loaded = configured({ backend: 'acme', folder: objects });
  const host = await createHost(loaded);
  try {
    const [main] = await host.listen();
    for (const body of ['one', 'two'])
      expect((await fetch(`${main?.url}/files/a`, { method: 'PUT', body })).ok).toBe(true);
    expect(await (await fetch(`${main?.url}/files/a`)).text()).toBe('two');
  } finally {
    await host.close();
  }
  const terminal = new TestProcess(folder);
  for (const _ of [1, 2]) expect(await terminal.run('gc')).toBe(0);
  const left = (await readdir(objects, { recursive: true })).filter((name) => name.length > 64);
  expect(left).toHaveLength(1);
  terminal.output.splice(0);
  await terminal.run('doctor', '--json');
  const findings = JSON.parse(terminal.output.join('\n')) as { readonly check: string }[];
  expect(findings.filter(({ check }) => check === 'storage' || check === 'plugin acme')).toMatchObject([
    { status: 'ok', check: 'plugin acme' },
    { status: 'ok', check: 'storage', detail: 'the store of acme, can be read, written and listed' },
  ]);
});

describe('a start', () => {
  it.each<[what: string, storage: object, plugins: readonly string[], problems: readonly string[]]>([
    [
      'an unknown name',
      { backend: 'acmee' },
      [PACKAGE],
      [
        'storage.backend: unknown backend "acmee"; did you mean acme? known types: filesystem, s3, azure, gcs, acme, or the package of a store',
      ],
    ],
    [
      'a package that is not there',
      { backend: '@acme/store' },
      [],
      [
        'storage.backend: plugin @acme/store: expected an installed package (npm install @acme/store), found no such package from FOLDER or from Entrepot itself',
      ],
    ],
    [
      'a plugin of another kind',
      { backend: '@entrepot/plugin-files' },
      [],
      ['storage.backend: the plugin @entrepot/plugin-files is no store of blobs'],
    ],
    [
      'wrong options',
      { backend: 'acme', foldr: 'x' },
      [PACKAGE],
      ['storage.folder: expected a text, found nothing', 'storage.foldr: unknown key; did you mean folder?'],
    ],
    [
      'a plugin that makes no store',
      { backend: 'zoo' },
      ['entrepot-zoo-blob-store'],
      ['stat', 'open', 'put', 'delete', 'list', 'check', 'dispose'].map(
        (name) =>
          `storage.backend: plugin entrepot-zoo-blob-store (FOLDER/node_modules/entrepot-zoo-blob-store): expected a function, found store.${name} undefined`,
      ),
    ],
  ])('says what is wrong with %s', async (_what, storage, plugins, problems) => {
    const error = await createHost(configured(storage, plugins)).catch((thrown: Error) => thrown);
    expect((error as Error).message.replaceAll(folder, 'FOLDER').split('\n')).toEqual(problems);
  });
});
