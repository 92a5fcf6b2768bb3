import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discoverUpstreams } from '../src/discover.js';
import type { Surroundings } from '../src/client-settings.js';
import { parsePipSettings } from '../src/pip-settings.js';

let root: string;
let home: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'entrepot-pypi-'));
  home = join(root, 'home');
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

/** A machine with nothing on it. Its `PATH` is its own, since answers are remembered by it. */
function machine(env: Record<string, string> = {}): Surroundings {
  return { env: { PATH: join(root, 'bin'), ...env }, home, platform: 'linux', root };
}

async function write(path: string, ...lines: string[]): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

/** A program of this machine, as a shell script. */
async function program(name: string, script: string): Promise<void> {
  await chmod(await write(join(root, 'bin', name), '#!/bin/sh', script), 0o755);
}

const python = (url: string, prefix: string): Promise<void> =>
  program('python3', `echo x >> '${join(root, 'started')}'; echo '["${url}", "${prefix}"]'`);

async function urls(env?: Record<string, string>): Promise<string[]> {
  return (await discoverUpstreams({ useClientCredentials: false }, machine(env))).map(({ url }) => url);
}

const MIRROR = 'https://mirror.example.com/pypi/simple';

describe('the upstreams of pip', () => {
  it('are none where there is neither pip nor a setting', async () => {
    expect(await urls()).toEqual([]);
  });

  it('pass over what leads to the server itself, for what stands behind it', async () => {
    const isOwn = (url: string): boolean => url.startsWith('http://127.0.0.1:8080/');
    const found = async (env: Record<string, string> = {}): Promise<string[]> =>
      (await discoverUpstreams({ useClientCredentials: false, isOwn }, machine(env))).map(({ url }) => url);
    const own = 'http://127.0.0.1:8080/pypi/simple/';
    await python('https://built-in.example.com/simple', join(root, 'python'));
    await write(
      join(home, '.config/pip/pip.conf'),
      '[global]',
      `index-url = ${own}`,
      `extra-index-url = ${own} ${MIRROR}`,
    );
    await write(join(home, '.config/uv/uv.toml'), '[[index]]', `url = "${own}"`, 'default = true');
    expect(await found({ PIP_INDEX_URL: own })).toEqual([
      MIRROR.replace('/simple', ''),
      'https://built-in.example.com',
    ]);
    await write(join(root, 'etc/pip.conf'), '[global]', `index-url = https://machine.example.com/simple`);
    expect((await found()).at(-1)).toBe('https://machine.example.com');
  });

  it('are what is built into it where nothing is set', async () => {
    await python('https://built-in.example.com/simple', join(root, 'prefix'));
    expect(await discoverUpstreams({ useClientCredentials: false }, machine())).toEqual([
      { url: 'https://built-in.example.com', source: "pip's built-in index" },
    ]);
  });

  it('are told by its help when no interpreter knows', async () => {
    await program('python3', 'exit 1');
    await program('pip', 'echo "  -i, --index-url <url>  Base URL (default https://help.example.com/simple)."');
    expect(await urls()).toEqual(['https://help.example.com']);
  });

  it.each(['exit 3', 'echo nonsense', 'echo "[1,2]"', 'kill -9 $$'])('are none when it fails: %s', async (script) => {
    await program('python3', script);
    expect(await urls()).toEqual([]);
  });

  it('are those of the environment, without starting anything', async () => {
    await python('https://built-in.example.com/simple', join(root, 'prefix'));
    const found = await discoverUpstreams({ useClientCredentials: false }, machine({ PIP_INDEX_URL: `${MIRROR}/` }));
    expect(found).toEqual([
      { url: 'https://mirror.example.com/pypi', source: "pip's configuration (index-url, from the environment)" },
    ]);
    await expect(rm(join(root, 'started'))).rejects.toThrow(/ENOENT/);
  });

  it('are those of the strongest file', async () => {
    const lines = (host: string): string[] => ['[global]', `index-url = https://${host}.example.com/simple`];
    await python('https://built-in.example.com/simple', join(root, 'prefix'));
    await write(join(root, 'etc/xdg/pip/pip.conf'), ...lines('xdg'));
    expect(await urls()).toEqual(['https://xdg.example.com']);
    await write(join(root, 'etc/pip.conf'), ...lines('machine'));
    expect(await urls()).toEqual(['https://machine.example.com']);
    await write(join(home, '.pip/pip.conf'), ...lines('legacy'));
    expect(await urls()).toEqual(['https://legacy.example.com']);
    await write(join(home, '.config/pip/pip.conf'), ...lines('user'));
    expect(await urls()).toEqual(['https://user.example.com']);
    await write(join(root, 'prefix/pip.conf'), ...lines('site'));
    expect(await urls()).toEqual(['https://site.example.com']);
    const named = await write(join(root, 'named.conf'), ...lines('named'));
    expect(await urls({ PIP_CONFIG_FILE: named })).toEqual(['https://named.example.com']);
    expect(await urls({ PIP_CONFIG_FILE: '/dev/null' })).toEqual(['https://built-in.example.com']);
    expect(await urls({ PIP_INDEX_URL: MIRROR })).toEqual(['https://mirror.example.com/pypi']);
  });

  it('are the extra ones first, each once', async () => {
    const extra = 'https://a.example.com/simple https://b.example.com/x/simple/ https://a.example.com/simple';
    expect(await urls({ PIP_INDEX_URL: MIRROR, PIP_EXTRA_INDEX_URL: extra })).toEqual([
      'https://a.example.com',
      'https://b.example.com/x',
      'https://mirror.example.com/pypi',
    ]);
  });

  it('leave out what is laid out in another way, and are none when the main one is', async () => {
    const extra = 'https://flat.example.com/whl/cpu file:///srv/simple nonsense https://d.example.com/+simple/';
    expect(await urls({ PIP_INDEX_URL: MIRROR, PIP_EXTRA_INDEX_URL: extra })).toEqual([
      'https://mirror.example.com/pypi',
    ]);
    expect(await urls({ PIP_INDEX_URL: 'https://d.example.com/root/+simple/' })).toEqual([
      'https://d.example.com/root/+simple',
    ]);
    expect(await urls({ PIP_INDEX_URL: 'https://flat.example.com/whl/cpu' })).toEqual([]);
    expect(await urls({ PIP_INDEX_URL: MIRROR, PIP_NO_INDEX: '1' })).toEqual([]);
  });

  it('have credentials only where they were asked for', async () => {
    const given = machine({ PIP_INDEX_URL: 'https://user:p%40ss@mirror.example.com/simple' });
    const [without] = await discoverUpstreams({ useClientCredentials: false }, given);
    expect(JSON.stringify(without)).not.toMatch(/user|p@ss|p%40ss/);
    const [found] = await discoverUpstreams({ useClientCredentials: true }, given);
    expect(found).toMatchObject({
      url: 'https://mirror.example.com',
      authorization: `Basic ${Buffer.from('user:p@ss').toString('base64')}`,
    });
  });
});

