import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openTestRepository, type TestRepository } from '@entrepot/core/testing';
import { GIT_HOST, GitServer, hasGitTools, VANITY_HOST } from '@entrepot/fixtures/git-server';
import { GithubServer } from '@entrepot/fixtures/github-server';
import plugin from '../src/index.js';

const hasTools = await hasGitTools();
const LOGIN = { username: 'bot', password: 'canary-5Ecr3t' };
const LIB = `${VANITY_HOST}/team/lib`;
const HOSTS = [GIT_HOST, VANITY_HOST];

interface Setting {
  readonly git: GitServer;
  readonly repository: TestRepository;
  readonly warnings: string[];
  get(path: string): ReturnType<TestRepository['ask']>;
}

/** A repository with a direct route to a git server that wants a login. */
async function open(
  route: Record<string, unknown> = { credentials: { ...LOGIN, hosts: HOSTS } },
  more: Record<string, unknown> = {},
): Promise<Setting> {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-git-'));
  const git = await new GitServer(folder).start();
  git.accepts = (login) => login === `${LOGIN.username}:${LOGIN.password}`;
  for (const [name, value] of Object.entries(git.environment)) vi.stubEnv(name, value);
  const temporary = join(folder, 'tmp');
  await mkdir(temporary);
  vi.stubEnv('TMPDIR', temporary);
  const warnings: string[] = [];
  const keep = (fields: object, message: string): void => void warnings.push(JSON.stringify(fields) + message);
  const repository = await openTestRepository({
    plugin,
    options: {
      sumdb: 'off',
      unverified: '',
      private: '',
      routes: [{ match: [`${VANITY_HOST}/*`, GIT_HOST], direct: true, ...route }],
      ...more,
    },
    services: { logger: { debug: keep, info: keep, warn: keep, error: keep } },
  });
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await git.stop();
    await repository.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { git, repository, warnings, get: (path) => repository.ask(path) };
}

/** The running commands with `text` in their arguments, where the machine shows them as files. */
async function commandsWith(text: string): Promise<string[]> {
  const names = await readdir('/proc').catch(() => []);
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(text));
}

async function commitLib(git: GitServer): Promise<string> {
  const files = { 'go.mod': `module ${LIB}\n\ngo 1.16\n`, 'lib.go': 'package lib\n' };
  const sub = { 'sub/go.mod': `module ${LIB}/sub\n\ngo 1.16\n`, 'sub/sub.go': 'package sub\n' };
  return await git.commit('team/lib', { ...files, ...sub }, { tags: ['v1.0.0', 'v1.1.0', 'sub/v1.2.3'] });
}

