import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { fixtureImages } from '@entrepot/fixtures/oci-images';
import { pushSet } from '@entrepot/fixtures/push-images';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { conformHosted, conformReadOnly } from './oci-hermetic.mjs';

/** @import { Tally } from '../tally.mjs' */

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