describe('the upstreams of uv', () => {
  it.each([
    [{ UV_DEFAULT_INDEX: MIRROR, UV_INDEX_URL: 'https://old.example.com/simple' }, ['https://mirror.example.com/pypi']],
    [{ UV_DEFAULT_INDEX: `main=${MIRROR}` }, ['https://mirror.example.com/pypi']],
    [{ UV_INDEX_URL: MIRROR }, ['https://mirror.example.com/pypi']],
    [
      { UV_DEFAULT_INDEX: MIRROR, UV_INDEX: 'a=https://a.example.com/simple https://b.example.com/simple' },
      ['https://a.example.com', 'https://b.example.com', 'https://mirror.example.com/pypi'],
    ],
    [
      { UV_DEFAULT_INDEX: MIRROR, UV_EXTRA_INDEX_URL: 'https://a.example.com/simple' },
      ['https://a.example.com', 'https://mirror.example.com/pypi'],
    ],
    [{ UV_DEFAULT_INDEX: MIRROR, PIP_INDEX_URL: 'https://pip.example.com/simple' }, ['https://pip.example.com']],
  ])('are %j', async (env, found) => {
    expect(await urls(env)).toEqual(found);
  });

  it('are those of its settings files', async () => {
    await write(
      join(home, '.config/uv/uv.toml'),
      '[[index]]',
      'url = "https://a.example.com/simple"',
      '[[index]]',
      'url = "https://pinned.example.com/simple"',
      'explicit = true',
      '[[index]]',
      'name = "main"',
      'url = "https://main.example.com/simple"',
      'default = true',
    );
    await write(join(root, 'etc/uv/uv.toml'), 'index-url = "https://machine.example.com/simple"');
    expect(await urls()).toEqual(['https://a.example.com', 'https://main.example.com']);
    expect(await urls({ UV_NO_CONFIG: '1' })).toEqual([]);
    const [, found] = await discoverUpstreams({ useClientCredentials: false }, machine());
    expect(found?.source).toBe(`uv's configuration (${join(home, '.config/uv/uv.toml')})`);
  });

  it('are none in a file that is no TOML', async () => {
    await write(join(home, '.config/uv/uv.toml'), '[[index', 'url = ');
    expect(await urls()).toEqual([]);
  });
});

describe("pip's settings file", () => {
  it.each([
    [['[global]', 'index-url: https://x/simple'], { 'index-url': 'https://x/simple' }],
    [['[global]', 'index_url=https://x/simple'], { 'index-url': 'https://x/simple' }],
    [['[global]', 'index-url = a', '[install]', 'index-url = b'], { 'index-url': 'b' }],
    [['[install]', 'index-url = b', '[global]', 'index-url = a'], { 'index-url': 'b' }],
    [['[download]', 'index-url = a'], {}],
    [['# c', '; c', '[global]', '# index-url = a', 'timeout = 1'], { timeout: '1' }],
    [
      ['[global]', 'extra-index-url =', '    https://a/simple', '', '    https://b/simple', 'timeout = 1'],
      { 'extra-index-url': 'https://a/simple https://b/simple', timeout: '1' },
    ],
    [['index-url = a'], {}],
    [['[global]', 'nonsense'], {}],
  ])('%j', (lines, expected) => {
    expect(Object.fromEntries(parsePipSettings(lines.join('\n')))).toEqual(expected);
  });
});
