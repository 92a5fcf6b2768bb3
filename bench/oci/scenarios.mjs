import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get as ask } from '@entrepot/fixtures/get';
import { digestOf, TYPES } from '@entrepot/fixtures/oci-images';
import { crowd, inTurn } from '../lib/crowd.mjs';
import { seededBytes, sha256 } from '../lib/fixtures.mjs';
import { get, keepAliveAgent } from '../lib/http.mjs';
import { cpuSeconds } from '../lib/processes.mjs';
import { runRates } from '../lib/rates.mjs';
import { median, rotated, summarise } from '../lib/statistics.mjs';
import { coldImage, LAYER_KILOBYTES, layerDigest, MANY_TAGS, manyTags, warmImage } from './fixtures.mjs';

const PROXIES = ['entrepot', 'distribution', 'docker-registry', 'zot'];
const ALL = ['entrepot', 'distribution', 'distribution-hosted', 'docker-registry', 'zot'];
const HOSTED = ['entrepot', 'distribution-hosted', 'zot'];
const CLIENTS = 20;
const COLD_MEGABYTES = 1_000;
const QUICK_COLD_MEGABYTES = 100;
const PATIENCE = 180_000;
const PUSHERS = 8;
const MANIFEST_TYPES = { accept: `${TYPES.manifest}, ${TYPES.index}` };
const TAGS_A_PUSH = 100;
const LISTINGS = 5;
/** Those whose hosted tags are looked at. */
const TAGGED = ['entrepot', 'distribution-hosted'];

const warm = warmImage();
const manifest = warm.tagged('1.0');

/** `path` below the name of the warm image. Its tag is asked for first: zot has nothing of an image before. */
function warmCase({ id, title, path, expected, ...extra }) {
  const one = {
    id,
    title,
    servers: PROXIES,
    headers: MANIFEST_TYPES,
    async urlOf(server) {
      await get(`${server.pull}/bench/app/manifests/1.0`, { headers: MANIFEST_TYPES, timeout: PATIENCE });
      return `${server.pull}/bench/app/${path}`;
    },
    expected: () => expected,
    digest: sha256,
    connections: 16,
    field: 'requestsPerSecond',
    ...extra,
  };
  return { id, title, quick: (one.bars ?? []).length > 0, run: (bench) => runRates(bench, one) };
}

function blobCase(kilobytes, extra) {
  const digest = layerDigest(warm, kilobytes);
  return warmCase({
    id: `blob-${kilobytes}`,
    title: `A kept layer of ${kilobytes < 1000 ? `${kilobytes} KB` : `${kilobytes / 1000} MB`}`,
    path: `blobs/${digest}`,
    expected: digest.replace('sha256:', ''),
    servers: ALL,
    headers: {},
    field: 'gigabytesPerSecond',
    bars: [{ against: 'distribution-hosted', least: 0.8 }],
    ...extra,
  });
}

const rates = [
  warmCase({
    id: 'tag',
    title: 'A kept manifest by its tag',
    path: 'manifests/1.0',
    expected: sha256(manifest.bytes),
    bars: [{ against: 'distribution', least: 10 }],
  }),
  warmCase({
    id: 'digest',
    title: 'A kept manifest by its digest',
    path: `manifests/${manifest.descriptor.digest}`,
    expected: sha256(manifest.bytes),
    servers: ALL,
  }),
  blobCase(LAYER_KILOBYTES[0], { field: 'requestsPerSecond' }),
  blobCase(LAYER_KILOBYTES[1], { connections: 8 }),
  blobCase(LAYER_KILOBYTES[2], { connections: 4, seconds: 3 }),
];

/**
 * Pulls as clients do: the manifest, then the layer. The first byte is that of the layer, from the first request on.
 */
async function pull(server, { set, layer }, agent) {
  const since = performance.now();
  const place = `${server.pull}/${set.name}`;
  const found = await get(`${place}/manifests/1.0`, { headers: MANIFEST_TYPES, agent, timeout: PATIENCE });
  if (found.status !== 200) return { status: found.status, length: 0, firstByte: NaN, total: NaN };
  const before = performance.now() - since;
  let length = 0;
  const sink = (chunk) => (length += chunk.length);
  const answer = await get(`${place}/blobs/${layer.digest}`, { agent, sink, timeout: PATIENCE });
  return { status: answer.status, length, firstByte: before + answer.firstByte, total: before + answer.total };
}

