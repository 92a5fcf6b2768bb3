import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { digestOf, fixtureImages, ImageSet, noise } from '@entrepot/fixtures/oci-images';
import { emptied, withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { rawRequest } from '../clients/raw-request.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { UpstreamRegistry, USERS } from '../servers/oci-registry.mjs';
import { note } from '../tally.mjs';
import { conformHosted, conformReadOnly } from './oci-conformance.mjs';

/** @import { ImagePlace, OciClient } from '../clients/oci-command.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** With the upstream gone, nobody can say that something does not exist: a 404 would be a lie. */
const UNKNOWABLE = ['empty/referrers', 'missing-manifest/by-digest', 'missing-manifest/by-tag'];
const NAMESPACE = 'hub.test';
const WRITER = { username: 'writer', password: USERS.writer.password };
const READER = { username: 'reader', password: USERS.reader.password };

/**
 * Container images: the conformance test of the specification on a hosted and on a proxied repository, and every client
 * on both: from an empty store, with the upstream gone, and with an upstream that wants no more requests.
 * @param {Tally} tally
 * @param {readonly OciClient[]} clients
 * @param {{ peer?: boolean }} [options] `peer`: everything that makes sense there is tried on the registry program itself,
 *   which tells a wrong test from a wrong server
 */
export async function ociHermetic(tally, clients, { peer = false } = {}) {
  const binary = await UpstreamRegistry.program();
  if (binary === undefined || (await provideTool('openssl')) === undefined) return;
  await withScratch('oci', async (folder) => {
    const upstream = new UpstreamRegistry(join(folder, 'upstream'), { binary });
    const images = fixtureImages({ chart: chartArchive({ name: 'demo', version: '1.0.0+build.1' }) });
    try {
      const isThere = await tally.check('oci: an upstream registry with token authentication starts', async () => {
        await upstream.start();
        for (const set of Object.values(images)) if (set instanceof ImageSet) await upstream.preload(set);
      });
      if (!isThere) return;
      const scene = { tally, clients, folder, upstream, images, peer };
      if (peer) await onPeer(scene);
      else await onEntrepot(scene);
    } finally {
      await upstream.stop();
    }
  });
}

/**
 * @typedef {object} Scene
 * @property {Tally} tally
 * @property {readonly OciClient[]} clients
 * @property {string} folder
 * @property {UpstreamRegistry} upstream
 * @property {ReturnType<typeof fixtureImages>} images
 * @property {boolean} peer whether a registry of others is looked at
 */

/** @param {Scene} scene */
async function onPeer(scene) {
  const { tally, clients, folder, upstream } = scene;
  const from = { host: upstream.host, prefix: '', credentials: WRITER };
  const to = { host: upstream.host, prefix: 'pushed/', credentials: WRITER };
  const login = { USERNAME: WRITER.username, PASSWORD: WRITER.password };
  await conformReadOnly(scene, 'of the registry itself', from, login);
  await conformHosted(scene, { ...from, prefix: 'conformance/' }, { version: '1.1', settings: login });
  await readAll(scene, 'from the registry itself', from, to);
  for (const client of clients) {
    const home = join(folder, `${client.name}-write`);
    await tally.check(`oci: ${client.name} pushes to the registry itself`, async () => {
      await client.write({ home: await emptied(home), from, to, images: scene.images });
    });
  }
}

/** @param {Scene} scene */
async function onEntrepot(scene) {
  const { tally, clients, folder, upstream, images } = scene;
  const repositories = {
    hub: {
      type: 'oci',
      upstream: upstream.url,
      auth: READER,
      namespaces: [NAMESPACE],
      // Every tag is asked for again, so that an outage shows.
      cache: { tag: { freshFor: '0s' } },
    },
    local: { type: 'oci', kind: 'hosted', sparse: true, access: { anonymous: 'write' } },
  };
  const env = { READER_PASSWORD: READER.password, WRITER_PASSWORD: WRITER.password };
  const server = new EntrepotServer({ folder, port: await freePort(), repositories, env });
  const host = `127.0.0.1:${server.port}`;
  const from = { host, prefix: 'hub/', namespace: NAMESPACE };
  const to = { host, prefix: 'local/' };
  try {
    if (!(await tally.check('oci: the server starts', () => server.start()))) return;
    await coldBlob(scene, server);
    await conformReadOnly(scene, 'of a proxied repository, cold', from);
    await conformReadOnly(scene, 'of a proxied repository, warm', from);
    await readAll(scene, 'through the proxy', from, to);
    await tally.check('oci: every blob was fetched once for all clients, and a token served many requests', () => {
      const blobs = [...upstream.proxy.statuses].filter(([name]) => name.startsWith('GET') && name.includes('/blobs/'));
      const more = blobs.filter(([, statuses]) => fetches(statuses) > 1);
      assert.deepEqual(more, []);
      const tokens = [...(upstream.issuer?.tokens ?? [])];
      assert.deepEqual(
        tokens.filter(([scope, times]) => times > 1 || !scope.endsWith(':pull')),
        [],
      );
    });
    for (const client of clients) {
      await tally.check(`oci: ${client.name} pushes to a hosted repository`, async () => {
        const home = await emptied(join(folder, `${client.name}-write`));
        await client.write({ home, from, to, images });
      });
    }
    for (const version of /** @type {const} */ (['1.1', 'dev'])) {
      await conformHosted(scene, { ...to, prefix: `local/conformance-${version.replace('.', '-')}/` }, { version });
    }

    const upload = await beginUpload(scene, server);
    await upstream.proxy.stop();
    await tally.check('oci: the server starts again', async () => {
      noteErrors(server);
      await server.stop();
      await server.start();
    });
    if (upload !== undefined) await finishUpload(scene, server, upload);
    await readAll(scene, 'with the upstream gone', from, to);
    await conformReadOnly(scene, 'of a proxied repository, with the upstream gone', from, {}, UNKNOWABLE);
    await staleTag(scene, server, 'gone');

    await upstream.proxy.start();
    upstream.proxy.fault = {
      status: 429,
      headers: { 'retry-after': '7', 'content-type': 'application/json' },
      body: '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}',
    };
    await tally.check('oci: the server starts for the third time', async () => {
      noteErrors(server);
      await server.stop();
      await server.start();
    });
    await readAll(scene, 'with an upstream that answers 429', from, to);
    await staleTag(scene, server, 'answering 429');
    await tally.check(
      'oci: what is not kept is 429 with the Retry-After of the upstream, as an OCI error',
      async () => {
        const answer = await get(`${server.url}/v2/hub/team/unknown/manifests/1.0`);
        assert.equal(answer.status, 429);
        assert.equal(answer.headers['retry-after'], '7');
        assert.equal(JSON.parse(answer.body.toString()).errors[0].code, 'TOOMANYREQUESTS');
      },
    );
    upstream.proxy.fault = undefined;
    noteErrors(server);
    await withAccess(scene, server, repositories);
    await tally.check('oci: the server stops with 0', () => server.stop());
  } finally {
    noteErrors(server);
    await server.kill();
  }
}

/**
 * The same where nobody may do anything who does not say who they are.
 * @param {Scene} scene @param {EntrepotServer} server @param {Record<string, Record<string, unknown>>} repositories
 */
async function withAccess(scene, server, repositories) {
  const { tally, clients, folder, images } = scene;
  const users = {
    reader: { password: '${env:READER_PASSWORD}' },
    writer: { password: '${env:WRITER_PASSWORD}', may: 'write' },
  };
  const guarded = Object.entries(repositories).map(([name, one]) => [name, { ...one, access: { users } }]);
  // What is pushed comes from where everybody may pull, so that pushing alone is refused.
  server.repositories = { ...Object.fromEntries(guarded), open: { ...repositories.hub, namespaces: [] } };
  const isThere = await tally.check('oci: the server starts with users', async () => {
    await server.stop();
    await server.start();
  });
  if (!isThere) return;
  const host = `127.0.0.1:${server.port}`;
  const from = { host, prefix: 'hub/', namespace: NAMESPACE, credentials: WRITER };
  const to = { host, prefix: 'local/', credentials: WRITER };
  for (const client of clients) {
    await tally.check(`oci: ${client.name} pulls, lists, inspects and pushes as a user`, async () => {
      await client.read({ home: await emptied(join(folder, `${client.name}-read`)), from, to, images });
      await client.write({ home: await emptied(join(folder, `${client.name}-write`)), from, to, images });
    });
    for (const [who, credentials] of Object.entries({ nobody: undefined, 'somebody who may only read': READER })) {
      await tally.check(`oci: ${client.name} does not push as ${who}`, async () => {
        const place = { host, credentials };
        const setting = { from: { ...place, prefix: 'open/' }, to: { ...place, prefix: 'local/refused/' } };
        const home = await emptied(join(folder, `${client.name}-write`));
        await assert.rejects(client.write({ ...setting, home, images }), /unauthorized|denied|insufficient|401|403/i);
        const listed = await get(`${server.url}/v2/local/_catalog`, { headers: basic(WRITER) });
        assert.ok(!listed.body.includes('local/refused/'), listed.body.toString());
      });
    }
  }
  const login = { USERNAME: WRITER.username, PASSWORD: WRITER.password };
  const place = { ...to, prefix: 'local/conformance-users/' };
  await conformHosted(scene, place, { version: '1.1', settings: login });
  await conformHosted(scene, place, { version: '1.1', settings: { ...login, CACHE_AUTH: 'false' } });
  await conformReadOnly(scene, 'of a proxied repository, as a user', from, login);
}

/** @param {{ username: string, password: string }} credentials */
function basic({ username, password }) {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

/** Notes errors that the server has logged since its last start. @param {EntrepotServer} server */
function noteErrors(server) {
  const errors = server.log.split('\n').filter((line) => /^\{"level":"?(?:error|50|60|fatal)/.test(line));
  for (const line of errors.slice(0, 5)) note(`oci: the server said ${line.slice(0, 1500)}`);
}

/** A request without a token comes before the first one with it. @param {readonly number[]} [statuses] */
function fetches(statuses = []) {
  return statuses.filter((status) => status !== 401).length;
}

/** Every client, each with nothing of its own. @param {Scene} scene @param {string} how @param {ImagePlace} from @param {ImagePlace} to */
async function readAll({ tally, clients, folder, images }, how, from, to) {
  for (const client of clients) {
    await tally.check(`oci: ${client.name} pulls, lists and inspects ${how}`, async () => {
      await client.read({ home: await emptied(join(folder, `${client.name}-read`)), from, to, images });
    });
  }
}

/**
 * A layer while it comes in slowly: everybody gets it from the one fetch, parts of it too.
 * @param {Scene} scene @param {EntrepotServer} server
 */
async function coldBlob({ tally, upstream, images }, server) {
  const [digest = '', bytes = Buffer.alloc(0)] =
    [...images.large.blobs].find(([, { length }]) => length > 10_000_000) ?? [];
  const url = `${server.url}/v2/hub/team/large/blobs/${digest}`;
  await tally.check('oci: a layer that comes slowly is fetched once for six clients, whole and in parts', async () => {
    upstream.proxy.bytesPerSecond = 8_000_000;
    try {
      const ranges = [undefined, undefined, 'bytes=0-99', 'bytes=5000000-5000099', 'bytes=-100', undefined];
      const answers = await Promise.all(
        ranges.map((range) => get(url, { headers: range === undefined ? {} : { range } })),
      );
      for (const [at, { status, body, complete }] of answers.entries()) {
        const [, first = '', last = ''] = /^bytes=(\d*)-(\d+)$/.exec(ranges[at] ?? '') ?? [];
        const part = first === '' ? bytes.subarray(-Number(last)) : bytes.subarray(Number(first), Number(last) + 1);
        assert.equal(status, ranges[at] === undefined ? 200 : 206);
        assert.ok(complete && body.equals(ranges[at] === undefined ? bytes : part), `${ranges[at]}: other bytes`);
        assert.equal(digestOf(bytes), digest);
      }
      assert.equal(fetches(upstream.proxy.statuses.get(`GET /v2/team/large/blobs/${digest}`)), 1);
    } finally {
      upstream.proxy.bytesPerSecond = Infinity;
    }
  });
}

const UPLOADED = noise('a layer that comes in parts', 3_000_000);
const HALF = 1_000_000;

/**
 * Sends the first part of a layer over connections that end too early.
 * @param {Scene} scene @param {EntrepotServer} server
 * @returns {Promise<string | undefined>} the path of the upload
 */
async function beginUpload({ tally }, server) {
  let path;
  await tally.check('oci: an upload whose connections break, or are closed by half, keeps what came', async () => {
    const opened = await get(`${server.url}/v2/local/parts/blobs/uploads/`, { method: 'POST' });
    assert.equal(opened.status, 202);
    const place = opened.headers.location ?? '';
    const head = `PATCH ${place} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${UPLOADED.length}\r\n\r\n`;
    const first = Buffer.concat([Buffer.from(head), UPLOADED.subarray(0, HALF / 2)]);
    await rawRequest(server.port, first, { halfClose: true });
    await expectRange(server, place, HALF / 2);
    const rest = UPLOADED.length - HALF / 2;
    const next = head.replace(`Content-Length: ${UPLOADED.length}`, `Content-Length: ${rest}`);
    await rawRequest(server.port, Buffer.concat([Buffer.from(next), UPLOADED.subarray(HALF / 2, HALF)]), {
      silence: 300,
    });
    await expectRange(server, place, HALF);
    path = place;
  });
  return path;
}

/** A connection that broke is seen a moment later. @param {EntrepotServer} server @param {string} path @param {number} size */
async function expectRange(server, path, size) {
  let found;
  for (let attempt = 0; attempt < 50 && found !== `0-${size - 1}`; attempt += 1) {
    await delay(20);
    found = (await get(server.url + path)).headers.range;
  }
  assert.equal(found, `0-${size - 1}`);
}

/** @param {Scene} scene @param {EntrepotServer} server @param {string} path */
async function finishUpload({ tally }, server, path) {
  await tally.check('oci: an upload goes on after a restart', async () => {
    await expectRange(server, path, HALF);
    const digest = digestOf(UPLOADED);
    const late = await get(`${server.url}${path}?digest=${digest}`, { method: 'PUT', body: UPLOADED.subarray(HALF) });
    assert.equal(late.status, 201, late.body.toString());
    const pulled = await get(`${server.url}/v2/local/parts/blobs/${digest}`);
    assert.ok(pulled.body.equals(UPLOADED), 'other bytes');
  });
}

/** @param {Scene} scene @param {EntrepotServer} server @param {string} state */
async function staleTag({ tally, images }, server, state) {
  await tally.check(
    `oci: a kept tag is served within a second, with a warning, while the upstream is ${state}`,
    async () => {
      const started = performance.now();
      const answer = await get(`${server.url}/v2/hub/team/app/manifests/1.0`);
      assert.equal(answer.status, 200);
      assert.ok(answer.body.equals(images.app.tagged('1.0').bytes), 'other bytes');
      assert.match(answer.headers.warning ?? '', /^299 /);
      assert.equal(answer.headers['docker-content-digest'], images.first.digest);
      assert.equal(answer.headers['content-type'], images.first.mediaType);
      assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
    },
  );
}
