import { strict as assert } from 'node:assert';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { GIT_HOST, GitServer, hasGitTools, VANITY_HOST } from '@entrepot/fixtures/git-server';
import { GithubServer } from '@entrepot/fixtures/github-server';
import { GoDatabase, goModule, proxyAnswer } from '@entrepot/fixtures/go-database';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { forget, runGo } from '../clients/go.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { Canary } from './canary.mjs';

/** @import { GoClient } from '../clients/go.mjs' */
/** @import { Tally } from '../tally.mjs' */

const PUBLIC = 'example.test/public';
const LIB = `${VANITY_HOST}/team/lib`;
const BOX = `${VANITY_HOST}/net/box`;
const KIT = `${VANITY_HOST}/acme/kit`;
const PASSWORDS = { team: 'canary-basic-5f1d7c', net: 'canary-netrc-93ab02' };

/**
 * Real `go` builds with private modules, from git over HTTPS: behind a user and a password, a netrc, and a GitHub App. Then
 * with all of it gone. No credential is seen in a log, a list of processes, or a file.
 * @param {Tally} tally @param {readonly GoClient[]} clients
 */
export async function goPrivate(tally, clients) {
  if (process.platform !== 'linux' || !(await hasGitTools())) {
    note('no Linux with git, openssl and go 1.24 or newer: private modules are left out');
    return;
  }
  await withScratch('go-private', async (folder) => {
    const [place, gitFolder] = [join(folder, 'server'), join(folder, 'git')];
    for (const path of [place, gitFolder, join(place, 'home'), join(place, 'tmp')]) await mkdir(path);
    const database = new GoDatabase();
    const modules = [goModule({ path: PUBLIC, version: 'v1.0.0', files: { 'm.go': 'package public\n' }, database })];
    const upstream = await new Origin((request, response) => {
      const answer = proxyAnswer(modules, database, (request.url ?? '').slice(1));
      if (answer === undefined) return void response.writeHead(404).end('not found');
      response.writeHead(200, { 'content-type': answer.mediaType }).end(answer.body);
    }).start();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const github = await new GithubServer({ appId: '4711', privateKey: pem, installed: ['acme/kit'] }).start();
    const git = await new GitServer(gitFolder).start();
    git.accepts = (login, { path }) => {
      if (path.startsWith('/acme/')) return github.mayRead(login, path);
      return login === (path.startsWith('/net/') ? `net:${PASSWORDS.net}` : `team:${PASSWORDS.team}`);
    };
    const dev = await fill(git);
    const hosts = [GIT_HOST, VANITY_HOST];
    const server = new EntrepotServer({
      folder: place,
      port: await freePort(),
      repositories: {
        go: {
          type: 'go',
          upstream: upstream.url,
          sumdb: database.verifierKey,
          unverified: '',
          // Also what is above the routes: `go` looks for modules at every prefix of a path.
          private: VANITY_HOST,
          routes: [
            {
              match: `${VANITY_HOST}/team/*`,
              direct: true,
              credentials: { username: 'team', password: '${env:TEAM_PASSWORD}', hosts },
            },
            { match: `${VANITY_HOST}/net`, direct: true, credentials: { netrc: '${env:NETRC_TEXT}' } },
            {
              match: `${VANITY_HOST}/acme/*`,
              direct: true,
              credentials: { githubApp: { appId: 4711, privateKey: '${env:APP_KEY}', apiUrl: github.url }, hosts },
            },
          ],
        },
      },
      env: {
        ...git.environment,
        HOME: join(place, 'home'),
        TMPDIR: join(place, 'tmp'),
        TEAM_PASSWORD: PASSWORDS.team,
        NETRC_TEXT: hosts.map((host) => `machine ${host} login net password ${PASSWORDS.net}`).join('\n'),
        APP_KEY: pem,
      },
    });
    const secrets = () => ({
      password: PASSWORDS.team,
      'netrc password': PASSWORDS.net,
      'private key': pem.split('\n')[5] ?? '',
      ...Object.fromEntries(github.tokens.map((token, at) => [`token ${at}`, token])),
    });
    const canary = new Canary(place, secrets, join('deploy', 'npm', 'bin', 'entrepot.js'));
    const setting = { folder, database, url: `${server.url}/go` };
    try {
      await tally.check('go private: the server starts', () => server.start());
      canary.start();
      /** @type {Map<string, string>} */
      const sums = new Map();
      for (const client of clients) {
        await tally.check(
          `${client.name} private: builds with tags, folders and branches of private repositories`,
          async () => {
            sums.set(client.name, await build({ ...setting, client, dev }));
          },
        );
        await tally.check(`${client.name} private: prints what is wrong`, async () => {
          const missing = await run({ ...setting, client }, [
            'mod',
            'download',
            `${LIB}@v9.9.${clients.indexOf(client)}`,
          ]);
          assert.match(missing.stderr, /404 Not Found[^]*unknown revision v9\.9\./);
          const accepts = git.accepts;
          git.accepts = () => false;
          const refused = await run({ ...setting, client }, [
            'mod',
            'download',
            `${BOX}@v0.${clients.indexOf(client)}.0`,
          ]);
          git.accepts = accepts;
          assert.match(refused.stderr, /403 Forbidden[^]*refused the credentials/);
        });
      }
      await tally.check('go private: GitHub gave one token for all', () => assert.equal(github.tokens.length, 1));
      await tally.check('go private: no private name was sent to the upstream or the database', async () => {
        const answer = await get(`${server.url}/go/sumdb/sumdb.test/lookup/${LIB}@v1.1.0`);
        assert.equal(answer.status, 403);
        assert.deepEqual(
          [...upstream.requests.keys()].filter((name) => name.includes(VANITY_HOST)),
          [],
        );
      });
      await tally.check('go private: nothing of it is for shared caches', async () => {
        for (const rest of ['list', 'v1.1.0.info', 'v1.1.0.mod', 'v1.1.0.zip']) {
          const { headers } = await get(`${server.url}/go/${LIB}/@v/${rest}`);
          assert.match(headers['cache-control'] ?? '', /^private,/);
        }
      });
      const log = server.log;
      await server.stop();
      await Promise.all([git.stop(), github.stop(), upstream.stop()]);
      await tally.check('go private: the server starts again', () => server.start());
      for (const client of clients) {
        await tally.check(`${client.name} private: builds the same with all repositories gone`, async () => {
          assert.equal(await build({ ...setting, client, dev }), sums.get(client.name));
        });
      }
      await canary.stop();
      await tally.check('go private: no credential was seen in a log, a list of processes, or a file', () => {
        canary.check('the log', Buffer.from(log + server.log));
        assert.deepEqual([...canary.sightings], []);
        // It did look while they were in use.
        for (const program of ['go', 'git']) assert.ok(canary.programs.has(program), `${program} was never seen`);
      });
    } finally {
      await canary.stop();
      await server.kill();
      await Promise.all([git.stop(), github.stop(), upstream.stop()]);
    }
  });
}