const coldLayer = {
  id: 'cold-layer',
  title: `${CLIENTS} clients at once pull an image with a cold layer of 1 GB that comes at 100 MB/s`,
  async run(bench) {
    const notes = ['first byte: of the layer, from the request for the manifest on; upstream requests: for the layer'];
    const megabytes = bench.options.quick ? QUICK_COLD_MEGABYTES : COLD_MEGABYTES;
    if (megabytes !== COLD_MEGABYTES) notes.push(`with --quick the layer has ${megabytes} MB`);
    const servers = [];
    for (const id of PROXIES.filter((one) => bench.has(one))) servers.push(await bench.server(id));
    const rows = [];
    for (const [turn, server] of servers.entries()) {
      if (!bench.timeLeft()) break;
      // Another one for each server: all of them are kept in one page cache.
      const image = coldImage(megabytes, turn);
      await bench.origin.prepare(`/v2/${image.set.name}/manifests/1.0`);
      const isLayer = (path) => path.endsWith(`/blobs/${image.layer.digest}`);
      const before = await bench.origin.traffic(isLayer);
      const cpu = cpuSeconds(server.started.pid);
      const agent = keepAliveAgent(CLIENTS);
      const answers = await crowd(CLIENTS, () => pull(server, image, agent));
      agent.destroy();
      const after = await bench.origin.traffic(isLayer);
      const good = answers.filter(({ status, length }) => status === 200 && length === image.layer.size);
      if (good.length === 0) notes.push(`${server.id}: ${answers[0].error?.message ?? answers[0].status}`);
      const sample = {
        firstByte: median(good.map(({ firstByte }) => firstByte)),
        milliseconds: median(good.map(({ total }) => total)),
        // HEAD asks for no bytes.
        upstreamRequests: Math.round((after.bytes - before.bytes) / image.layer.size),
        failed: answers.length - good.length,
        cpu: cpuSeconds(server.started.pid) - cpu,
      };
      rows.push(summarise(server.id, [sample], 'firstByte'));
    }
    const bars = [
      { most: 150, of: 'firstByte', unit: 'ms to the first byte' },
      { most: 1, of: 'upstreamRequests', unit: 'fetches of the layer' },
      { most: 0, of: 'failed', unit: 'failed' },
    ];
    return { kind: 'firstByte', notes, rows, bars };
  },
};

/** POST, then PUT with all bytes, or a PATCH for each part and a PUT without any. */
async function pushBlob(server, { bytes, digest }, parts) {
  const name = `${server.prefix}bench/pushed`;
  const opened = await ask(`${server.push}/v2/${name}/blobs/uploads/`, {
    method: 'POST',
    headers: { 'content-length': '0' },
  });
  let place = new URL(opened.headers.location ?? '', server.push).href;
  const size = Math.ceil(bytes.length / parts);
  for (let at = 0; at + size <= bytes.length; at += size) {
    const body = bytes.subarray(at, at + size);
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': String(body.length),
      'content-range': `${at}-${at + body.length - 1}`,
    };
    const answer = await ask(place, { method: 'PATCH', headers, body });
    if (answer.status !== 202) throw new Error(`PATCH: ${answer.status}: ${answer.body}`);
    place = new URL(answer.headers.location ?? '', server.push).href;
  }
  const last = new URL(place);
  last.searchParams.set('digest', digest);
  const body = parts > 0 ? Buffer.alloc(0) : bytes;
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(body.length) };
  const answer = await ask(last.href, { method: 'PUT', headers, body });
  if (answer.status !== 201) throw new Error(`PUT: ${answer.status}: ${answer.body}`);
}

function pushCase({ id, title, megabytes, parts = 0, count, quick = true }) {
  return {
    id,
    title,
    quick,
    async run(bench) {
      const servers = [];
      for (const one of HOSTED.filter((name) => bench.has(name))) servers.push(await bench.server(one));
      const samples = new Map(servers.map((server) => [server.id, []]));
      // The first turn, which does not count, is for what compiles as it runs.
      for (let turn = -1; turn < bench.options.runs && bench.timeLeft(); turn++) {
        for (const server of rotated(servers, turn + 1)) {
          const blobs = Array.from({ length: count }, (_, index) => {
            const bytes = seededBytes(`${id} ${turn} ${index}`, megabytes * 1_000_000);
            return { bytes, digest: digestOf(bytes) };
          });
          const cpu = cpuSeconds(server.started.pid);
          const since = performance.now();
          const results = await inTurn(count, PUSHERS, (index) => pushBlob(server, blobs[index], parts));
          const seconds = (performance.now() - since) / 1000;
          const failed = results.find((result) => result?.error);
          if (failed) throw new Error(`${server.id}: ${failed.error.message}`);
          if (turn < 0) continue;
          const gigabytes = (count * megabytes) / 1000;
          samples.get(server.id).push({
            gigabytesPerSecond: gigabytes / seconds,
            cpuPerGigabyte: (cpuSeconds(server.started.pid) - cpu) / gigabytes,
          });
        }
      }
      const rows = servers.map((server) => summarise(server.id, samples.get(server.id), 'gigabytesPerSecond'));
      return { kind: 'gigabytesPerSecond', rows, bars: [] };
    },
  };
}

