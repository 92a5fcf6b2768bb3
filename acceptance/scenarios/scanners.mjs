import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { parseOptions, systemClock } from '@entrepot/core';
import grype from '@entrepot/plugin-scanner-grype';
import trivy from '@entrepot/plugin-scanner-trivy';
import { provideTool } from '../container-tools.mjs';
import { digestOf, ImageSet, TYPES } from '../oci-images.mjs';
import { outputOf, runCommand } from '../run-command.mjs';
import { withScratch } from '../scratch.mjs';
import { EntrepotServer, freePort } from '../server.mjs';
import { tarball } from '../tar.mjs';
import { writeTrivyDatabase } from '../trivy-database.mjs';
import { scanningHost } from './scanning-host.mjs';

/** @import { Content, Digest, Scanner, ScannerPlugin, ScanReport, ScanSubject } from '@entrepot/core' */
/** @import { FixtureAdvisory } from '../trivy-database.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** @type {readonly FixtureAdvisory[]} */
const ADVISORIES = [
  { id: 'CVE-2026-0001', ecosystem: 'npm', name: 'lodash', vulnerable: '<4.17.21', fixed: '4.17.21' },
  { id: 'CVE-2026-0002', ecosystem: 'pypi', name: 'requests', vulnerable: '<2.31.0', fixed: '2.31.0' },
  { id: 'CVE-2026-0003', ecosystem: 'golang', name: 'github.com/acme/tool', vulnerable: '<1.2.0', fixed: '1.2.0' },
  { id: 'CVE-2026-0004', release: 'debian 12', name: 'openssl', fixed: '3.0.11-1~deb12u2' },
  { id: 'CVE-2026-0005', ecosystem: 'npm', name: '@acme/core', vulnerable: '<8.0.0', fixed: '8.0.0' },
];

const QUALIFIERS = { arch: 'amd64', distro: 'debian-12', upstream: 'openssl' };

/** What is asked, and the advisory that it is expected to have. @type {readonly (readonly [ScanSubject, string?])[]} */
const CASES = [
  [subject('npm', 'lodash', '4.17.20'), 'CVE-2026-0001'],
  [subject('npm', 'lodash', '4.17.21')],
  [subject('npm', '@acme/core', '7.0.0'), 'CVE-2026-0005'],
  [subject('npm', 'left-pad', '1.3.0')],
  [subject('pypi', 'requests', '2.30.0'), 'CVE-2026-0002'],
  [subject('pypi', 'requests', '2.31.0')],
  [subject('golang', 'github.com/acme/tool', 'v1.1.0'), 'CVE-2026-0003'],
  [subject('golang', 'github.com/acme/tool', 'v1.2.0')],
  [{ ...subject('deb', 'libssl3', '3.0.11-1~deb12u1'), qualifiers: QUALIFIERS }, 'CVE-2026-0004'],
  [{ ...subject('deb', 'libssl3', '3.0.11-1~deb12u2'), qualifiers: QUALIFIERS }],
];

/** What would silence a scanner that ran beside it. */
const SILENCERS = {
  '.trivyignore': ADVISORIES.map(({ id }) => `${id}\n`).join(''),
  'trivy.yaml': 'severity: [CRITICAL]\n',
  '.grype.yaml': `ignore:\n${ADVISORIES.map(({ id }) => `  - vulnerability: ${id}\n`).join('')}`,
};

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
    await withScratch('scanning', (folder) => scanningHost({ tally, name, command, folder, image: imageSet() }));
  }
  const command = await provideTool('grype');
  if (command !== undefined) await withScratch('grype', (folder) => grypeScenario({ tally, command, folder }));
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
    await tally.check(`${name}: finds what is in an image, whatever it brings along to silence it`, async () => {
      const set = imageSet();
      const report = await scanner.scan(imageOf(set, 'amd64'), live());
      assert.deepEqual(idsOf(report), ['CVE-2026-0001', 'CVE-2026-0004']);
      assert.equal(report.coverage, 'full');
      assert.match(String(report.findings.find(({ id }) => id === 'CVE-2026-0001')?.component), /lodash/);
      const ofIndex = await scanner.scan(imageOf(set, 'latest'), live());
      assert.deepEqual(idsOf(ofIndex), idsOf(report));
      assert.equal(ofIndex.coverage, 'partial');
    });
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

