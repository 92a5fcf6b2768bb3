import { strict as assert } from 'node:assert';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { fixtureVersion } from '@entrepot/fixtures/npm-application';
import { pushSet } from '@entrepot/fixtures/push-images';
import { wheel } from '@entrepot/fixtures/python-files';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool } from '@entrepot/fixtures/tools';
import { chooseClient, runClient } from '../clients/npm.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { FixtureRegistry } from '../servers/npm-registry.mjs';
import { PythonIndex } from '../servers/python-index.mjs';

/** @import { ImageSet } from '@entrepot/fixtures/oci-images' */
/** @import { FixtureAdvisory } from '@entrepot/fixtures/trivy-database' */
/** @import { Tally } from '../tally.mjs' */

const POLICY = {
  rules: [{ id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny' }],
  defaults: { onScanFailure: 'deny', firstFetch: { action: 'hold', deadline: '60s', onTimeout: 'deny' } },
};
/** Of the made-up databases, in milliseconds. */
const AGE = 3_600_000;

/**
 * The scanner that a program is, and how a database is made for it.
 * @typedef {object} ProgramScanner
 * @property {string} type
 * @property {string} command
 * @property {(directory: string, advisories: readonly FixtureAdvisory[], options: { builtAt: number }) => Promise<void>} writeDatabase
 */

/**
 * Scanners behind a server: what they find is refused before anybody has it, and clients can ask what was found.
 * @param {{ tally: Tally, name: string, scanner: ProgramScanner, folder: string, image: ImageSet }} scene `image`: its tag `amd64` has findings, `arm64` none
 */
export async function scanningHost({ tally, name, scanner: { type, command, writeDatabase }, folder, image }) {
  const directory = join(folder, type);
  /** @type {readonly FixtureAdvisory[]} The program alone knows of the wheel, OSV alone of `osv-only`. */
  const advisories = [
    { id: 'CVE-2026-0001', ecosystem: 'npm', name: 'lodash', vulnerable: '<4.17.21', fixed: '4.17.21' },
    { id: 'CVE-2026-0002', ecosystem: 'pypi', name: 'requests', vulnerable: '<2.31.0', fixed: '2.31.0' },
    { id: 'CVE-2026-0004', release: 'debian 12', name: 'openssl', fixed: '3.0.11-1~deb12u2' },
  ];
  await writeDatabase(directory, advisories, { builtAt: Date.now() - AGE });
  const records = join(folder, 'osv', 'npm');
  await mkdir(records, { recursive: true });
  await writeFile(join(records, 'GHSA-test-0000-0001.json'), JSON.stringify(osvRecord()));

  const versions = [fixtureVersion('lodash', '4.17.20'), fixtureVersion('lodash', '4.17.21')];
  const others = [fixtureVersion('osv-only', '1.0.0'), fixtureVersion('osv-only', '1.1.0')];
  const registry = await new FixtureRegistry({
    packages: new Map([packageOf('lodash', versions), packageOf('osv-only', others)]),
  }).start();
  const index = new PythonIndex();
  const files = [wheel('requests', '2.30.0', {}), wheel('requests', '2.31.0', {})];
  index.projects = new Map([['requests', { name: 'requests', form: /** @type {const} */ ('json'), files }]]);
  await index.start();
  const port = await freePort();
  const write = { anonymous: 'write' };
  const server = new EntrepotServer({
    folder,
    port,
    repositories: {
      npm: { type: 'npm', upstream: registry.url },
      pypi: index.repository(),
      images: { type: 'oci', kind: 'hosted', access: write },
      // The upstream of the next one: whatever it has is given out.
      origin: { type: 'oci', kind: 'hosted', access: write, policy: { mode: 'off' } },
      mirror: { type: 'oci', upstream: `http://127.0.0.1:${port}` },
    },
    more: {
      policy: POLICY,
      scanners: [
        { type: 'osv', from: join(folder, 'osv'), ecosystems: ['npm'], directory: join(folder, 'osv-database') },
        { type, command, directory, updates: false },
      ],
    },
  });
  await server.start();
  const status = async (/** @type {string} */ path) => (await get(`${server.url}${path}`)).status;
  const text = async (/** @type {string} */ path) => (await get(`${server.url}${path}`)).body.toString('utf8');
  try {
    await tally.check(`${name}, behind a server: its database is in use`, async () => {
      for (let left = 200; left > 0; left -= 1) {
        const { scanners } = JSON.parse(await text('/-/api/v1/scans'));
        if (scanners.every((/** @type {{ databaseDate?: number }} */ { databaseDate }) => databaseDate)) return;
        await delay(50);
      }
      throw new Error(`expected databases of both scanners within 10 s:\n${await text('/-/api/v1/scans')}`);
    });
    await tally.check(
      `${name}, behind a server: refuses a tarball with a finding, and serves one without`,
      async () => {
        const refused = await get(`${server.url}/npm/lodash/-/lodash-4.17.20.tgz`);
        assert.equal(refused.status, 403, refused.body.toString());
        assert.match(refused.body.toString(), /CVE-2026-0001.*rule vulnerable/s);
        assert.equal(await status('/npm/lodash/-/lodash-4.17.21.tgz'), 200);
      },
    );
    await tally.check('osv, behind a server: leaves out what it knows of, and refuses it', async () => {
      const { versions: listed } = JSON.parse(await text('/npm/osv-only'));
      assert.deepEqual(Object.keys(listed), ['1.1.0']);
      assert.equal(await status('/npm/osv-only/-/osv-only-1.0.0.tgz'), 403);
      assert.equal(await status('/npm/osv-only/-/osv-only-1.1.0.tgz'), 200);
    });
    await tally.check(`${name}, behind a server: refuses a wheel with a finding, and serves one without`, async () => {
      const page = await get(`${server.url}/pypi/simple/requests/`, {
        headers: { accept: 'application/vnd.pypi.simple.v1+json' },
      });
      /** @type {{ files: { filename: string, url: string }[] }} */
      const { files: listed } = JSON.parse(page.body.toString());
      const urlOf = (/** @type {string} */ version) => {
        const found = listed.find(({ filename }) => filename.startsWith(`requests-${version}-`));
        return new URL(String(found?.url), `${server.url}/pypi/simple/requests/`).href;
      };
      const refused = await get(urlOf('2.30.0'));
      assert.equal(refused.status, 403);
      assert.match(refused.body.toString(), /CVE-2026-0002/);
      assert.equal((await get(urlOf('2.31.0'))).status, 200);
    });
    await tally.check(`${name}, behind a server: refuses an image with findings, and serves one without`, async () => {
      await pushSet(server.url, image, undefined, `images/${image.name}`);
      const manifest = (/** @type {string} */ tag) => `/v2/images/${image.name}/manifests/${tag}`;
      const refused = await get(`${server.url}${manifest('amd64')}`);
      assert.equal(refused.status, 403, refused.body.toString());
      assert.match(refused.body.toString(), /CVE-2026-000[14]/);
      assert.equal(await status(manifest('arm64')), 200);
      assert.equal(await status(manifest(image.tagged('amd64').descriptor.digest)), 403);
    });
    await tally.check(`${name}, behind a server: judges an image of an upstream before anybody has it`, async () => {
      await pushSet(server.url, image, undefined, `origin/${image.name}`);
      const manifest = (/** @type {string} */ tag) => `/v2/mirror/origin/${image.name}/manifests/${tag}`;
      const refused = await get(`${server.url}${manifest('amd64')}`);
      assert.equal(refused.status, 403, refused.body.toString());
      assert.match(refused.body.toString(), /CVE-2026-000[14]/);
      assert.equal(await status(manifest('latest')), 403);
      assert.equal(await status(manifest('arm64')), 200);
    });
    const skopeo = await provideTool('skopeo');
    if (skopeo !== undefined) {
      await tally.check(
        `${name}, behind a server: skopeo gets the good image of an upstream, and not the bad one`,
        async () => {
          const copy = (/** @type {string} */ tag) => {
            const source = `docker://127.0.0.1:${port}/mirror/origin/${image.name}:${tag}`;
            const flags = ['--insecure-policy', '--override-arch', tag];
            const words = ['copy', '--src-tls-verify=false', source, `dir:${join(folder, `copy-${tag}`)}`];
            const env = { PATH: process.env.PATH, HOME: folder };
            return runCommand([skopeo, ...flags, ...words], { cwd: folder, env, timeout: 60_000 });
          };
          const good = await copy('arm64');
          assert.equal(good.code, 0, outputOf(good));
          const bad = await copy('amd64');
          assert.notEqual(bad.code, 0);
          assert.match(outputOf(bad), /CVE-2026-000[14].*rule vulnerable/s);
        },
      );
    }
    await tally.check(`${name}, behind a server: tells of scans and databases`, async () => {
      const metrics = await text('/metrics');
      assert.match(metrics, new RegExp(`^entrepot_scan_reports\\{scanner="${type}",state="findings"\\} [2-9]`, 'm'));
      assert.match(metrics, new RegExp(`^entrepot_scan_reports\\{scanner="${type}",state="clean"\\} [2-9]`, 'm'));
      assert.match(metrics, new RegExp(`^entrepot_scan_queue\\{scanner="${type}"\\} 0$`, 'm'));
      const age = new RegExp(`^entrepot_scan_database_age_seconds\\{scanner="${type}"\\} (\\S+)$`, 'm').exec(
        metrics,
      )?.[1];
      assert.ok(
        Number(age) * 1000 >= AGE && Number(age) * 1000 < AGE + 600_000,
        `expected about an hour, found ${age} s`,
      );
      const found = JSON.parse(await text('/-/api/v1/packages/pypi/requests/2.30.0/vulnerabilities'));
      assert.equal(found.scanned, true);
      const { explanations } = JSON.parse(await text('/-/api/v1/explain?purl=pkg:npm/lodash@4.17.20'));
      assert.equal(explanations[0].decision.action, 'deny');
    });
    await tally.check('osv, behind a server: answers npm audit without the upstream', () =>
      audit(folder, server.url, registry),
    );
    await tally.check('osv, behind a server: judges the bills of materials that npm writes', () =>
      judgeBills(folder, server.url),
    );
  } finally {
    await server.stop();
    await index.stop();
    await registry.stop();
  }
}

/**
 * Judges the output of `npm sbom` for the lockfile that `audit` has written.
 * @param {string} folder
 * @param {string} url
 */
async function judgeBills(folder, url) {
  const npm = chooseClient('npm');
  const place = { home: join(folder, 'home'), project: join(folder, 'project'), registry: `${url}/npm` };
  for (const format of ['cyclonedx', 'spdx']) {
    const bill = await runClient(npm, ['sbom', '--package-lock-only', '--sbom-format', format], place);
    assert.equal(bill.code, 0, outputOf(bill));
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/-/api/v1/sbom`, { method: 'POST', headers, body: bill.stdout });
    /** @type {{ refused: number, parts: { purl: string, action?: string, findings: { id: string }[] }[] }} */
    const { refused, parts } = JSON.parse(await response.text());
    assert.equal(refused, 1, format);
    const found = parts.map(({ purl, action, findings }) => [purl, action, ...findings.map(({ id }) => id)]);
    assert.deepEqual(found, [['pkg:npm/osv-only@1.0.0', 'deny', 'GHSA-test-0000-0001']]);
  }
}

/**
 * `npm audit` of a lockfile that names what has an advisory.
 * @param {string} folder
 * @param {string} url
 * @param {FixtureRegistry} registry
 */
async function audit(folder, url, registry) {
  const npm = chooseClient('npm');
  const place = { home: join(folder, 'home'), project: join(folder, 'project'), registry: `${url}/npm` };
  await mkdir(place.project, { recursive: true });
  const dependencies = { 'osv-only': '1.0.0' };
  const main = { name: 'application', version: '1.0.0', dependencies };
  await writeFile(join(place.project, 'package.json'), JSON.stringify(main));
  const installed = { version: '1.0.0', resolved: `${url}/npm/osv-only/-/osv-only-1.0.0.tgz` };
  const packages = { '': main, 'node_modules/osv-only': installed };
  const lock = { ...main, lockfileVersion: 3, requires: true, packages };
  await writeFile(join(place.project, 'package-lock.json'), JSON.stringify(lock));
  registry.reset();
  const result = await runClient(npm, ['audit', '--json'], place);
  assert.equal(result.code, 1, outputOf(result));
  const { vulnerabilities } = JSON.parse(result.stdout);
  assert.equal(vulnerabilities['osv-only'].severity, 'high');
  assert.equal(vulnerabilities['osv-only'].via[0].title, 'A fault of osv-only');
  assert.deepEqual(registry.audited, []);
}

function osvRecord() {
  return {
    schema_version: '1.6.0',
    id: 'GHSA-test-0000-0001',
    modified: '2026-01-02T03:04:05Z',
    published: '2026-01-02T03:04:05Z',
    summary: 'A fault of osv-only',
    severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N' }],
    affected: [
      {
        package: { ecosystem: 'npm', name: 'osv-only' },
        ranges: [{ type: 'SEMVER', events: [{ introduced: '0' }, { fixed: '1.1.0' }] }],
      },
    ],
  };
}

/**
 * @param {string} name
 * @param {readonly ReturnType<typeof fixtureVersion>[]} versions in their order
 */
function packageOf(name, versions) {
  const known = new Map(versions.map((version) => [String(version.manifest.version), version]));
  return /** @type {const} */ ([name, { name, versions: known, tags: { latest: [...known.keys()].at(-1) ?? '' } }]);
}