describe.runIf(hasTools)('direct routes', () => {
  it('serve tags, branches, pseudo-versions and modules in folders, and keep them', async () => {
    const { git, get, repository } = await open();
    await commitLib(git);
    const commit = await git.commit(
      'team/lib',
      { 'go.mod': `module ${LIB}\n`, 'lib.go': 'package lib // dev\n' },
      { branch: 'dev' },
    );
    const list = await get(`/${LIB}/@v/list`);
    expect([list.status, list.body.toString()]).toEqual([200, 'v1.0.0\nv1.1.0\n']);
    expect(list.headers['cache-control']).toBe('private, max-age=60');
    expect((await get(`/${LIB}/sub/@v/list`)).body.toString()).toBe('v1.2.3\n');
    expect(JSON.parse((await get(`/${LIB}/@latest`)).body.toString())).toMatchObject({ Version: 'v1.1.0' });
    const dev = JSON.parse((await get(`/${LIB}/@v/dev.info`)).body.toString()) as { Version: string };
    expect(dev.Version).toMatch(new RegExp(`^v1\\.1\\.1-0\\.\\d{14}-${commit.slice(0, 12)}$`));
    const paths = [
      ...['v1.0.0.info', 'v1.0.0.mod', 'v1.0.0.zip', `${dev.Version}.zip`].map((file) => `/${LIB}/@v/${file}`),
      `/${LIB}/sub/@v/v1.2.3.zip`,
    ];
    const bodies = new Map<string, Buffer>();
    for (const path of paths) {
      const reply = await get(path);
      expect([path, reply.status, reply.headers['cache-control']]).toEqual([
        path,
        200,
        'private, max-age=31536000, immutable',
      ]);
      bodies.set(path, reply.body);
    }
    await git.stop();
    repository.clock.advance(3_600_000);
    for (const [path, body] of bodies) expect((await get(path)).body.equals(body)).toBe(true);
    expect(await get(`/${LIB}/@v/list`)).toMatchObject({ status: 200, body: list.body });
    await git.start();
    expect(repository.upstream.requests).toEqual([]);
  });

  it('run go once for all files of a version that are asked for at once', async () => {
    const { git, get } = await open();
    await commitLib(git);
    const replies = await Promise.all(['info', 'mod', 'zip', 'zip'].map((kind) => get(`/${LIB}/@v/v1.0.0.${kind}`)));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const runs = git.requests.filter(({ path, login }) => path.includes('go-get') && login === undefined);
    expect(runs.length).toBe(1);
  });

  it('run no more of go at a time than they may', async () => {
    const { git, get } = await open(undefined, { processes: 1 });
    await commitLib(git);
    const replies = await Promise.all(['v1.0.0', 'v1.1.0'].map((version) => get(`/${LIB}/@v/${version}.zip`)));
    expect(replies.map(({ status }) => status)).toEqual([200, 200]);
    const begun = git.requests.map(({ path, login }) => path.includes('go-get') && login === undefined);
    const second = begun.lastIndexOf(true);
    expect(begun.filter(Boolean)).toHaveLength(2);
    // The first had all that it needed before the second began.
    expect(git.requests.slice(0, second).some(({ path }) => path.includes('git-upload-pack'))).toBe(true);
    expect(second).toBe(begun.length / 2);
  });

  it('are asked for private names alone, and no upstream and no database is', async () => {
    const { get, repository } = await open();
    expect((await get(`/${LIB}/@v/list`)).status).toBe(404);
    expect(repository.upstream.requests).toEqual([]);
  });

  it('tell what does not exist from what is refused and what fails', async () => {
    const { git, get, repository, warnings } = await open();
    await commitLib(git);
    const rows: [string, number, RegExp][] = [
      [`${LIB}/@v/v9.9.9.info`, 404, /unknown revision v9\.9\.9/],
      [`${LIB}/@v/nobranch.info`, 404, /unknown revision nobranch/],
      [`${LIB}/@v/v0.0.0-20200101000000-abcdefabcdef.mod`, 404, /unknown revision/],
      [`${LIB}/none/@latest`, 404, /no matching versions/],
      [`${VANITY_HOST}/team/none/@v/list`, 404, /not found/],
      [`${VANITY_HOST}/team/@v/list`, 404, /404 Not Found/],
    ];
    for (const [path, status, text] of rows) {
      const reply = await get(`/${path}`);
      expect([path, reply.status]).toEqual([path, status]);
      expect(reply.body.toString()).toMatch(text);
      expect(reply.body.toString()).not.toMatch(/\/tmp|exit status/);
    }
    git.accepts = () => false;
    const refused = await get(`/${LIB}/@v/v1.0.0.zip`);
    expect([refused.status, refused.body.toString()]).toEqual([
      403,
      `${LIB}@v1.0.0: its repository refused the credentials of this server\n`,
    ]);
    git.accepts = () => true;
    git.intercept = (request, response) => {
      if (request.host === GIT_HOST) response.writeHead(503).end('down');
      return request.host === GIT_HOST;
    };
    expect((await get(`/${LIB}/@v/v1.1.0.zip`)).status).toBe(502);
    await git.stop();
    expect((await get(`/${LIB}/@v/main.info`)).status).toBe(502);
    await git.start();
    expect(warnings.join('\n')).not.toContain(LOGIN.password);
    expect(warnings.filter((line) => line.includes('could not be had')).length).toBe(3);
    expect(repository.upstream.requests).toEqual([]);
  });

  it('say which go a module needs', async () => {
    const { git, get } = await open();
    await git.commit('team/new', { 'go.mod': `module ${VANITY_HOST}/team/new\n\ngo 1.999\n` }, { tags: ['v1.0.0'] });
    const reply = await get(`/${VANITY_HOST}/team/new/@v/v1.0.0.zip`);
    expect([reply.status, reply.body.toString()]).toEqual([502, expect.stringContaining('requires go 1.999')]);
  });

  it('tell credentials to their hosts alone', async () => {
    const { git, get } = await open({ credentials: { ...LOGIN, hosts: [VANITY_HOST] } });
    await commitLib(git);
    expect((await get(`/${LIB}/@v/list`)).status).toBe(403);
    expect(git.requests.filter(({ host, login }) => host === GIT_HOST && login !== undefined)).toEqual([]);
  });

  it('take logins from a netrc', async () => {
    const netrc = HOSTS.map((host) => `machine ${host} login bot password ${LOGIN.password}`).join('\n');
    const { git, get } = await open({ credentials: { netrc } });
    await commitLib(git);
    expect((await get(`/${LIB}/@v/list`)).status).toBe(200);
    const other = await open({
      credentials: { netrc: 'machine other.test login bot password x\ndefault login a password b' },
    });
    expect((await other.get(`/${LIB}/@v/list`)).status).toBe(403);
  });

  it('end go and git when the server shuts down, and leave nothing behind', async () => {
    const { git, get, repository } = await open();
    await commitLib(git);
    const asked = new Promise<void>((resolve) => {
      git.intercept = ({ host, path }) => {
        const hangs = host === GIT_HOST && path.includes('git-upload-pack');
        if (hangs) resolve();
        return hangs;
      };
    });
    const reply = get(`/${LIB}/@v/v1.0.0.zip`);
    await asked;
    if (process.platform === 'linux') expect(await commandsWith(`${GIT_HOST}/team/lib`)).not.toEqual([]);
    await repository.engine.dispose(0);
    expect((await reply).status).toBeGreaterThanOrEqual(500);
    expect(await commandsWith(`${GIT_HOST}/team/lib`)).toEqual([]);
    expect(await readdir(process.env['TMPDIR'] as string)).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/^entrepot-go-/)]),
    );
  });
});

