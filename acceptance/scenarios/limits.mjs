import { strict as assert } from 'node:assert';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { GoDatabase, goModule, proxyAnswer } from '@entrepot/fixtures/go-database';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { fixtureVersion } from '@entrepot/fixtures/npm-application';
import { fixtureImages } from '@entrepot/fixtures/oci-images';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { goClients, runGo } from '../clients/go.mjs';
import { chooseClient, runClient } from '../clients/npm.mjs';
import { run as runOci } from '../clients/oci-command.mjs';
import { hasPython, pythonOfMachine } from '../clients/python.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { FixtureRegistry } from '../servers/npm-registry.mjs';
import { PythonIndex } from '../servers/python-index.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/** More than the burst of the repository. */
const PACKAGES = 25;
const MODULES = 6;
/** Passwords of users, of whom one is not limited. */
const PASSWORDS = { PUSHER: 'pushes-images', PULLER: 'pulls-images' };

/**
 * Shows real clients that are told to wait: they ask for more than their share, are refused with 429 and `Retry-After`, and
 * end well, or say what is wrong.
 * @param {Tally} tally
 */
export async function limits(tally) {
  await withScratch('limits', async (folder) => {
    const packages = npmPackages();
    const npm = await new FixtureRegistry({ packages }).start();
    const python = await new PythonIndex().start();
    const go = goUpstream();
    await go.upstream.start();
    const slow = (/** @type {number} */ requests, /** @type {number} */ burst) => ({ address: { requests, burst } });
    const repositories = {
      npm: { type: 'npm', upstream: npm.url, rateLimit: slow(5, 5) },
      pypi: python.repository({ rateLimit: slow(2, 4) }),
      go: {
        type: 'go',
        upstream: go.upstream.url,
        sumdb: go.database.verifierKey,
        unverified: '',
        private: '',
        rateLimit: slow(2, 6),
      },
      images: {
        type: 'oci',
        kind: 'hosted',
        access: {
          users: {
            pusher: { password: '${env:PUSHER}', may: 'write' },
            puller: { password: '${env:PULLER}' },
          },
        },
        rateLimit: { principal: { requests: 3, burst: 6 }, exempt: { principals: ['pusher'] } },
      },
      files: { type: 'files', upstream: npm.url, rateLimit: slow(1, 1) },
    };
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories,
      env: PASSWORDS,
    });
    const setting = { folder, server, url: server.url };
    try {
      if (!(await tally.check('limits: the server starts', () => server.start()))) return;
      await tally.check('limits: npm waits by itself, and installs', () => installByNpm(setting, [...packages.keys()]));
      if (await hasPython())
        await tally.check('limits: pip waits as Retry-After says, and downloads', () => downloadByPip(setting));
      else note('no python3 with pip on this machine: limits are not tried with it');
      for (const client of await goClients())
        await tally.check(`limits: ${client.name} says what is wrong, and downloads the next time`, () =>
          downloadByGo(setting, client, go),
        );
      if ((await provideTool('skopeo')) !== undefined)
        await tally.check('limits: skopeo waits as Retry-After says, and copies', () => copyBySkopeo(setting));
      else note('no skopeo on this machine: limits are not tried with it');
      await tally.check('limits: curl with --retry waits as Retry-After says', () => fetchByCurl(setting));
      await tally.check('limits: Retry-After is the time after which one request is let through', () =>
        waitExactly(setting),
      );
      await tally.check('limits: the server stops with 0', () => server.stop());
    } finally {
      await server.kill();
      await Promise.all([npm.stop(), python.stop(), go.upstream.stop()]);
    }
  });
}

/** @typedef {{ folder: string, server: EntrepotServer, url: string }} Setting */

