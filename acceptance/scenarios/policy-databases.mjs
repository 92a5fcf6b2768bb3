import { strict as assert } from 'node:assert';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { ADVISORY, policyDocument, SUBJECT, VERSIONS } from '@entrepot/fixtures/policy-packages';
import { outputOf } from '@entrepot/fixtures/run-command';
import { chooseClient, runClient } from '../clients/npm.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';

/** @import { PolicyScene } from './policy-clients.mjs' */

/** The longest time until a change is in force, in milliseconds. */
const SOON = 15_000;
const NEW_ADVISORY = 'TEST-2024-0009';

/**
 * Checks that a stored version is refused as soon as the database has an advisory for it.
 * @param {PolicyScene} scene
 */
export async function newlyVulnerable({ tally, server, folder, upstreams, clients, advisories }) {
  const place = { folder, url: server.url, upstreams };
  const tarball = `${server.url}/npm/${SUBJECT}/-/${SUBJECT}-${VERSIONS.good}.tgz`;
  await tally.check('policy: an update of the database refuses what is kept', async () => {
    assert.equal((await get(tarball)).status, 200);
    for (const ecosystem of ['npm', 'PyPI']) {
      await advisories.add(ecosystem, NEW_ADVISORY, { name: SUBJECT, versions: [VERSIONS.good] });
    }
    await until('a refusal', async () => (await get(tarball)).status === 403);
  });
  for (const client of clients.filter(({ name }) => name === 'npm' || name === 'pip' || name === 'uv')) {
    await tally.check(`policy: ${client.name} no longer gets it, and falls back to an older one`, async () => {
      for (const way of /** @type {const} */ (['pin', 'locked', 'direct'])) {
        const found = await client.get(place, way, VERSIONS.good);
        assert.equal(found.version, undefined, found.text);
        if (way === 'direct') assert.match(found.text, new RegExp(`vulnerable.*${NEW_ADVISORY}`, 's'));
      }
      const found = await client.get(place, 'range', '');
      assert.equal(found.version, VERSIONS.watched, found.text);
    });
  }
}

/**
 * A scanner that could not judge yet has not found anything to be good.
 * @param {PolicyScene} scene
 */
export async function withoutDatabase({ tally, folder, upstreams }) {
  const own = join(folder, 'without-database');
  const from = join(own, 'advisories');
  await mkdir(from, { recursive: true });
  const firstFetch = { action: 'hold', deadline: '500ms', onTimeout: 'deny' };
  const document = { ...policyDocument(), defaults: { onScanFailure: 'deny', firstFetch } };
  const file = join(own, 'policy.yaml');
  await writeFile(file, JSON.stringify(document));
  const server = new EntrepotServer({
    folder: own,
    port: await freePort(),
    repositories: upstreams.repositories(),
    more: { policy: { file }, scanners: [{ type: 'osv', from, directory: join(own, 'osv') }] },
  });
  await tally.check(
    'policy: without an advisory database, a policy that denies what cannot be scanned does',
    async () => {
      try {
        await server.start();
        for (const version of [VERSIONS.good, VERSIONS.malicious]) {
          // The second time as what is kept.
          for (const time of [1, 2]) {
            const answer = await get(`${server.url}/npm/${SUBJECT}/-/${SUBJECT}-${version}.tgz`);
            assert.equal(answer.status, 403, `${version}, asked ${time} times: ${answer.body}`);
          }
        }
      } finally {
        await server.kill();
      }
    },
  );
}

/** `npm audit` needs nobody but the server. @param {PolicyScene} scene */
export async function auditOffline({ tally, server, folder, upstreams }) {
  const npm = chooseClient('npm');
  await upstreams.npm.stop();
  await tally.check('policy: npm audit is answered from the database, with the upstream gone', async () => {
    const place = { home: join(folder, 'audit-home'), project: join(folder, 'audit'), registry: `${server.url}/npm` };
    await rm(place.project, { recursive: true, force: true });
    await mkdir(place.project);
    const root = { name: 'application', version: '1.0.0', dependencies: { [SUBJECT]: VERSIONS.vulnerable } };
    const lockfile = {
      ...root,
      lockfileVersion: 3,
      packages: { '': root, [`node_modules/${SUBJECT}`]: { version: VERSIONS.vulnerable } },
    };
    await writeFile(join(place.project, 'package.json'), JSON.stringify(root));
    await writeFile(join(place.project, 'package-lock.json'), JSON.stringify(lockfile));
    const result = await runClient(npm, ['audit', '--json'], place);
    assert.equal(result.code, 1, outputOf(result));
    const report = JSON.parse(result.stdout);
    assert.equal(report.metadata.vulnerabilities.high, 1, result.stdout);
    assert.match(JSON.stringify(report.vulnerabilities[SUBJECT]), new RegExp(ADVISORY));
  });
}

/** Waits until something is so. @param {string} what @param {() => Promise<boolean>} isSo */
export async function until(what, isSo) {
  const end = performance.now() + SOON;
  while (!(await isSo())) {
    assert.ok(performance.now() < end, `${what} was expected within ${SOON} ms`);
    await delay(50);
  }
}
