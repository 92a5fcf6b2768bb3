import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { discoverUpstreams } from '../src/discover.js';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'entrepot-cargo-'));
  await program("echo 'error: failed to download from `https://built-in.example.com/config.json`' >&2; exit 101");
});

afterEach(() => rm(root, { recursive: true }));

async function write(path: string, ...lines: string[]): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), lines.join('\n'));
}

/** The cargo of the machine, as a shell script. */
async function program(script: string): Promise<void> {
  await write('bin/cargo', '#!/bin/sh', script);
  await chmod(join(root, 'bin/cargo'), 0o755);
}

async function find(env: Record<string, string> = {}, context: Partial<Parameters<typeof discoverUpstreams>[0]> = {}) {
  const surroundings = {
    env: { PATH: `${join(root, 'bin')}:/bin:/usr/bin`, HOME: join(root, 'home'), ...env },
    cwd: join(root, 'project/sub'),
  };
  return await discoverUpstreams({ useClientCredentials: false, ...context }, surroundings);
}

const urls = async (...given: Parameters<typeof find>): Promise<string[]> =>
  (await find(...given)).map(({ url }) => url);
const REPLACED = ['[source.crates-io]', 'replace-with = "mirror"'];

it('finds the index that is built into cargo, by asking it through a proxy that refuses', async () => {
  await program(
    '[ "$CARGO_HTTP_PROXY" = http://127.0.0.1:9 ] && [ -z "$SECRET" ] && echo "from \\`https://built-in.example.com/config.json\\`" >&2; exit 101',
  );
  expect(await urls({ SECRET: 'x' })).toEqual(['https://built-in.example.com']);
});

it.each([':443 over proxy 127.0.0.1', ' port 443 via 127.0.0.1'])(
  'finds it where cargo names its host alone (%s)',
  async (end) => {
    const said = `[7] Could not connect to server (Failed to connect to built-in.example.com${end} after 0 ms)`;
    await program(`echo '  ${said}' >&2; exit 101`);
    expect(await urls()).toEqual(['https://built-in.example.com']);
  },
);

it('finds nothing where there is no cargo, or one that says nothing', async () => {
  await program('exit 1');
  expect(await urls()).toEqual([]);
  await rm(join(root, 'bin/cargo'));
  expect(await urls({ PATH: join(root, 'bin') })).toEqual([]);
});

it('follows the replacement of the public registry', async () => {
  await write(
    'home/.cargo/config.toml',
    ...REPLACED,
    '[source.mirror]',
    'registry = "sparse+https://mirror.example.com/index/"',
  );
  expect(await find()).toEqual([
    {
      url: 'https://mirror.example.com/index',
      source: `cargo's configuration (mirror, from ${join(root, 'home/.cargo/config.toml')})`,
      authorization: undefined,
    },
  ]);
});

it('follows one to a registry of the configuration, or of the environment', async () => {
  await write(
    'home/.cargo/config',
    ...REPLACED,
    '[registries.mirror]',
    'index = "sparse+https://file.example.com/"',
    'token = "t1"',
  );
  expect(await urls()).toEqual(['https://file.example.com']);
  expect(await urls({ CARGO_REGISTRIES_MIRROR_INDEX: 'sparse+https://env.example.com/' })).toEqual([
    'https://env.example.com',
  ]);
});

it('takes the settings of the nearest folder, and those of CARGO_HOME', async () => {
  await write('cargo/config.toml', ...REPLACED, '[source.mirror]', 'registry = "sparse+https://home.example.com/"');
  await write('project/.cargo/config.toml', '[source.mirror]', 'registry = "sparse+https://project.example.com/"');
  expect(await urls({ CARGO_HOME: join(root, 'cargo') })).toEqual(['https://project.example.com']);
});

it('finds nothing for what is no sparse index: the public one is not what cargo would ask', async () => {
  await write('home/.cargo/config.toml', ...REPLACED, '[source.mirror]', 'directory = "vendor"');
  expect(await urls()).toEqual([]);
  await write('home/.cargo/config.toml', ...REPLACED, '[source.mirror]', 'registry = "https://git.example.com/index"');
  expect(await urls()).toEqual([]);
  await write('home/.cargo/config.toml', '[source.crates-io]', 'replace-with = "crates-io"');
  expect(await urls()).toEqual([]);
});

it('passes over what leads here', async () => {
  await write(
    'home/.cargo/config.toml',
    ...REPLACED,
    '[source.mirror]',
    'registry = "sparse+http://127.0.0.1:8080/cargo/"',
  );
  expect(await urls({}, { isOwn: (url) => url.startsWith('http://127.0.0.1:8080/') })).toEqual([
    'https://built-in.example.com',
  ]);
});

it('takes tokens over only when it is asked to', async () => {
  await write('home/.cargo/config.toml', ...REPLACED, '[registries.mirror]', 'index = "sparse+https://a.example.com/"');
  await write('home/.cargo/credentials.toml', '[registries.mirror]', 'token = "secret"');
  expect((await find())[0]?.authorization).toBeUndefined();
  expect((await find({}, { useClientCredentials: true }))[0]?.authorization).toBe('secret');
  const env = { CARGO_REGISTRIES_MIRROR_TOKEN: 'other' };
  expect((await find(env, { useClientCredentials: true }))[0]?.authorization).toBe('other');
});

it('says which file is no TOML', async () => {
  await write('home/.cargo/config.toml', '[source');
  await expect(find()).rejects.toThrow(/config\.toml: expected TOML/);
});

it('finds nothing where no temporary folder can be made', async () => {
  vi.stubEnv('TMPDIR', '/nonexistent/folder');
  onTestFinished(() => void vi.unstubAllEnvs());
  const surroundings = { env: { PATH: process.env['PATH'] }, cwd: '/' };
  expect(await discoverUpstreams({ useClientCredentials: false }, surroundings)).toEqual([]);
});
