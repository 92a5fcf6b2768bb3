import { strict as assert } from 'node:assert';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { GoDatabase, goModule, proxyAnswer } from '@entrepot/fixtures/go-database';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { forget, goClients, runGo } from '../clients/go.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { goPrivate } from './go-private.mjs';

/** @import { GoClient } from '../clients/go.mjs' */
/** @import { GoModule } from '@entrepot/fixtures/go-database' */
/** @import { Tally } from '../tally.mjs' */

const MODULES = 40;

/** @param {number} at */
const pathOf = (at) => (at % 5 === 0 ? `example.test/Upper/M${at}` : `example.test/m${at}`);

/** A graph of modules, each with a package that uses others. @param {GoDatabase} database */
function moduleGraph(database) {
  /** @type {GoModule[]} */
  const modules = [];
  for (let at = 0; at < MODULES; at += 1) {
    const uses = [2 * at + 1, 2 * at + 2].filter((other) => other < MODULES);
    const imports = uses.map((other) => `import _ "${pathOf(other)}"\n`).join('');
    const source = `package m${at}\n\n${imports}\nconst Value = ${at}\n// ${'x'.repeat(at * 4000)}\n`;
    const requires = uses.map((other) => `${pathOf(other)} ${versionOf(other)}`);
    database.fill(37);
    const files = { 'm.go': source, 'deep/pkg/pkg.go': 'package pkg\n' };
    modules.push(goModule({ path: pathOf(at), version: versionOf(at), files, requires, database }));
  }
  return modules;
}

/** @param {number} at */
const versionOf = (at) => (at % 7 === 3 ? `v1.0.${at}-RC1` : `v1.0.${at}`);

/**
 * Real `go` against a module proxy with a checksum database of its own: from an empty store, with the upstream gone, and
 * with an upstream that lies.
 * @param {Tally} tally
 */
export async function goHermetic(tally) {
  const clients = await goClients();
  if (clients.length === 0) {
    note('no go on this machine: its scenario is left out');
    return;
  }
  await withScratch('go', async (folder) => {
    const database = new GoDatabase();
    const modules = moduleGraph(database);
    /** @type {(path: string, body: Buffer) => Buffer} */
    let tamper = (_, body) => body;
    const upstream = await new Origin((request, response) => {
      const path = (request.url ?? '').slice(1);
      const answer = proxyAnswer(modules, database, path);
      if (answer === undefined) return void response.writeHead(404).end('not found');
      response.writeHead(200, { 'content-type': answer.mediaType });
      response.end(tamper(decodeURIComponent(path), answer.body));
    }).start();
    const repositories = {
      go: {
        type: 'go',
        upstream: upstream.url,
        sumdb: database.verifierKey,
        unverified: '',
        private: '',
        // What does not exist is asked for each time, as it is when half a minute has gone by.
        cache: { list: { negativeFor: '0s' } },
      },
    };
    const server = new EntrepotServer({ folder, port: await freePort(), repositories });
    const setting = { folder, database, url: `${server.url}/go` };
    try {
      await tally.check('go: the server starts', () => server.start());
      /** @type {Map<string, string>} */
      const sums = new Map();
      for (const client of clients) {
        await tally.check(`${client.name}: builds from an empty client`, async () => {
          sums.set(client.name, await build({ ...setting, client }));
        });
      }
      await tally.check('go: every file was fetched once for all clients', () => {
        const more = [...upstream.requests].filter(([name, times]) => times > 1 && !name.endsWith('/latest'));
        assert.deepEqual(more, []);
        const zips = [...upstream.requests.keys()].filter((name) => name.endsWith('.zip'));
        assert.equal(zips.length, MODULES);
      });
      for (const client of clients) {
        await tally.check(`${client.name}: finds a package in a folder of a module`, async () => {
          sums.set(`${client.name} get`, await getPackage({ ...setting, client }));
        });
      }
      await upstream.stop();
      for (const client of clients) {
        await tally.check(`${client.name}: finds it with the upstream gone`, async () => {
          assert.equal(await getPackage({ ...setting, client }), sums.get(`${client.name} get`));
        });
      }
      await tally.check('go: the server starts again', async () => {
        await server.stop();
        await server.start();
      });
      for (const client of clients) {
        await tally.check(`${client.name}: builds the same with the upstream gone`, async () => {
          assert.equal(await build({ ...setting, client }), sums.get(client.name));
        });
      }
      await tally.check('go: the upstream was asked for nothing', async () => {
        assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
      });
      for (const client of clients) {
        await tally.check(`${client.name}: lists what was served, though the upstream never gave a list`, async () => {
          const home = join(folder, `${client.name}-home`);
          await forget(home);
          const place = { project: folder, home, proxy: setting.url, settings: { GOSUMDB: database.verifierKey } };
          const result = await runGo(client, ['list', '-m', '-versions', pathOf(4)], place);
          assert.equal(result.stdout.trim(), `${pathOf(4)} ${versionOf(4)}`, outputOf(result));
        });
      }
      await server.stop();
      await upstream.start();

      for (const [name, lie] of LIES) {
        await tally.check(`go: ${name} is refused, and not kept`, async () => {
          const place = join(folder, 'lie');
          await rm(place, { recursive: true, force: true });
          await mkdir(place);
          const liar = new EntrepotServer({ folder: place, port: await freePort(), repositories });
          tamper = lie;
          try {
            await liar.start();
            for (const client of clients) {
              const result = await download({ ...setting, client, url: `${liar.url}/go` });
              assert.notEqual(result.code, 0, outputOf(result));
            }
            tamper = (_, body) => body;
            const zip = await get(`${liar.url}/go/cached-only/${pathOf(1)}/@v/${versionOf(1)}.zip`);
            assert.equal(zip.status, 404);
          } finally {
            await liar.kill();
          }
        });
      }
    } finally {
      await server.kill();
      await upstream.stop();
    }
  });
  await goPrivate(tally, clients);
}

