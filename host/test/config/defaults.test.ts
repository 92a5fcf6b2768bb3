import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { secretFileOf } from '../../src/access/secret-file.js';
import { loadConfig, readConfig, type LoadedConfig } from '../../src/config/load.js';
import { isSpoolBeside } from '../../src/container/open-stores.js';

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-defaults-'));
});

afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

function load(yaml: string | undefined, env: Record<string, string> = {}): Promise<LoadedConfig> {
  if (yaml !== undefined) writeFileSync(path.join(cwd, 'entrepot.yaml'), yaml);
  return loadConfig({ env, cwd });
}

const IMAGE = { ENTREPOT_DATA: '/data', ENTREPOT_DEFAULT_LISTEN: '0.0.0.0:8080' };
const ON_ALL = { host: '0.0.0.0', port: 8080 };

describe('defaults from the environment', () => {
  it('hold where there is no file, and are named among the sources', async () => {
    expect(await load(undefined, IMAGE)).toMatchObject({
      sources: ['built-in default', 'ENTREPOT_DATA', 'ENTREPOT_DEFAULT_LISTEN'],
      addBundledRepositories: true,
      config: {
        server: { listen: ON_ALL },
        storage: { path: '/data/blobs', spool: { path: '/data/spool' } },
        metadata: { path: '/data/entrepot.db' },
      },
    });
  });

  it('hold for what the file leaves out, and never beat it', async () => {
    const { config } = await load('server: { listen: "127.0.0.1:1" }\nstorage: { maxBytes: 1GiB }', IMAGE);
    expect(config.server.listen).toEqual({ host: '127.0.0.1', port: 1 });
    expect(config.storage).toMatchObject({ path: '/data/blobs', maxBytes: 1024 ** 3 });
    const other = await load('storage: { path: /srv/packages/blobs }\nmetadata: { path: /srv/e.db }', IMAGE);
    expect(other.sources).toEqual([path.join(cwd, 'entrepot.yaml'), 'ENTREPOT_DEFAULT_LISTEN']);
    expect(other.config).toMatchObject({
      server: { listen: ON_ALL },
      storage: { path: '/srv/packages/blobs' },
      metadata: { path: '/srv/e.db' },
    });
  });

  it('stand below the variables of the keys', async () => {
    const above = { ENTREPOT_STORAGE_PATH: '/srv/blobs', ENTREPOT_SERVER_LISTEN: ':90', ...IMAGE };
    const { config } = await load(undefined, above);
    expect(config).toMatchObject({
      server: { listen: { port: 90 } },
      storage: { path: '/srv/blobs' },
      metadata: { path: '/data/entrepot.db' },
    });
  });

  it('leave other backends alone, but for where bytes are spooled', async () => {
    const yaml =
      'storage: { backend: s3, bucket: packages }\n' +
      'metadata: { backend: postgresql, host: db, user: e, password: "${env:PASSWORD}" }';
    const { config } = await load(yaml, { PASSWORD: 'hidden', ...IMAGE });
    expect(config.storage).toMatchObject({ backend: 's3', spool: { path: '/data/spool' } });
    expect(config.metadata).not.toHaveProperty('path');
    // What has neither a folder of blobs nor a file of a database keeps its secrets beside its spool.
    expect(secretFileOf(config, 'admin.token')).toBe('/data/admin.token');
  });

  it('are relative to the folder of the file', async () => {
    const { config } = await load('storage: {}', { ENTREPOT_DATA: 'state' });
    expect(config.metadata).toMatchObject({ path: path.join(cwd, 'state/entrepot.db') });
  });

  it('say nothing when they are empty, and are named in what is wrong with them', () => {
    const empty = readConfig({ env: { ENTREPOT_DATA: '', ENTREPOT_DEFAULT_LISTEN: '' }, cwd });
    expect(empty).toMatchObject({ problems: [], loaded: { sources: ['built-in default'] } });
    const { problems } = readConfig({ env: { ENTREPOT_DEFAULT_LISTEN: 'everywhere' }, cwd });
    expect(problems).toEqual([
      {
        path: 'server.listen',
        message: expect.stringMatching(/^expected host:port.* \(set by ENTREPOT_DEFAULT_LISTEN\)$/),
      },
    ]);
  });
});

describe('the spool of a folder of blobs', () => {
  const spoolOf = ({ config }: LoadedConfig) => config.storage.spool.path;

  it('is beside the blobs', async () => {
    mkdirSync(path.join(cwd, 'packages/blobs'), { recursive: true });
    const loaded = await load('storage: { path: packages/blobs }');
    expect(spoolOf(loaded)).toBe(path.join(cwd, 'packages/spool'));
    expect(isSpoolBeside(loaded.config.storage)).toBe(true);
  });

  it('is in them at the root of a mount, where nothing beside them is on their file system', async () => {
    // A file system of its own on every Linux.
    const loaded = await load('storage: { path: /dev/shm }');
    expect(spoolOf(loaded)).toBe('/dev/shm/spool');
    expect(isSpoolBeside(loaded.config.storage)).toBe(true);
  });

  it('is in them where it was made before, whoever asks', async () => {
    mkdirSync(path.join(cwd, 'packages/spool'), { recursive: true });
    expect(spoolOf(await load('storage: { path: packages }'))).toBe(path.join(cwd, 'packages/spool'));
  });

  // For root every folder is writable.
  it.skipIf(process.getuid?.() === 0)('is in them where nothing can be made beside them', async () => {
    mkdirSync(path.join(cwd, 'parent/packages'), { recursive: true });
    chmodSync(path.join(cwd, 'parent'), 0o500);
    expect(spoolOf(await load('storage: { path: parent/packages }'))).toBe(path.join(cwd, 'parent/packages/spool'));
    chmodSync(path.join(cwd, 'parent'), 0o700);
  });

  it('is where the configuration says', async () => {
    const loaded = await load('storage: { path: /dev/shm, spool: { path: /var/tmp/spool } }');
    expect(spoolOf(loaded)).toBe('/var/tmp/spool');
    expect(isSpoolBeside(loaded.config.storage)).toBe(false);
  });

  it('has the secrets of a server beside it whose database is elsewhere', async () => {
    const yaml = 'storage: { path: /dev/shm }\nmetadata: { backend: postgresql, host: db, user: e }';
    expect(secretFileOf((await load(yaml)).config, 'admin.token')).toBe('/dev/shm/admin.token');
  });
});
