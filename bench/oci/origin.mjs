/** The upstream of the servers in the suite for images: a registry without authentication. Argument: the round trip. */
import { setTimeout as delay } from 'node:timers/promises';
import { serveOrigin } from '../lib/origin-server.mjs';
import { coldImage, MANY_TAGS, manyTags, TRICKLE, warmImage } from './fixtures.mjs';

const ROUTE = /^\/v2\/(?<name>.+)\/(?<kind>manifests|blobs|tags|referrers)\/(?<reference>[^/]+)$/;
const COLD = /^bench\/cold-(\d+)-(\d+)$/;
const STEP = 20;

const images = new Map([['bench/app', { set: warmImage() }]]);
const answers = new Map();

function imageOf(name) {
  const cold = COLD.exec(name);
  if (cold && !images.has(name)) images.set(name, coldImage(Number(cold[1]), Number(cold[2])));
  return images.get(name);
}

function answer(path) {
  if (!answers.has(path)) answers.set(path, make(path));
  return answers.get(path);
}

function make(path) {
  if (path === '/v2/') return { bytes: Buffer.from('{}'), mediaType: 'application/json' };
  const { name, kind, reference } = ROUTE.exec(path)?.groups ?? {};
  if (name === 'bench/many' && kind === 'tags') return tagList(name, manyTags(MANY_TAGS));
  const image = name && imageOf(name);
  if (!image) return undefined;
  const { set, layer } = image;
  if (kind === 'tags') return tagList(name, set.tags);
  if (kind === 'blobs') {
    if (reference === layer?.digest) return { respond: (...all) => void trickle(layer, ...all) };
    const bytes = set.blobs.get(reference);
    return bytes && withDigest(bytes, 'application/octet-stream', reference);
  }
  const manifest = set.manifests.find(
    ({ tags, descriptor }) => tags.includes(reference) || descriptor.digest === reference,
  );
  return kind === 'manifests' && manifest
    ? withDigest(manifest.bytes, manifest.mediaType, manifest.descriptor.digest)
    : undefined;
}

function tagList(name, tags) {
  return { bytes: Buffer.from(JSON.stringify({ name, tags })), mediaType: 'application/json' };
}

function withDigest(bytes, mediaType, digest) {
  return { bytes, mediaType, headers: { 'docker-content-digest': digest } };
}

/** Sends a layer no faster than a registry that is far away. */
async function trickle(layer, request, response, count) {
  const { digest, size } = layer;
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': size,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  });
  if (request.method === 'HEAD') return response.end();
  const since = performance.now();
  let sent = 0;
  for (const bytes of layer.pieces()) {
    if (response.destroyed) return undefined;
    response.write(bytes);
    count(bytes.length);
    sent += bytes.length;
    const ahead = (sent / TRICKLE) * 1000 - (performance.now() - since);
    if (ahead > STEP) await delay(ahead);
  }
  return response.end();
}

serveOrigin({ answer, roundTrip: Number(process.argv[2]) });
