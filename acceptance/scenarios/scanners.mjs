import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ImageSet, TYPES } from '@entrepot/fixtures/oci-images';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { tarball } from '@entrepot/fixtures/tar';
import { provideTool } from '@entrepot/fixtures/tools';
import { writeTrivyDatabase } from '@entrepot/fixtures/trivy-database';
import trivy from '@entrepot/plugin-scanner-trivy';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { grypeScenario } from './grype.mjs';
import {
  ADVISORIES,
  CASES,
  create,
  imageSet,
  judge,
  judgeImages,
  judgeUpdates,
  live,
  SILENCERS,
} from './scanner-cases.mjs';
import { scanningHost } from './scanning-host.mjs';

/** @import { ScanSubject } from '@entrepot/core' */
/** @import { Tally } from '../tally.mjs' */

/**
 * Scanners that are programs of others, over small databases of our own: the real programs find what is there, in what
 * clients install and in images, and cannot be silenced by what they scan.
 * @param {Tally} tally
 */
export async function scanners(tally) {
  for (const name of /** @type {const} */ (['trivy', 'trivy-old'])) {
    const command = await provideTool(name);
    if (command === undefined) continue;
    await withScratch('trivy', (folder) => trivyScenario({ tally, name, command, folder }));
    const scanner = { type: 'trivy', command, writeDatabase: writeTrivyDatabase };
    await withScratch('scanning', (folder) => scanningHost({ tally, name, scanner, folder, image: imageSet() }));
  }
  await grypeScenario(tally);
}

/** @typedef {{ tally: Tally, name: string, command: string, folder: string }} Scene */

/** @param {Scene} scene */
async function trivyScenario({ tally, name, command, folder }) {
  const directory = join(folder, 'database');
  await writeTrivyDatabase(directory, ADVISORIES);
  const scanner = await create(trivy, { command, directory, updates: false });
  try {
    await tally.check(`${name}: is ready`, () => scanner.check());
    await tally.check(`${name}: finds npm packages, wheels, Go modules and Debian packages at once`, () =>
      judge(scanner),
    );
    await tally.check(`${name}: finds what is in an image, whatever it brings along to silence it`, () =>
      judgeImages(scanner),
    );
    await tally.check(`${name}: what lies beside it silences the program, but not the scanner`, async () => {
      const beside = join(folder, 'beside');
      await mkdir(beside);
      for (const [file, text] of Object.entries(SILENCERS)) await writeFile(join(beside, file), text);
      assert.deepEqual(await silenced(command, { beside, directory }), [], 'the files were expected to work');
      const before = process.cwd();
      process.chdir(beside);
      process.env.TRIVY_IGNOREFILE = join(beside, '.trivyignore');
      try {
        await judge(scanner);
      } finally {
        delete process.env.TRIVY_IGNOREFILE;
        process.chdir(before);
      }
    });
    await tally.check(`${name}: is the same through a trivy server`, () =>
      throughServer({ command, directory, folder }),
    );
    await tally.check(`${name}: says nothing with a database that is too old`, async () => {
      const old = join(folder, 'old');
      await writeTrivyDatabase(old, ADVISORIES, { builtAt: Date.now() - 30 * 86_400_000 });
      const stale = await create(trivy, { command, directory: old, updates: false });
      await assert.rejects(stale.scan(/** @type {ScanSubject} */ (CASES[0]?.[0]), live()), { code: 'SCAN_STALE' });
    });
    await tally.check(`${name}: takes its database from a repository of Entrepot`, () =>
      throughEntrepot({ command, folder }),
    );
  } finally {
    await scanner.dispose?.();
  }
}

/**
 * Findings of the program itself in a folder with files that silence it.
 * @param {string} command
 * @param {{ beside: string, directory: string }} options
 */
