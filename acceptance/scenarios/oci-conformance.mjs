import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { fixtureImages } from '@entrepot/fixtures/oci-images';
import { pushSet } from '@entrepot/fixtures/push-images';
import { emptied, withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { runConformance } from '../clients/oci-conformance.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { ConformanceCounts } from '../clients/oci-conformance.mjs' */
/** @import { ImagePlace } from '../clients/oci-command.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** Fewer tests than these were not a run: a wrong setting makes the conformance test leave nearly everything out. */
const LEAST = { 1.1: 679, dev: 822, readOnly: 48 };

/**
 * The conformance test of the OCI distribution specification on a hosted repository and, read only, on a proxied one. It needs
 * Go and nothing else, and has to be there.
 * @param {Tally} tally
 */
export async function ociConformance(tally) {
  const isThere = await tally.check('oci: the conformance test of the specification is on this machine', async () => {
    assert.ok((await provideTool('conformance')) !== undefined, 'expected it to be built by `go`');
  });
  if (!isThere) return;
  await withScratch('oci-conformance', async (folder) => {
    const images = fixtureImages({ chart: chartArchive({ name: 'demo', version: '1.0.0' }) });
    const origin = await open(join(folder, 'origin'), {
      local: { type: 'oci', kind: 'hosted', sparse: true, access: { anonymous: 'write' } },
    });
    const proxy = await open(join(folder, 'proxy'), { hub: { type: 'oci', upstream: origin.url } });
    const scene = { tally, folder, images, peer: false };
    try {
      if (!(await tally.check('oci: the registries start', () => startBoth(origin, proxy)))) return;
      const local = { host: `127.0.0.1:${origin.port}`, prefix: 'local/' };
      await conformHosted(scene, { ...local, prefix: 'local/conformance-1-1/' }, { version: '1.1' });
      await conformHosted(scene, { ...local, prefix: 'local/conformance-dev/' }, { version: 'dev' });
      await tally.check('oci: images for the proxied repository are pushed', async () => {
        for (const set of [images.signed, images.nested]) {
          await pushSet(origin.url, set, undefined, `local/${set.name}`);
        }
      });
      const proxied = { host: `127.0.0.1:${proxy.port}`, prefix: 'hub/local/' };
      await conformReadOnly(scene, 'of a proxied repository, cold', proxied);
      await conformReadOnly(scene, 'of a proxied repository, warm', proxied);
    } finally {
      await proxy.stop();
      await origin.stop();
    }
  });
}

/** @param {string} folder @param {Record<string, unknown>} repositories */
async function open(folder, repositories) {
  await mkdir(folder, { recursive: true });
  return new EntrepotServer({ folder, port: await freePort(), repositories });
}

/** @param {readonly EntrepotServer[]} servers */
async function startBoth(...servers) {
  for (const server of servers) await server.start();
}

/**
 * The setting of a conformance test.
 * @typedef {{ tally: Tally, folder: string, images: ReturnType<typeof fixtureImages>, peer: boolean }} ConformanceScene
 */

/** @param {ConformanceScene} scene @param {ImagePlace} place @param {{ version: '1.1' | 'dev', settings?: Record<string, string> }} options */
export async function conformHosted({ tally, folder, peer }, { host, prefix }, { version, settings = {} }) {
  const program = await provideTool('conformance');
  if (program === undefined) return;
  const name = `oci: conformance (${version}) of ${prefix}`;
  await tally.check(name, async () => {
    const more = version === 'dev' ? { DATA_SPARSE: 'true' } : {};
    const counts = await runConformance({
      program,
      host,
      folder: await emptied(join(folder, 'conformance')),
      settings: { VERSION: version, REPO1: `${prefix}one`, REPO2: `${prefix}two`, ...more, ...settings },
    });
    note(`${name}: ${counts.passed} passed, ${counts.failed.length} not, ${counts.skipped} left out`);
    expectConformance(counts, peer ? 500 : LEAST[version], { peer });
  });
}

/**
 * @param {ConformanceScene} scene
 * @param {string} how
 * @param {ImagePlace} place
 * @param {Record<string, string>} [settings]
 * @param {readonly string[]} [unknowable] tests that ask for what cannot be known
 */
export async function conformReadOnly(
  { tally, folder, images, peer },
  how,
  { host, prefix },
  settings = {},
  unknowable = [],
) {
  const program = await provideTool('conformance');
  if (program === undefined) return;
  const name = `oci: conformance, read only, ${how}`;
  const { signed, subject } = images;
  await tally.check(name, async () => {
    const counts = await runConformance({
      program,
      host,
      folder: await emptied(join(folder, 'conformance')),
      settings: {
        VERSION: '1.1',
        REPO1: `${prefix}${signed.name}`,
        REPO2: `${prefix}team/nested`,
        API_PUSH: 'false',
        API_BLOBS_DELETE: 'false',
        API_MANIFESTS_DELETE: 'false',
        API_TAGS_DELETE: 'false',
        RO_DATA_TAGS: signed.tags.join(' '),
        RO_DATA_MANIFESTS: signed.manifests.map(({ descriptor }) => descriptor.digest).join(' '),
        RO_DATA_BLOBS: [...signed.blobs.keys()].join(' '),
        RO_DATA_REFERRERS: subject.digest,
        ...settings,
      },
    });
    note(`${name}: ${counts.passed} passed, ${counts.failed.length} not, ${counts.skipped} left out`);
    const failed = counts.failed.filter((line) => !unknowable.some((test) => line.includes(`Test/${test}: `)));
    expectConformance({ ...counts, failed }, LEAST.readOnly - unknowable.length, { peer });
  });
}

/** @param {ConformanceCounts} counts @param {number} least @param {{ peer: boolean }} options */
function expectConformance({ passed, failed }, least, { peer }) {
  // Failures of other programs are theirs.
  if (!peer) assert.deepEqual(failed, []);
  assert.ok(passed >= least, `at least ${least} tests were expected to pass, found ${passed}`);
}