describe.runIf(hasTools)('GitHub Apps', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

  it('give a token for each repository', async () => {
    let now = Date.now;
    const github = await new GithubServer({
      appId: '4711',
      privateKey: pem,
      installed: ['team/lib'],
      clock: () => now(),
    }).start();
    onTestFinished(() => github.stop());
    const app = { appId: 4711, privateKey: pem, apiUrl: github.url };
    const { git, get, repository } = await open({ credentials: { githubApp: app, hosts: HOSTS } });
    now = () => repository.clock.now();
    git.accepts = (login, { path }) => github.mayRead(login, path);
    await commitLib(git);
    await git.commit('team/other', { 'go.mod': `module ${VANITY_HOST}/team/other\n` }, { tags: ['v1.0.0'] });
    const replies = await Promise.all(
      [`${LIB}/@v/list`, `${LIB}/@v/v1.0.0.zip`, `${LIB}/@latest`].map((path) => get(`/${path}`)),
    );
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(github.tokens.length).toBe(1);
    github.revoke();
    expect((await get(`/${LIB}/@v/v1.1.0.zip`)).status).toBe(403);
    expect((await get(`/${LIB}/@v/v1.1.0.zip`)).status).toBe(200);
    expect((await get(`/${VANITY_HOST}/team/other/@v/list`)).status).toBe(404);
    expect(github.tokens.length).toBe(2);
  });
});
