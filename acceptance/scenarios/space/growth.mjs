import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { bytesOf } from '@entrepot/fixtures/named-objects';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { StoreView } from '../../servers/store-view.mjs';
import { note } from '../../tally.mjs';

/** @import { Answer } from '@entrepot/fixtures/get' */
/** @import { Tally } from '../../tally.mjs' */

const MB = 1e6;
/** The most on the disk, as a multiple of what entries point at. */
const MOST = 1.1;

/**
 * All that leaves bytes behind: what is deleted and overwritten, documents that change, indexes that grow.
 * @param {Tally} tally
 * @param {{ changes: number, charts: number }} options the number of times that a document changes, and of versions of a chart
 */
export async function growth(tally, { changes, charts }) {
  await withScratch('space-growth', async (folder) => {
    let revision = 0;
    const origin = await new Origin((_request, response) => {
      revision += 1;
      const body = JSON.stringify(packument(origin.url, revision));
      response.writeHead(200, { 'content-type': 'application/json', etag: `"${revision}"` }).end(body);
    }).start();
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        own: { type: 'files', kind: 'hosted', overwrite: true },
        charts: { type: 'helm', kind: 'hosted' },
        images: { type: 'oci', kind: 'hosted' },
        npm: { type: 'npm', upstream: origin.url, cache: { packument: { freshFor: 0 } } },
      },
      more: {
        storage: { path: join(folder, 'blobs'), gc: { interval: '0s', grace: '0s' } },
        log: { access: false },
      },
    });
    const view = StoreView.ofFile(join(folder, 'blobs'), join(folder, 'entrepot.db'));
    try {
      await server.start({ timeout: 120_000 });
      await tally.check(
        `what is deleted, overwritten and replaced goes: at the most ${MOST} × what is kept stays`,
        async () => {
          await deleteUpload(server);
          for (let round = 0; round < 10; round += 1)
            await put(server, '/own/over', bytesOf(`over ${round}`, 10 * MB), [201, 204, 200]);
          for (let round = 0; round < changes; round += 1)
            assert.equal((await get(`${server.url}/npm/moving`)).status, 200);
          for (let at = 0; at < charts; at += 1) {
            const body = chartArchive({ name: 'one', version: `1.0.${at}`, description: `Number ${at}` });
            expectStatus(await get(`${server.url}/charts/api/charts`, { method: 'POST', body }), [201], `chart ${at}`);
          }
          await pushAndDelete(server);
          await settle(server, view, revision);
        },
      );
    } finally {
      await server.kill();
      await origin.stop();
    }
  });
}

/** Runs the collector twice, and weighs what is left. @param {EntrepotServer} server @param {StoreView} view @param {number} revision */
async function settle(server, view, revision) {
  const before = await view.bytesOnDisk();
  for (let round = 0; round < 2; round += 1) await server.command(['gc']).end();
  const [after, named] = await Promise.all([view.bytesOnDisk(), view.namedBytes()]);
  note(
    `on the disk ${(before / MB).toFixed(1)} MB before and ${(after / MB).toFixed(1)} MB after, of which entries point at ${(named / MB).toFixed(1)} MB`,
  );
  assert.ok(after <= MOST * named, `at the most ${MOST} × ${named} bytes were expected on the disk, found ${after}`);
  const over = await get(`${server.url}/own/over`);
  assert.ok(over.body.equals(bytesOf('over 9', 10 * MB)), 'the last upload was expected');
  const moving = JSON.parse((await get(`${server.url}/npm/moving`)).body.toString());
  assert.ok(moving.versions[`1.0.${revision + 1}`], 'the newest document was expected');
  const chart = await get(`${server.url}/charts/index.yaml`);
  assert.ok(
    chart.status === 200 && chart.body.includes('1.0.0'),
    `the index of charts was expected, found ${chart.status}: ${chart.body.toString().slice(0, 300)}`,
  );
}

/** @param {EntrepotServer} server */
async function deleteUpload(server) {
  await put(server, '/own/large', bytesOf('large', 50 * MB), [201]);
  expectStatus(await get(`${server.url}/own/large`, { method: 'DELETE' }), [200, 204], 'DELETE /own/large');
}

/** @param {EntrepotServer} server */
async function pushAndDelete(server) {
  const body = bytesOf('layer', 20 * MB);
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const begun = await get(`${server.url}/v2/images/a/blobs/uploads/`, { method: 'POST' });
  expectStatus(begun, [202], 'the beginning of an upload');
  const place = new URL(begun.headers.location ?? '', server.url);
  place.searchParams.set('digest', digest);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(body.length) };
  expectStatus(await get(place.href, { method: 'PUT', headers, body }), [201], 'PUT of a layer');
  const deleted = await get(`${server.url}/v2/images/a/blobs/${digest}`, { method: 'DELETE' });
  expectStatus(deleted, [202], 'DELETE of a layer');
}

/** @param {EntrepotServer} server @param {string} path @param {Buffer} body @param {readonly number[]} statuses */
async function put(server, path, body, statuses) {
  expectStatus(await get(server.url + path, { method: 'PUT', body }), statuses, `PUT ${path}`);
}

/** @param {Answer} found @param {readonly number[]} statuses @param {string} what */
function expectStatus({ status, body }, statuses, what) {
  assert.ok(
    statuses.includes(status),
    `${what}: ${statuses.join(' or ')} was expected, found ${status}: ${body.toString().slice(0, 500)}`,
  );
}

/** A document of about a megabyte, another one at each revision. @param {string} base @param {number} revision */
function packument(base, revision) {
  const version = `1.0.${revision}`;
  const integrity = `sha512-${createHash('sha512').update(version).digest('base64')}`;
  const dist = { integrity, tarball: `${base}/moving/-/moving-${version}.tgz` };
  const readme = bytesOf(`readme ${revision}`, 500_000).toString('hex');
  return {
    name: 'moving',
    'dist-tags': { latest: version },
    versions: { [version]: { name: 'moving', version, dist } },
    readme,
  };
}
