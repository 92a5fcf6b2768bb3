import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discoverUpstreams } from '../src/discover.js';

let root: string;
let home: string;
let project: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'entrepot-npm-'));
  home = join(root, 'home');
  project = join(root, 'project');
  await mkdir(home);
  await mkdir(join(project, 'deep'), { recursive: true });
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

/** npm's view from `cwd` with nothing of this machine's own settings. */
function surroundings(
  cwd = root,
  env: Record<string, string | undefined> = {},
): { env: Record<string, string | undefined>; cwd: string } {
  return { cwd, env: { HOME: home, PREFIX: join(root, 'prefix'), PATH: '', ...env } };
}

function npmrc(directory: string, ...lines: string[]): Promise<void> {
  return writeFile(join(directory, '.npmrc'), lines.join('\n'));
}

const plain = { useClientCredentials: false };
const withCredentials = { useClientCredentials: true };

describe('the upstreams of npm on this machine', () => {
  it("are npm's own default where nothing is set", async () => {
    const [found, ...others] = await discoverUpstreams(plain, surroundings());
    expect(others).toStrictEqual([]);
    expect(found).toMatchObject({
      scope: undefined,
      source: "npm's configuration (registry, npm's default)",
      authorization: undefined,
    });
    expect(found?.url).toMatch(/^https:\/\/[a-z.]+$/);
  });

  it('pass over what leads to the server itself, for what stands behind it', async () => {
    const own = 'http://127.0.0.1:8080/npm/';
    const isOwn = (url: string): boolean => url.startsWith('http://127.0.0.1:8080/');
    const asked = { ...plain, isOwn };
    await npmrc(home, `registry=${own}`, '@acme:registry=http://127.0.0.1:8080/acme/');
    const [byDefault, ...others] = await discoverUpstreams(asked, surroundings());
    expect(others).toEqual([]);
    expect(byDefault?.source).toBe("npm's configuration (registry, npm's default)");
    await npmrc(home, 'registry=https://registry.example.com');
    const [behind] = await discoverUpstreams(asked, surroundings(root, { npm_config_registry: own }));
    expect(behind?.url).toBe('https://registry.example.com');
  });

  it('are the default registry and those of scopes, with where they were found', async () => {
    await npmrc(
      home,
      'registry=https://mirror.example.com/npm/',
      '@zoo:registry=https://zoo.example.com',
      '@acme:registry=https://acme.example.com/a/b/',
    );
    const file = join(home, '.npmrc');
    expect(await discoverUpstreams(plain, surroundings())).toStrictEqual([
      {
        url: 'https://mirror.example.com/npm',
        scope: undefined,
        source: `npm's configuration (registry, from ${file})`,
        authorization: undefined,
      },
      {
        url: 'https://acme.example.com/a/b',
        scope: '@acme',
        source: `npm's configuration (@acme:registry, from ${file})`,
        authorization: undefined,
      },
      {
        url: 'https://zoo.example.com',
        scope: '@zoo',
        source: `npm's configuration (@zoo:registry, from ${file})`,
        authorization: undefined,
      },
    ]);
  });

  it('follow the environment before files, and other places of the user file', async () => {
    await npmrc(home, 'registry=https://user.example.com');
    const env = { npm_config_registry: 'https://env.example.com' };
    expect(await discoverUpstreams(plain, surroundings(root, env))).toMatchObject([
      { url: 'https://env.example.com', source: "npm's configuration (registry, from the environment)" },
    ]);
    await writeFile(join(root, 'elsewhere'), 'registry=https://elsewhere.example.com');
    const moved = { NPM_CONFIG_USERCONFIG: join(root, 'elsewhere') };
    expect(await discoverUpstreams(plain, surroundings(root, moved))).toMatchObject([
      { url: 'https://elsewhere.example.com' },
    ]);
  });

  it('are those of the project only where npm would look for one', async () => {
    await npmrc(home, 'registry=https://user.example.com');
    await npmrc(project, 'registry=https://project.example.com');
    await writeFile(join(project, 'package.json'), '{}');
    const from = async (cwd: string): Promise<string | undefined> =>
      (await discoverUpstreams(plain, surroundings(cwd)))[0]?.url;
    expect(await from(project)).toBe('https://project.example.com');
    expect(await from(join(project, 'deep'))).toBe('https://project.example.com');
    expect(await from(root)).toBe('https://user.example.com');
  });

  it('are found in the settings that the packager of npm built in', async () => {
    const npm = join(root, 'npm');
    await mkdir(join(npm, 'bin'), { recursive: true });
    await writeFile(join(npm, 'bin', 'npm'), '');
    await writeFile(join(npm, 'npmrc'), 'registry=https://builtin.example.com');
    expect(await discoverUpstreams(plain, surroundings(root, { PATH: `/nowhere:${join(npm, 'bin')}` }))).toMatchObject([
      { url: 'https://builtin.example.com' },
    ]);
  });

  it('are found without HOME, PATH and a directory to be in', async () => {
    const found = await discoverUpstreams(plain, {
      env: { npm_config_registry: 'https://env.example.com' },
      cwd: join(root, 'gone'),
    });
    expect(found).toMatchObject([{ url: 'https://env.example.com' }]);
  });

  it('survive keys that npm does not know, and leave the environment alone', async () => {
    await npmrc(
      home,
      'unknown-key=1',
      'nodedir=/usr',
      '[section]',
      'x=y',
      '@acme:unknown=1',
      'loglevel=nonsense',
      '__proto__=x',
    );
    const env = { HOME: home };
    const before = { ...process.env };
    expect(await discoverUpstreams(plain, { env, cwd: root })).toHaveLength(1);
    expect(env).toStrictEqual({ HOME: home });
    expect({ ...process.env }).toStrictEqual(before);
  });

  it.each(['registry=ftp://x.example.com', 'registry=not a url', '@acme:registry=file:///etc'])(
    'are a configuration error when npm could not use them: %s',
    async (line) => {
      await npmrc(home, line);
      await expect(discoverUpstreams(plain, surroundings())).rejects.toMatchObject({
        kind: 'configuration',
        message: expect.stringContaining('expected an http: or https: URL') as string,
      });
    },
  );
});

