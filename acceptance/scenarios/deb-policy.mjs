import { strict as assert } from 'node:assert';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { outputOf } from '@entrepot/fixtures/run-command';
import { succeeded, withArchive } from '../servers/deb-scene.mjs';
import { note } from '../tally.mjs';
import { until } from './policy-databases.mjs';

/** @import { Apt } from '@entrepot/fixtures/apt' */
/** @import { Scene } from '../servers/deb-scene.mjs' */
/** @import { Tally } from '../tally.mjs' */

const POLICY = {
  version: 1,
  rules: [
    { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny' },
    { id: 'cooldown', match: { purl: ['pkg:deb/debian-12/young'] }, when: { age: { lt: '3d' } }, action: 'hold' },
    { id: 'short', match: { purl: ['pkg:deb/debian-12/newborn'] }, when: { age: { lt: '3s' } }, action: 'hold' },
    { id: 'no-world', match: { purl: ['pkg:deb/debian-12/world'] }, action: 'deny', reason: 'not in this house' },
  ],
};

/** A record as the public database has them for Debian: by source packages, with a range of their versions. */
const ADVISORY = {
  schema_version: '1.7.3',
  id: 'DEBIAN-CVE-2026-0001',
  published: '2026-01-05T00:00:00Z',
  modified: '2026-01-06T00:00:00Z',
  upstream: ['CVE-2026-0001'],
  details: 'A flaw of a fixture.',
  severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }],
  affected: ['Debian:11', 'Debian:12'].map((ecosystem) => ({
    package: { ecosystem, name: 'earth', purl: 'pkg:deb/debian/earth?arch=source' },
    ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '1.9-2+deb12u1' }] }],
    versions: ['1.9-1'],
    ecosystem_specific: { urgency: 'not yet assigned' },
  })),
};

/** A refusal, and the text that apt prints of it. */
const REFUSED = {
  'with an advisory of its source': { wanted: 'libearth1=1.9-1', says: /403 .*vulnerable.*DEBIAN-CVE-2026-0001/ },
  'of a few seconds': { wanted: 'young', says: /403 .*cooldown/ },
  'by its name': { wanted: 'world', says: /403 .*no-world/ },
};

/**
 * Tries all ways that apt has to a package that policy refuses: from the repository, by sums and by names, from a state of the past, and by the
 * server as its HTTP proxy. Its index verifies all the same.
 * @param {Tally} tally
 */
export async function debPolicy(tally) {
  const more = (/** @type {string} */ folder) => ({
    policy: { file: join(folder, 'policy.yaml') },
    scanners: [{ type: 'osv', from: join(folder, 'advisories'), directory: join(folder, 'osv') }],
  });
  await withArchive({ more, options: { keepGenerations: 10 } }, async (scene) => {
    const { folder, archive, server } = scene;
    await mkdir(join(folder, 'advisories/Debian'), { recursive: true });
    await writeFile(join(folder, 'advisories/Debian', `${ADVISORY.id}.json`), JSON.stringify(ADVISORY));
    await writeFile(join(folder, 'policy.yaml'), JSON.stringify(POLICY));
    archive.add('libearth1', '1.9-1', { source: 'earth' });
    archive.add('libearth1', '2:1.0', { source: 'earth (1.9-2+deb12u1)', isBeside: true });
    archive.add('young', '1.0');
    archive.add('newborn', '1.0');
    archive.add('world', '2.0');
    await archive.publish();
    await server.start();
    await tally.check('deb: the server has the advisories for Debian', () =>
      until('the database', async () => {
        const { scanners } = JSON.parse((await get(`${server.url}/-/api/v1/scans`)).body.toString());
        return scanners[0].databaseDate !== undefined;
      }),
    );
    const clients = await clientsOf(scene);
    for (const [way, client] of Object.entries(clients)) await refuse(tally, scene, way, client);
    await tally.check('deb: what nobody may have was asked of no mirror', () => {
      const asked = scene.mirrors.flatMap((mirror) => mirror.asked).filter((path) => path.endsWith('.deb'));
      assert.deepEqual(new Set(asked), new Set([pathOf(scene, 'libearth1', '2:1.0')]));
    });
    await tally.check('deb: a cooldown ends by itself, and apt gets the package', async () => {
      const client = /** @type {Apt} */ (clients['by sums']);
      assert.match((await client.download('newborn')).stderr, /403 .*held by short/);
      await until('its end', async () => (await client.download('newborn')).code === 0);
    });
  });
}

/** @param {Scene} scene @returns {Promise<Record<string, Apt>>} */
async function clientsOf({ server, mirrors, apt }) {
  const proxied = [`Acquire::http::Proxy=${server.url}`];
  const first = await apt('refused-by-sums');
  succeeded(await first.run('update'));
  const now = new Date(Date.now() + 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return {
    'by sums': first,
    'by names': await apt('refused-by-names', ['Acquire::By-Hash=no']),
    'from a state of the past': await apt('refused-past', [], `${server.url}/debian/snapshots/${now}`),
    'as a proxy': await apt('refused-proxied', proxied, mirrors[0]?.url),
  };
}

/** @param {Tally} tally @param {Scene} scene @param {string} way @param {Apt} client */
async function refuse(tally, scene, way, client) {
  await tally.check(`deb: apt gets an index that verifies, and the version without an advisory, ${way}`, async () => {
    succeeded(await client.run('update'));
    succeeded(await client.download('libearth1'));
    assert.deepEqual(await client.archives(), ['libearth1_2%3a1.0_all.deb']);
  });
  for (const [what, { wanted, says }] of Object.entries(REFUSED)) {
    await tally.check(`deb: apt is refused a package ${what}, ${way}`, async () => {
      const result = await client.download(wanted, '--allow-downgrades');
      assert.notEqual(result.code, 0, outputOf(result));
      assert.match(result.stderr, says, outputOf(result));
      if (way === 'by sums') note(`deb: apt prints: ${/403 .*/.exec(result.stderr)?.[0]}`);
      assert.deepEqual(await client.archives(), ['libearth1_2%3a1.0_all.deb']);
    });
  }
  await tally.check(`deb: the index of apt verifies after a refusal, ${way}`, async () => {
    succeeded(await client.run('update'));
    assert.ok(scene.server.isRunning);
  });
}

/** @param {Scene} scene @param {string} name @param {string} version */
function pathOf({ archive }, name, version) {
  return archive.packages.find((one) => one.name === name && one.version === version)?.path;
}