/** @param {Omit<Scene, 'name'>} scene */
async function grypeScenario({ tally, command, folder }) {
  await tally.check('grype: without a database it is not ready, and nothing is clean', async () => {
    const scanner = await create(grype, { command, directory: join(folder, 'none'), updates: false });
    await assert.rejects(scanner.check(), { code: 'SCAN_UNAVAILABLE' });
    await assert.rejects(scanner.scan(/** @type {ScanSubject} */ (CASES[1]?.[0]), live()), {
      code: 'SCAN_UNAVAILABLE',
    });
  });
}

/**
 * @param {ScannerPlugin<any, any>} plugin
 * @param {Record<string, unknown>} given
 * @returns {Promise<Scanner>}
 */
async function create(plugin, given) {
  const { options, problems } = await parseOptions(plugin.options, given);
  assert.equal(problems, undefined);
  return plugin.create({ services: { clock: systemClock }, options });
}

/** @param {Scanner} scanner */
async function judge(scanner) {
  const results =
    (await scanner.scanAll?.(
      CASES.map(([each]) => each),
      live(),
    )) ?? [];
  const found = results.map((result) => (result instanceof Error ? result.message : idsOf(result)));
  assert.deepEqual(
    found,
    CASES.map(([, id]) => (id === undefined ? [] : [id])),
  );
}

/**
 * What the program finds by itself in a folder with files that silence it.
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
    await assert.rejects(scanner.check(), { code: 'SCAN_UNAVAILABLE' });
    assert.equal(await scanner.update?.(live()), undefined);
    await judge(scanner);
    const revision = scanner.revision();
    assert.deepEqual(await scanner.update?.(live()), []);
    assert.equal(scanner.revision(), revision);
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

/** An image of Debian 12 with an application in it, for two platforms. The one for arm64 has no findings. */
function imageSet() {
  const set = new ImageSet('demo');
  const platforms = ['arm64', 'amd64'].map((architecture) => {
    const isGood = architecture === 'arm64';
    const status = (/** @type {string} */ version) =>
      `Package: libssl3\nStatus: install ok installed\nSource: openssl\nArchitecture: amd64\nVersion: ${version}\n\n`;
    const application = { name: 'lodash', version: isGood ? '4.17.21' : '4.17.20' };
    const layer = tarball({
      'etc/os-release': { body: 'ID=debian\nVERSION_ID="12"\n' },
      'etc/debian_version': { body: '12.5\n' },
      'var/lib/dpkg/status': { body: status(isGood ? '3.0.11-1~deb12u2' : '3.0.11-1~deb12u1') },
      'app/node_modules/lodash/package.json': { body: JSON.stringify(application) },
      ...Object.fromEntries(Object.entries(SILENCERS).map(([file, body]) => [file, { body }])),
    });
    const config = {
      architecture,
      os: 'linux',
      created: '2026-01-01T00:00:00Z',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(gunzipSync(layer))] },
      history: [],
    };
    const content = {
      config: set.blob(Buffer.from(JSON.stringify(config)), TYPES.config),
      layers: [set.blob(layer, TYPES.layer)],
    };
    return { ...set.manifest(TYPES.manifest, content, [architecture]), platform: { architecture, os: 'linux' } };
  });
  set.manifest(TYPES.index, { manifests: platforms }, ['latest']);
  return set;
}

/** @param {ImageSet} set @param {string} tag @returns {ScanSubject} */
function imageOf(set, tag) {
  const { bytes, mediaType, descriptor } = set.tagged(tag);
  const manifests = new Map(set.manifests.map((each) => [each.descriptor.digest, each.bytes]));
  return {
    ...subject('oci', 'demo', tag),
    digest: /** @type {Digest} */ (descriptor.digest),
    content: contentOf(bytes, mediaType),
    async part(digest) {
      const found = set.blobs.get(digest) ?? manifests.get(digest);
      return found && contentOf(found, TYPES.manifest);
    },
  };
}

/** @param {Buffer} bytes @param {string} mediaType @returns {Content} */
function contentOf(bytes, mediaType) {
  return {
    size: bytes.length,
    mediaType,
    async *stream() {
      yield bytes;
    },
    bytes: async () => bytes,
  };
}

/** @param {string} ecosystem @param {string} name @param {string} version @returns {ScanSubject} */
function subject(ecosystem, name, version) {
  return { coordinates: { ecosystem, name, version } };
}

/** @param {ScanReport} report */
function idsOf({ findings }) {
  return findings.map(({ id }) => id).toSorted();
}

function live() {
  return new AbortController().signal;
}