async function silenced(command, { beside, directory }) {
  const list = join(beside, 'list.json');
  const component = {
    type: 'library',
    'bom-ref': 'a',
    name: 'lodash',
    version: '4.17.20',
    purl: 'pkg:npm/lodash@4.17.20',
  };
  await writeFile(
    list,
    JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.5', version: 1, components: [component] }),
  );
  const args = ['--cache-dir', directory, 'sbom', '--format', 'json', '--skip-db-update', '--quiet', list];
  const result = await runCommand([command, ...args], {
    cwd: beside,
    env: { PATH: process.env.PATH },
    timeout: 60_000,
  });
  assert.equal(result.code, 0, outputOf(result));
  /** @type {{ Results?: { Vulnerabilities?: unknown[] }[] }} */
  const { Results: found = [] } = JSON.parse(result.stdout);
  return found.flatMap(({ Vulnerabilities: all = [] }) => all);
}

/** @param {{ command: string, directory: string, folder: string }} options */
async function throughServer({ command, directory, folder }) {
  const port = await freePort();
  const args = [
    '--cache-dir',
    directory,
    'server',
    '--listen',
    `127.0.0.1:${port}`,
    '--token',
    'secret',
    '--skip-db-update',
  ];
  const server = spawn(command, args, { cwd: folder, env: { PATH: process.env.PATH, HOME: folder }, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  try {
    await once(server, 'spawn');
    await reached(`${url}/healthz`);
    const options = { command, directory: join(folder, 'none'), server: url };
    await judge(await create(trivy, { ...options, token: 'secret' }));
    const stranger = await create(trivy, { ...options, token: 'wrong' });
    await assert.rejects(stranger.scan(/** @type {ScanSubject} */ (CASES[1]?.[0]), live()), { code: 'SCAN_FAILED' });
  } finally {
    const ended = server.exitCode === null && server.signalCode === null && once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  }
}

/** @param {string} url */
async function reached(url) {
  for (let left = 200; left > 0; left -= 1) {
    const isThere = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isThere) return;
    await delay(50);
  }
  throw new Error(`${url}: expected an answer within 10 s`);
}

/** @param {{ command: string, folder: string }} options */
async function throughEntrepot({ command, folder }) {
  const [made, place] = [join(folder, 'made'), join(folder, 'server')];
  await Promise.all([made, place].map((path) => mkdir(path)));
  await writeTrivyDatabase(made, ADVISORIES);
  const repositories = { databases: { type: 'oci', kind: 'hosted', sparse: true, access: { anonymous: 'write' } } };
  const server = new EntrepotServer({ folder: place, port: await freePort(), repositories });
  await server.start();
  try {
    await pushDatabase(`${server.url}/v2/databases/trivy-db`, join(made, 'db'));
    const databaseRepository = `127.0.0.1:${server.port}/databases/trivy-db`;
    const scanner = await create(trivy, { command, directory: join(folder, 'pulled'), databaseRepository });
    await judgeUpdates(scanner);
  } finally {
    await server.stop();
  }
}

/** Pushes a database as Trivy's is published. @param {string} url @param {string} folder */
async function pushDatabase(url, folder) {
  const set = new ImageSet('trivy-db');
  const layer = tarball({
    'trivy.db': { body: await readFile(join(folder, 'trivy.db')) },
    'metadata.json': { body: await readFile(join(folder, 'metadata.json')) },
  });
  const descriptor = {
    ...set.blob(layer, 'application/vnd.aquasec.trivy.db.layer.v1.tar+gzip'),
    annotations: { 'org.opencontainers.image.title': 'db.tar.gz' },
  };
  const config = set.blob(Buffer.from('{}'), 'application/vnd.aquasec.trivy.config.v1+json');
  set.manifest(TYPES.manifest, { config, layers: [descriptor] }, ['2']);
  for (const [digest, bytes] of set.blobs) await send(`${url}/blobs/uploads/?digest=${digest}`, 'POST', bytes);
  const { bytes, mediaType } = set.tagged('2');
  await send(`${url}/manifests/2`, 'PUT', bytes, mediaType);
}

/** @param {string} url @param {'POST' | 'PUT'} method @param {Buffer} bytes @param {string} [type] */
async function send(url, method, bytes, type = 'application/octet-stream') {
  const body = new Uint8Array(bytes);
  const options = method === 'POST' ? { method: 'POST', body } : { method: 'PUT', body };
  const response = await fetch(url, { ...options, headers: { 'Content-Type': type } });
  assert.equal(response.status, 201, `${method} ${url}: ${await response.text()}`);
}
