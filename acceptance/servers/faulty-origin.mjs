import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { drained, Origin } from '@entrepot/fixtures/origin';

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

/**
 * @typedef {object} FaultContext
 * @property {IncomingMessage} request
 * @property {ServerResponse} response
 * @property {Buffer} body the right one
 * @property {string} type the right media type
 * @property {string} elsewhere a URL of another origin, on a private address that is not loopback
 */

/** @typedef {'file' | 'pinned' | 'tarball' | 'document'} Door how the faulty body is reached: see `FaultyOrigin` */

/** @type {readonly Door[]} */
const ALL = ['file', 'pinned', 'tarball', 'document'];
/** @type {readonly Door[]} */
const VERIFIED = ['pinned', 'tarball'];

/**
 * Faults of upstreams. `doors` lists where a fault can be noticed: a wrong file without a promised checksum looks like
 * a right one. `harmless`: a reply with the right bytes is as good as a refusal.
 * @type {Readonly<Record<string, { doors: readonly Door[], harmless?: boolean, play: (context: FaultContext) => unknown }>>}
 */
export const FAULTS = {
  'no-answer': { doors: ALL, play: ({ response }) => response.socket?.destroy() },
  garbage: { doors: ALL, play: ({ response }) => response.socket?.end('this is no HTTP\r\n\r\nat all') },
  'reset-before-body': { doors: ALL, play: (context) => resetAfter(context, 0) },
  'reset-after-1': { doors: ALL, play: (context) => resetAfter(context, 1) },
  'reset-after-half': { doors: ALL, play: (context) => resetAfter(context, Math.floor(context.body.length / 2)) },
  'reset-before-last': { doors: ALL, play: (context) => resetAfter(context, context.body.length - 1) },
  'end-at-half': {
    doors: ALL,
    play: async ({ response, body, type }) => {
      response.writeHead(200, { 'content-type': type, 'content-length': body.length });
      response.write(body.subarray(0, body.length / 2));
      await delay(20);
      response.socket?.end();
    },
  },
  'chunks-without-end': {
    doors: ALL,
    play: async ({ response, body, type }) => {
      response.writeHead(200, { 'content-type': type });
      response.write(body);
      await delay(20);
      response.socket?.destroy();
    },
  },
  'no-length-closed-early': {
    // Without a length and without chunks, the end of the connection is the end of the body: only a sum can tell.
    doors: [...VERIFIED, 'document'],
    play: ({ response, body, type }) => {
      response.socket?.end(
        Buffer.concat([
          Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\nconnection: close\r\n\r\n`),
          body.subarray(0, body.length / 2),
        ]),
      );
    },
  },
  'length-too-small': {
    doors: [...VERIFIED, 'document'],
    play: (context) => whole(context, context.body.subarray(0, -10)),
  },
  'bytes-after-the-end': {
    doors: VERIFIED,
    play: ({ response, body, type }) => {
      const head = `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${body.length - 10}\r\n\r\n`;
      response.socket?.write(Buffer.concat([Buffer.from(head), body]));
    },
  },
  'wrong-bytes': {
    doors: VERIFIED,
    play: (context) => {
      const wrong = Buffer.from(context.body);
      flip(wrong, wrong.length >> 1);
      whole(context, wrong);
    },
  },
  'wrong-last-byte': {
    doors: VERIFIED,
    play: (context) => {
      const wrong = Buffer.from(context.body);
      flip(wrong, wrong.length - 1);
      whole(context, wrong);
    },
  },
  empty: { doors: [...VERIFIED, 'document'], play: (context) => whole(context, Buffer.alloc(0)) },
  'captive-portal': {
    doors: [...VERIFIED, 'document'],
    play: (context) =>
      whole({ ...context, type: 'text/html' }, Buffer.from('<html><body>Please sign in</body></html>')),
  },
  endless: {
    doors: ALL,
    play: async ({ response, type }) => {
      response.writeHead(200, { 'content-type': type });
      const chunk = Buffer.alloc(65_536, '[');
      while (!response.destroyed) {
        if (!response.write(chunk)) await drained(response);
      }
    },
  },
  silence: { doors: ALL, play: () => {} },
  stall: {
    doors: ALL,
    play: ({ response, body, type }) => {
      response.writeHead(200, { 'content-type': type, 'content-length': body.length });
      response.write(body.subarray(0, body.length / 2));
    },
  },
  drip: {
    doors: ALL,
    play: async ({ response, body, type }) => {
      response.writeHead(200, { 'content-type': type, 'content-length': body.length });
      for (let offset = 0; offset < body.length && !response.destroyed; offset += 1) {
        response.write(body.subarray(offset, offset + 1));
        await delay(200);
      }
    },
  },
  'gzip-not-asked-for': {
    doors: ALL,
    harmless: true,
    play: ({ response, body, type }) => {
      const packed = gzipSync(body);
      response.writeHead(200, { 'content-type': type, 'content-length': packed.length, 'content-encoding': 'gzip' });
      response.end(packed);
    },
  },
  'gzip-that-is-none': {
    doors: ALL,
    harmless: true,
    play: ({ response, body, type }) => {
      response.writeHead(200, { 'content-type': type, 'content-length': body.length, 'content-encoding': 'gzip' });
      response.end(body);
    },
  },
  'redirect-loop': {
    doors: ALL,
    play: ({ request, response }) => response.writeHead(302, { location: request.url }).end(),
  },
  'redirect-to-private': {
    doors: ALL,
    play: ({ request, response, elsewhere }) => response.writeHead(302, { location: elsewhere + request.url }).end(),
  },
  'redirect-to-link-local': {
    doors: ALL,
    play: ({ response }) => response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
  },
  'redirect-to-a-file': {
    doors: ALL,
    play: ({ response }) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  },
  throttled: {
    doors: ALL,
    play: ({ response }) => response.writeHead(429, { 'retry-after': '1' }).end('slow down'),
  },
  'server-error': { doors: ALL, play: ({ response }) => response.writeHead(500).end('oops') },
  unavailable: { doors: ALL, play: ({ response }) => response.writeHead(503, { 'retry-after': '1' }).end('later') },
  'not-modified-without-a-question': { doors: ALL, play: ({ response }) => response.writeHead(304).end() },
  'no-content': { doors: ALL, play: ({ response }) => response.writeHead(204).end() },
  'part-without-a-question': {
    doors: ALL,
    play: ({ response, body, type }) => {
      const part = body.subarray(0, 100);
      const range = `bytes 0-99/${body.length}`;
      response.writeHead(206, { 'content-type': type, 'content-length': part.length, 'content-range': range });
      response.end(part);
    },
  },
  'huge-head': {
    doors: ALL,
    harmless: true,
    play: (context) => {
      context.response.setHeader('x-huge', 'a'.repeat(100_000));
      whole(context, context.body);
    },
  },
};

/**
 * An upstream that does one thing wrong for each path, until it is healed:
 * - `/file/<fault>.bin`: a file that nothing promises a sum for;
 * - `/pinned/<fault>.bin`: a file with a `.sha256` beside it, which is always right;
 * - `/registry/tarball-<fault>`: a right npm document whose tarball is faulty;
 * - `/registry/document-<fault>`: a faulty npm document.
 */
export class FaultyOrigin extends Origin {
  /** Paths that are right from now on. @type {Set<string>} */
  healed = new Set();
  /** A URL of another origin that must never be asked. */
  elsewhere = '';

  constructor() {
    super((request, response) => this.#answer(request, response));
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  #answer(request, response) {
    const path = request.url ?? '/';
    const sidecar = path.endsWith('.sha256');
    const { door, fault = '' } = /^\/(?<door>file|pinned)\/(?<fault>[\w-]+)\.bin(?:\.sha256)?$/.exec(path)?.groups ??
      /^\/registry\/(?:(?<door>tarball|document)-)(?<fault>[a-z\d-]+?)(?:\/-\/.*)?$/.exec(path)?.groups ?? {
        door: '',
        fault: '',
      };
    if (door === '') return response.writeHead(404).end();
    const isTarball = path.endsWith('.tgz');
    const body = sidecar
      ? Buffer.from(
          `${createHash('sha256')
            .update(rightBody(path.slice(0, -7), this.url))
            .digest('hex')}\n`,
        )
      : rightBody(path, this.url);
    const isDocument = (door === 'tarball' || door === 'document') && !isTarball;
    const type = isDocument ? 'application/json' : 'application/octet-stream';
    const context = { request, response, body, type, elsewhere: this.elsewhere };
    const isSick = !this.healed.has(path) && !sidecar && !(isDocument && door === 'tarball');
    const play = isSick ? FAULTS[fault]?.play : undefined;
    return play === undefined ? whole(context, body) : play(context);
  }
}

/**
 * The right bytes of a path of the origin.
 * @param {string} path
 * @param {string} base the URL of the origin
 * @returns {Buffer}
 */
export function rightBody(path, base) {
  if (!path.startsWith('/registry/') || path.endsWith('.tgz')) {
    const block = createHash('sha512').update(path).digest();
    return Buffer.concat(
      Array.from({ length: 3000 }, (_, index) => Buffer.concat([block, Buffer.from([index % 251])])),
    );
  }
  const name = path.slice('/registry/'.length);
  const tarball = `/registry/${name}/-/${name}-1.0.0.tgz`;
  const integrity = `sha512-${createHash('sha512').update(rightBody(tarball, base)).digest('base64')}`;
  const dist = { integrity, tarball: base + tarball };
  const versions = { '1.0.0': { name, version: '1.0.0', description: 'x'.repeat(2000), dist } };
  return Buffer.from(
    JSON.stringify({ name, 'dist-tags': { latest: '1.0.0' }, versions, time: { '1.0.0': '2024-01-01T00:00:00.000Z' } }),
  );
}

/** Changes one bit. @param {Buffer} bytes @param {number} place */
function flip(bytes, place) {
  bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
}

/** @param {FaultContext} context @param {Buffer} body */
function whole({ response, type }, body) {
  response.writeHead(200, { 'content-type': type, 'content-length': body.length });
  response.end(body);
}

/** @param {FaultContext} context @param {number} size */
async function resetAfter({ response, body, type }, size) {
  response.writeHead(200, { 'content-type': type, 'content-length': body.length });
  response.flushHeaders();
  if (size > 0) response.write(body.subarray(0, size));
  await delay(20);
  response.socket?.resetAndDestroy();
}