describe('the credentials of npm', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const encoded = Buffer.from('pass:word').toString('base64');

  it.each([
    [['//r.example.com/:_authToken=abc'], 'Bearer abc'],
    [['//r.example.com/npm/:_authToken=abc', '//r.example.com/:_authToken=other'], 'Bearer abc'],
    [['//r.example.com/npm:_authToken=abc'], 'Bearer abc'],
    [['//r.example.com/:_auth=dTpw'], 'Basic dTpw'],
    [['//r.example.com/:username=joe', `//r.example.com/:_password=${encoded}`], basic('joe:pass:word')],
    [['//r.example.com/:username=joe'], undefined],
    [['//other.example.com/:_authToken=abc'], undefined],
    [['//r.example.com/npm/deeper/:_authToken=abc'], undefined],
    [['//r.example.com/:_authToken=${TOKEN}'], 'Bearer from-environment'],
    [['//r.example.com/:_authToken=${UNSET}'], undefined],
    [['_authToken=abc'], undefined],
    [[], undefined],
  ])('%j', async (lines, authorization) => {
    await npmrc(home, 'registry=https://r.example.com/npm/', ...lines);
    const where = surroundings(root, { TOKEN: 'from-environment' });
    expect((await discoverUpstreams(withCredentials, where))[0]?.authorization).toBe(authorization);
    expect((await discoverUpstreams(plain, where))[0]?.authorization).toBeUndefined();
  });

  it('go to their own registry only', async () => {
    await npmrc(
      home,
      'registry=https://r.example.com',
      '@acme:registry=https://acme.example.com',
      '//acme.example.com/:_authToken=secret',
    );
    const found = await discoverUpstreams(withCredentials, surroundings());
    expect(found.map(({ scope, authorization }) => [scope, authorization])).toStrictEqual([
      [undefined, undefined],
      ['@acme', 'Bearer secret'],
    ]);
  });

  it('in a URL are taken out of it', async () => {
    await npmrc(home, 'registry=https://joe:p%40ss@r.example.com/npm/?token=x');
    const [found] = await discoverUpstreams(withCredentials, surroundings());
    expect(found).toMatchObject({ url: 'https://r.example.com/npm', authorization: basic('joe:p@ss') });
    expect(JSON.stringify(await discoverUpstreams(plain, surroundings()))).not.toMatch(/p%40ss|token/);
  });
});