/** Runs `work`, and makes sure that it was refused something. @param {EntrepotServer} server @param {string} repository @param {() => Promise<void>} work */
async function refusedMeanwhile(server, repository, work) {
  const before = await refusals(server, repository);
  const begun = performance.now();
  await work();
  const count = (await refusals(server, repository)) - before;
  assert.ok(count > 0, 'at least one refusal was expected: the client did not ask for more than its share');
  note(`${repository}: ${count} requests refused, ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

/** The number of answers 429. @param {EntrepotServer} server @param {string} repository */
async function refusals(server, repository) {
  const text = (await get(`${server.url}/metrics`)).body.toString();
  const series = new RegExp(
    `^entrepot_requests_total\\{repository="${repository}",[^}]*status="429"[^}]*\\} (\\d+)$`,
    'gm',
  );
  return [...text.matchAll(series)].reduce((sum, [, count]) => sum + Number(count), 0);
}

function npmPackages() {
  const names = Array.from({ length: PACKAGES }, (_, index) => `limited-${index}`);
  return new Map(
    names.map((name) => [
      name,
      { name, versions: new Map([['1.0.0', fixtureVersion(name, '1.0.0')]]), tags: { latest: '1.0.0' } },
    ]),
  );
}

/** @param {Setting} setting @param {readonly string[]} names */
async function installByNpm({ folder, server, url }, names) {
  const place = { home: join(folder, 'npm-home'), project: join(folder, 'npm-project'), registry: `${url}/npm` };
  await mkdir(place.project, { recursive: true });
  const dependencies = Object.fromEntries(names.map((name) => [name, '1.0.0']));
  await writeFile(join(place.project, 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0', dependencies }));
  // Its own times are 10 and 60 seconds.
  const patience = 'fetch-retries=10\nfetch-retry-mintimeout=2000\nfetch-retry-factor=1\n';
  await writeFile(join(place.project, '.npmrc'), patience);
  await refusedMeanwhile(server, 'npm', async () => {
    const client = chooseClient('npm');
    const result = await runClient(client, client.install, place, { timeout: 240_000 });
    assert.equal(result.code, 0, outputOf(result));
  });
  const installed = (await readdir(join(place.project, 'node_modules'))).filter((name) => !name.startsWith('.'));
  assert.deepEqual(installed.sort(), names.toSorted());
}

/** @param {Setting} setting */
async function downloadByPip({ folder, server, url }) {
  const out = join(folder, 'wheels');
  const names = Array.from({ length: 6 }, (_, index) => `fixture-leaf-${index}`);
  const flags = ['--no-input', '--no-deps', '--no-cache-dir', '--index-url', `${url}/pypi/simple/`, '--dest', out];
  const command = [await pythonOfMachine(), '-m', 'pip', 'download', ...flags, ...names];
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    PIP_CONFIG_FILE: '/dev/null',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
  };
  await refusedMeanwhile(server, 'pypi', async () => {
    const result = await runCommand(command, { cwd: folder, env, timeout: 120_000 });
    assert.equal(result.code, 0, outputOf(result));
  });
  assert.equal((await readdir(out)).length, names.length);
}

function goUpstream() {
  const database = new GoDatabase();
  const versions = Array.from({ length: MODULES }, (_, at) => ({ path: `limited.test/m${at}`, version: `v1.0.${at}` }));
  const modules = versions.map(({ path, version }, at) => {
    const requires = versions.slice(at + 1).map((other) => `${other.path} ${other.version}`);
    return goModule({ path, version, files: { 'm.go': `package m${at}\n` }, requires, database });
  });
  const upstream = new Origin((request, response) => {
    const answer = proxyAnswer(modules, database, (request.url ?? '').slice(1));
    if (answer === undefined) return void response.writeHead(404).end('not found');
    response.writeHead(200, { 'content-type': answer.mediaType }).end(answer.body);
  });
  return { database, upstream, versions };
}

/** @param {Setting} setting @param {import('../clients/go.mjs').GoClient} client @param {ReturnType<typeof goUpstream>} go */
async function downloadByGo({ folder, server, url }, client, { database, versions }) {
  const project = join(folder, `${client.name}-project`);
  const home = join(folder, `${client.name}-home`);
  await mkdir(project, { recursive: true });
  await mkdir(home, { recursive: true });
  const lines = versions.map(({ path, version }) => `require ${path} ${version}\n`).join('');
  await writeFile(join(project, 'go.mod'), `module app.test/app\n\ngo 1.16\n\n${lines}`);
  const place = { project, home, proxy: `${url}/go`, settings: { GOSUMDB: database.verifierKey } };
  const failures = /** @type {string[]} */ ([]);
  await refusedMeanwhile(server, 'go', async () => {
    // Each run comes further, since downloaded modules are not asked for again.
    for (let tries = 0; tries < 20; tries += 1) {
      const result = await runGo(client, ['mod', 'download', 'all'], place);
      if (result.code === 0) return;
      failures.push(outputOf(result));
      await delay(3_000);
    }
    throw new Error(`go was expected to come to its end, found\n${failures.at(-1)}`);
  });
  for (const text of failures) {
    assert.match(text, /429 Too Many Requests/);
    assert.match(
      text,
      /Too many requests of 127\.0\.0\.1: repository go lets one caller have 2 a second; try again in \d+ seconds?/,
    );
  }
}

/** @param {Setting} setting */
async function copyBySkopeo({ folder, server }) {
  const home = join(folder, 'skopeo');
  await mkdir(home);
  const images = fixtureImages({ chart: chartArchive({ name: 'demo', version: '1.0.0' }) });
  const place = { host: `127.0.0.1:${server.port}`, prefix: 'images/' };
  const pushing = { ...place, credentials: { username: 'pusher', password: PASSWORDS.PUSHER } };
  const pulling = { ...place, credentials: { username: 'puller', password: PASSWORDS.PULLER } };
  await images.app.writeLayout(join(home, 'layout'));
  const image = `docker://${place.host}/images/team/app:1.0`;
  const layout = `oci:${join(home, 'layout')}:1.0`;
  await runOci({ home, from: pushing, to: pushing, images }, 'skopeo', [
    'copy',
    '--all',
    '--dest-tls-verify=false',
    layout,
    image,
  ]);
  assert.equal(await refusals(server, 'images'), 0, 'who is exempt was expected not to be refused');
  await refusedMeanwhile(server, 'images', async () => {
    await runOci({ home, from: pulling, to: pulling, images }, 'skopeo', [
      'copy',
      '--all',
      '--src-tls-verify=false',
      image,
      `dir:${join(home, 'out')}`,
    ]);
  });
}