const pushes = [
  pushCase({ id: 'push-10', title: `Push of layers of 10 MB, ${PUSHERS} at once`, megabytes: 10, count: 16 }),
  pushCase({
    id: 'push-chunks',
    title: `Push of layers of 10 MB in ten chunks, ${PUSHERS} at once`,
    megabytes: 10,
    parts: 10,
    count: 16,
    quick: false,
  }),
  pushCase({ id: 'push-100', title: 'Push of layers of 100 MB, two at once', megabytes: 100, count: 2, quick: false }),
];

const tagged = new WeakSet();

/** Gives a hosted name its tags: by pushes of a hundred where the server knows them, else where the server keeps them. */
async function addTags(server) {
  if (tagged.has(server)) return;
  tagged.add(server);
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPES.index, manifests: [] }));
  const digest = digestOf(bytes);
  const place = `${server.push}/v2/${server.prefix}bench/many/manifests`;
  const put = async (reference) => {
    const headers = { 'content-type': TYPES.index, 'content-length': String(bytes.length) };
    const answer = await ask(`${place}/${reference}`, { method: 'PUT', headers, body: bytes });
    if (answer.status !== 201) throw new Error(`PUT ${reference}: ${answer.status}: ${answer.body}`);
  };
  const tags = manyTags(MANY_TAGS);
  if (server.root === undefined) {
    for (let at = 0; at < tags.length; at += TAGS_A_PUSH) {
      await put(
        `${digest}?${tags
          .slice(at, at + TAGS_A_PUSH)
          .map((tag) => `tag=${tag}`)
          .join('&')}`,
      );
    }
    return;
  }
  await put(tags[0]);
  const folder = join(server.root, 'docker/registry/v2/repositories', `${server.prefix}bench/many`, '_manifests/tags');
  await inTurn(tags.length, 16, async (index) => {
    await mkdir(join(folder, tags[index], 'current'), { recursive: true });
    await writeFile(join(folder, tags[index], 'current/link'), digest);
  });
}

function tagsCase({ id, title, servers, urlOf, count, ...extra }) {
  const one = {
    id,
    title,
    servers,
    headers: {},
    urlOf,
    expected: () => count,
    digest: (body) => JSON.parse(body).tags.length,
    connections: 4,
    field: 'requestsPerSecond',
    bars: [],
    ...extra,
  };
  return { id, title, quick: id === 'tags-proxied', run: (bench) => runRates(bench, one) };
}

async function hostedTags(server, query) {
  await addTags(server);
  return `${server.push}/v2/${server.prefix}bench/many/tags/list${query}`;
}

/** Some need longer for one than a load generator waits. */
const hostedTagList = {
  id: 'tags-hosted',
  title: `The list of ${MANY_TAGS.toLocaleString('en-US')} tags that were pushed, one after the other`,
  quick: false,
  async run(bench) {
    const rows = [];
    for (const id of TAGGED.filter((one) => bench.has(one))) {
      const url = await hostedTags(await bench.server(id), '');
      const samples = [];
      for (let turn = 0; turn < LISTINGS; turn++) {
        const { body, firstByte, total } = await get(url);
        const { length } = JSON.parse(body).tags;
        if (length !== MANY_TAGS) throw new Error(`${id}: ${length} tags`);
        samples.push({ milliseconds: total, firstByte });
      }
      rows.push(summarise(id, samples, 'milliseconds'));
    }
    return { kind: 'milliseconds', rows, bars: [] };
  },
};

const lists = [
  tagsCase({
    id: 'tags-proxied',
    title: `The list of ${MANY_TAGS.toLocaleString('en-US')} tags of the upstream`,
    servers: ['entrepot', 'distribution', 'docker-registry'],
    urlOf: (server) => `${server.pull}/bench/many/tags/list`,
    count: MANY_TAGS,
  }),
  hostedTagList,
  tagsCase({
    id: 'tags-page',
    title: 'A page of 1,000 of them',
    servers: TAGGED,
    urlOf: (server) => hostedTags(server, '?n=1000&last=v5'),
    count: 1000,
  }),
];

export const scenarios = [...rates, ...pushes, ...lists, coldLayer];
