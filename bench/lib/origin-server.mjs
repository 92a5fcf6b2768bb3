import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

const RANGE = /^bytes=(\d*)-(\d*)$/;

/**
 * The upstream of a suite, for a process of its own (`launchOrigin` starts it). `answer(path, request, origin)` says what is
 * there: `{ bytes, mediaType, compressed, headers }`, or `{ respond }` for one that answers by itself and says what it sent, or
 * `undefined` for 404; the same object every time, so that its coding and
 * its tag are made once. Every answer waits for `roundTrip` milliseconds; requests and bytes are counted by path. What the
 * run itself prepares (`x-prepare`) neither waits nor counts. `facts` are passed on to the run.
 * @returns the listener, for a server besides the one on loopback that this opens
 */
export function serveOrigin({ answer, roundTrip, facts = {} }) {
  const requests = new Map();
  const bytes = new Map();
  const made = new WeakMap();
  let origin = '';

  function add(counts, path, number) {
    counts.set(path, (counts.get(path) ?? 0) + number);
  }

  function representation(found) {
    let one = made.get(found);
    if (!one) {
      const tag = createHash('sha1').update(found.bytes).digest('hex');
      made.set(found, (one = { tag, gzip: found.compressed ? gzipSync(found.bytes) : undefined }));
    }
    return one;
  }

  function send(request, response, path, found) {
    const { tag, gzip } = representation(found);
    const coded = gzip && request.headers['accept-encoding']?.includes('gzip');
    const headers = {
      'content-type': found.mediaType,
      'cache-control': 'public, max-age=3600',
      ...found.headers,
      etag: coded ? `"${tag}-gz"` : `"${tag}"`,
      ...(found.compressed ? { vary: 'Accept, Accept-Encoding' } : { 'accept-ranges': 'bytes' }),
    };
    if (request.headers['if-none-match'] === headers.etag) {
      response.writeHead(304, headers).end();
      return;
    }
    let body = coded ? gzip : found.bytes;
    let status = 200;
    if (coded) headers['content-encoding'] = 'gzip';
    const range = found.compressed ? undefined : slice(request.headers.range, body.length);
    if (range) {
      status = 206;
      headers['content-range'] = `bytes ${range.from}-${range.to - 1}/${body.length}`;
      body = body.subarray(range.from, range.to);
    }
    response.writeHead(status, { ...headers, 'content-length': body.length });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    if (request.headers['x-prepare'] === undefined) add(bytes, path, body.length);
    response.end(body);
  }

  function listener(request, response) {
    const path = decodeURIComponent(request.url.split('?')[0]);
    if (path === '/-/traffic' || path === '/-/counts') {
      const traffic = { requests: Object.fromEntries(requests), bytes: Object.fromEntries(bytes) };
      response.end(JSON.stringify(path === '/-/traffic' ? traffic : traffic.requests));
      return;
    }
    const isPreparing = request.headers['x-prepare'] !== undefined;
    if (!isPreparing) add(requests, path, 1);
    const found = answer(path, request, origin);
    const finish = () => {
      if (found?.respond) found.respond(request, response, (sent) => add(bytes, path, sent));
      else if (found) send(request, response, path, found);
      else response.writeHead(404, { 'content-type': 'text/plain' }).end('not found');
    };
    if (isPreparing) finish();
    else setTimeout(finish, roundTrip);
  }

  // The parent's end of the channel closes when it goes, however it goes.
  process.on('disconnect', () => process.exit(0));
  const server = createServer(listener);
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1', () => {
    origin = `http://127.0.0.1:${server.address().port}`;
    process.send({ origin, ...facts });
  });
  return listener;
}

/** One range that can be met, as `from` to before `to`; `undefined`: the whole. */
function slice(header, length) {
  const match = RANGE.exec(header ?? '');
  if (!match || match[0] === 'bytes=-') return undefined;
  if (match[1] === '') return { from: Math.max(0, length - Number(match[2])), to: length };
  const from = Number(match[1]);
  const to = match[2] === '' ? length : Math.min(length, Number(match[2]) + 1);
  return from < to ? { from, to } : undefined;
}
