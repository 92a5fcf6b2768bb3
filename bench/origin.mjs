/**
 * The upstream of every server under test, in a process of its own: packages below `/npm/`, files below `/files/`
 * (`/files/bytes-10000000-a`, `/files/trickle-16777216-8000-a`), and counters at `/-/counts`. All bodies are in memory.
 */
import { createServer } from 'node:http';
import {
  abbreviate,
  packument,
  parsePackageName,
  representation,
  seededBytes,
  tarball,
  versionOf,
} from './lib/fixtures.mjs';

const ABBREVIATED = 'application/vnd.npm.install-v1+json';
const LAST_MODIFIED = 'Wed, 01 Jan 2020 00:00:00 GMT';
const TRICKLE_STEP = 50;

const representations = new Map();
const counts = new Map();
let origin = '';

function remember(key, create) {
  let found = representations.get(key);
  if (!found) representations.set(key, (found = create()));
  return found;
}

function document(name, abbreviated) {
  return remember(`document ${name} ${abbreviated}`, () => {
    const full = packument(name, `${origin}/npm`);
    const bytes = Buffer.from(JSON.stringify(abbreviated ? abbreviate(full) : full));
    return representation(bytes, abbreviated ? ABBREVIATED : 'application/json', true);
  });
}

function versionDocument(name, version) {
  return remember(`version ${name} ${version}`, () => {
    const found = versionOf(name, version, `${origin}/npm`);
    return found && representation(Buffer.from(JSON.stringify(found)), 'application/json', true);
  });
}

function npmTarball(name, version) {
  return remember(`tarball ${name} ${version}`, () =>
    representation(tarball(name, version), 'application/octet-stream', false),
  );
}

function file(path) {
  const match = /^bytes-(\d+)(?:-[a-z0-9]+)?$/.exec(path);
  if (!match) return undefined;
  return remember(`file ${path}`, () =>
    representation(seededBytes(path, Number(match[1])), 'application/octet-stream', false),
  );
}

function find(path, request) {
  const [, mount, name, second, archive] = path.split('/');
  if (mount === 'files') return file(name);
  if (mount !== 'npm' || !parsePackageName(name)) return undefined;
  if (second && second !== '-') return versionDocument(name, second);
  if (!archive) return document(name, request.headers.accept?.includes(ABBREVIATED) === true);
  const version = archive.slice(name.length + 1, -'.tgz'.length);
  return npmTarball(name, version);
}

function send(request, response, found) {
  const gzip = found.gzip && request.headers['accept-encoding']?.includes('gzip') ? found.gzip : undefined;
  const body = gzip ?? found.bytes;
  const headers = {
    'content-type': found.mediaType,
    etag: gzip ? found.etag.replace(/"$/, '-gz"') : found.etag,
    'last-modified': LAST_MODIFIED,
    'cache-control': 'public, max-age=3600',
  };
  if (found.gzip) headers.vary = 'Accept, Accept-Encoding';
  if (request.headers['if-none-match'] === headers.etag) {
    response.writeHead(304, headers).end();
    return;
  }
  if (gzip) headers['content-encoding'] = 'gzip';
  response.writeHead(200, { ...headers, 'content-length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Sends the body evenly over `duration` milliseconds. */
function trickle(request, response, path) {
  const [, size, duration] = /^trickle-(\d+)-(\d+)/.exec(path).map(Number);
  const body = seededBytes(path, size);
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': size,
    'cache-control': 'public, max-age=3600',
    etag: `"${path}"`,
  });
  const started = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const share = Math.min(1, (performance.now() - started + TRICKLE_STEP) / duration);
    const due = Math.floor(size * share);
    response.write(body.subarray(sent, due));
    sent = due;
    if (sent < size) return;
    clearInterval(timer);
    response.end();
  }, TRICKLE_STEP);
  response.on('close', () => clearInterval(timer));
}

const server = createServer((request, response) => {
  const path = decodeURIComponent(request.url.split('?')[0]);
  if (path === '/-/counts') {
    response.end(JSON.stringify(Object.fromEntries(counts)));
    return;
  }
  // The load generator asks for what it will need, so that making it is not measured as upstream time.
  if (request.headers['x-prepare'] === undefined) counts.set(path, (counts.get(path) ?? 0) + 1);
  if (path.startsWith('/files/trickle-')) {
    trickle(request, response, path.slice('/files/'.length));
    return;
  }
  const found = find(path, request);
  if (!found) {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
    return;
  }
  const delay = path.startsWith('/npm/') ? parsePackageName(path.split('/')[2]).delay : 0;
  if (delay > 0) setTimeout(() => send(request, response, found), delay);
  else send(request, response, found);
});

// The parent's end of the channel closes when it goes, however it goes.
process.on('disconnect', () => process.exit(0));
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => {
  origin = `http://127.0.0.1:${server.address().port}`;
  process.send({ origin });
});