/** @type {readonly (readonly [string, (path: string, body: Buffer) => Buffer])[]} */
const LIES = [
  ['a tampered zip', (path, body) => (path.endsWith(`m1/@v/${versionOf(1)}.zip`) ? flip(body, 200) : body)],
  ['a tampered record', (path, body) => (path.includes('/lookup/') ? flip(body, body.indexOf('h1:') + 8) : body)],
  ['a tampered signature', (path, body) => (path.includes('/lookup/') ? flip(body, body.length - 8) : body)],
  ['a tampered tile', (path, body) => (path.includes('/tile/') ? flip(body, 5) : body)],
  [
    'an empty record',
    (path, body) => (path.includes('/lookup/') ? Buffer.from(body.toString().replace(/\n[^]*?\n\n/, '\n\n\n')) : body),
  ],
];

/** @param {Buffer} bytes @param {number} at */
function flip(bytes, at) {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/**
 * @typedef {object} Setting
 * @property {GoClient} client
 * @property {string} folder
 * @property {GoDatabase} database
 * @property {string} url
 */

/** Builds the application with nothing but its `go.mod`, and gives its `go.sum`. @param {Setting} setting */
async function build({ client, folder, database, url }) {
  const project = join(folder, `${client.name}-project`);
  const home = join(folder, `${client.name}-home`);
  await rm(project, { recursive: true, force: true });
  await mkdir(project);
  await forget(home);
  await writeFile(join(project, 'go.mod'), `module app.test/app\n\ngo 1.16\n\nrequire ${pathOf(0)} ${versionOf(0)}\n`);
  await writeFile(join(project, 'main.go'), `package main\n\nimport _ "${pathOf(0)}"\n\nfunc main() {}\n`);
  const place = { project, home, proxy: url, settings: { GOSUMDB: database.verifierKey } };
  for (const args of [
    ['mod', 'download', 'all'],
    ['build', '-o', 'app', '.'],
  ]) {
    const result = await runGo(client, args, place);
    assert.equal(result.code, 0, outputOf(result));
  }
  return await readFile(join(project, 'go.sum'), 'utf8');
}

/** Adds a package in a folder of a module to an empty project, and gives `go.sum`. @param {Setting} setting */
async function getPackage({ client, folder, database, url }) {
  const project = join(folder, `${client.name}-get`);
  const home = join(folder, `${client.name}-home`);
  await rm(project, { recursive: true, force: true });
  await mkdir(project);
  await forget(home);
  await writeFile(join(project, 'go.mod'), 'module app.test/app\n\ngo 1.16\n');
  const place = { project, home, proxy: url, settings: { GOSUMDB: database.verifierKey } };
  const result = await runGo(client, ['get', `${pathOf(2)}/deep/pkg`], place);
  assert.equal(result.code, 0, outputOf(result));
  assert.match(await readFile(join(project, 'go.mod'), 'utf8'), new RegExp(`require ${pathOf(2)} ${versionOf(2)} `));
  return await readFile(join(project, 'go.sum'), 'utf8');
}

/** One module, without the client's own verification. @param {Setting} setting */
async function download({ client, folder, url }) {
  const home = join(folder, `${client.name}-home`);
  await forget(home);
  const settings = { GOSUMDB: 'off', GOFLAGS: '-modcacherw' };
  return await runGo(client, ['mod', 'download', `${pathOf(1)}@${versionOf(1)}`], {
    project: folder,
    home,
    proxy: url,
    settings,
  });
}