/** @param {Setting} setting */
async function fetchByCurl({ folder, server, url }) {
  const file = `${url}/files/limited-0/-/limited-0-1.0.0.tgz`;
  await refusedMeanwhile(server, 'files', async () => {
    const command = [
      'curl',
      '--fail',
      '--silent',
      '--show-error',
      '--retry',
      '5',
      '--remote-name-all',
      file,
      file,
      file,
    ];
    const result = await runCommand(command, { cwd: folder, env: { PATH: process.env.PATH }, timeout: 60_000 });
    assert.equal(result.code, 0, outputOf(result));
  });
}

/** @param {Setting} setting */
async function waitExactly({ url }) {
  const file = `${url}/files/limited-1/-/limited-1-1.0.0.tgz`;
  for (let round = 0; round < 3; round += 1) {
    const refused = await firstRefusal(file);
    const wait = Number(refused.headers['retry-after']);
    assert.equal(wait, 1, 'a whole second was expected at one request a second');
    await delay(wait * 1000);
    assert.equal((await get(file)).status, 200);
  }
}

/** @param {string} file */
async function firstRefusal(file) {
  for (let tries = 0; tries < 50; tries += 1) {
    const answer = await get(file);
    if (answer.status === 429) return answer;
  }
  throw new Error('a refusal was expected');
}