/** The repositories. @param {GitServer} git @returns {Promise<string>} the commit of the branch `dev` of the library */
async function fill(git) {
  const lib = (/** @type {number} */ value) => ({
    'go.mod': `module ${LIB}\n\ngo 1.16\n`,
    'lib.go': `package lib\n\nconst Value = ${value}\n`,
    'sub/go.mod': `module ${LIB}/sub\n\ngo 1.16\n`,
    'sub/sub.go': 'package sub\n',
  });
  await git.commit('team/lib', lib(1), { tags: ['v1.0.0', 'sub/v1.2.3'] });
  await git.commit('team/lib', lib(2), { tags: ['v1.1.0'] });
  await git.commit(
    'net/box',
    { 'go.mod': `module ${BOX}\n\ngo 1.16\n`, 'box.go': 'package box\n' },
    { tags: ['v1.0.0'] },
  );
  await git.commit(
    'acme/kit',
    {
      'go.mod': `module ${KIT}\n\ngo 1.16\n\nrequire ${LIB} v1.0.0\n`,
      'kit.go': `package kit\n\nimport "${LIB}"\n\nconst Value = lib.Value\n`,
    },
    { tags: ['v0.1.0'] },
  );
  return await git.commit('team/lib', lib(3), { branch: 'dev' });
}

/**
 * @typedef {object} Setting
 * @property {GoClient} client
 * @property {string} folder
 * @property {GoDatabase} database
 * @property {string} url
 */

/** Builds an application and gives its `go.sum`. @param {Setting & { dev: string }} setting */
async function build(setting) {
  const { client, folder, dev } = setting;
  const project = join(folder, `${client.name}-project`);
  await rm(project, { recursive: true, force: true });
  await mkdir(project);
  await forget(join(folder, `${client.name}-home`));
  const wanted = { [PUBLIC]: 'v1.0.0', [LIB]: 'v1.1.0', [`${LIB}/sub`]: 'v1.2.3', [BOX]: 'v1.0.0', [KIT]: 'v0.1.0' };
  const requires = Object.entries(wanted).map(([path, version]) => `require ${path} ${version}\n`);
  const imports = Object.keys(wanted).map((path) => `import _ "${path}"\n`);
  await writeFile(join(project, 'go.mod'), `module app.test/app\n\ngo 1.16\n\n${requires.join('')}`);
  await writeFile(join(project, 'main.go'), `package main\n\n${imports.join('')}\nfunc main() {}\n`);
  for (const args of [
    ['mod', 'download', 'all'],
    ['build', '-o', 'app', '.'],
    ['get', `${LIB}@dev`],
    ['build', '-o', 'app', '.'],
  ]) {
    const result = await run(setting, args, project);
    assert.equal(result.code, 0, `go ${args.join(' ')}: ${outputOf(result)}`);
  }
  assert.match(
    await readFile(join(project, 'go.mod'), 'utf8'),
    new RegExp(`lib v1\\.1\\.1-0\\.\\d+-${dev.slice(0, 12)}`),
  );
  const versions = await run(setting, ['list', '-m', '-versions', LIB], project);
  assert.equal(versions.stdout.trim(), `${LIB} v1.0.0 v1.1.0`, outputOf(versions));
  return await readFile(join(project, 'go.sum'), 'utf8');
}

/** @param {Setting} setting @param {readonly string[]} args @param {string} [project] */
function run({ client, folder, database, url }, args, project = folder) {
  const settings = { GOSUMDB: database.verifierKey, GONOSUMDB: VANITY_HOST };
  return runGo(client, args, { project, home: join(folder, `${client.name}-home`), proxy: url, settings });
}
