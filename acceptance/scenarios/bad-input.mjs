import { strict as assert } from 'node:assert';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { rawRequest } from '../clients/raw-request.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';

/** @import { Tally } from '../tally.mjs' */

const SECRET = 'this text is in a file outside of every repository';
const REFUSED = new Set([400, 404, 405, 413, 414, 431]);

/**
 * Targets that would lead elsewhere, and ones that are only odd.
 * @type {readonly string[]}
 */
const TARGETS = [
  '/files/../secret.txt',
  '/files/../../secret.txt',
  '/files/%2e%2e/secret.txt',
  '/files/%2E%2E/%2e%2e/secret.txt',
  '/files/.%2e/secret.txt',
  '/files/..%2fsecret.txt',
  '/files/..%2F..%2Fsecret.txt',
  '/files/a/%2e%2e/%2e%2e/%2e%2e/secret.txt',
  '/files/%252e%252e/secret.txt',
  '/files/%252e%252e%252fsecret.txt',
  '/files/..%5csecret.txt',
  '/files/..\\secret.txt',
  '/files/%c0%ae%c0%ae/secret.txt',
  '/files/%e0%80%ae%e0%80%ae/secret.txt',
  '/files/a%00b',
  '/files/%00',
  '/files/secret.txt%00.bin',
  '/files/%zz',
  '/files/%',
  '/files/%f',
  '/files/a%0d%0aX-Injected:%20yes',
  '/files/%ff%fe',
  '/files//etc/passwd',
  '/files/./././etc/passwd',
  '//etc/passwd',
  '/uploads/../secret.txt',
  '/uploads/%2e%2e%2fsecret.txt',
  '/uploads/..%2f..%2fsecret.txt',
  '/npm/../secret.txt',
  '/npm/..%2fsecret.txt',
  '/npm/@scope%2f..%2f..%2fsecret.txt',
  '/npm/@scope%252fname',
  '/npm/%2e%2e/-/secret.txt',
  '/npm/name/-/..%2f..%2fsecret.txt',
  '/npm/__proto__',
  '/npm/constructor/-/constructor-1.0.0.tgz',
  '/npm/hasOwnProperty/toString',
  '/npm/-/v1/search%00',
  '/-/../secret.txt',
  '/%2e%2e/secret.txt',
  '/nowhere',
];

/**
 * Requests that no client would send: refused with 4xx, never a 5xx, never a file from outside, and the server lives on.
 * @param {Tally} tally
 */
export async function badInput(tally) {
  await withScratch('input', async (folder) => {
    const origin = await new Origin(({ url }, response) => {
      const found = url === '/healthy.bin';
      response.writeHead(found ? 200 : 404, { 'content-type': 'application/octet-stream' });
      response.end(found ? 'healthy' : 'not here');
    }).start();
    const own = join(folder, 'server');
    await mkdir(own);
    for (const place of [folder, own]) await writeFile(join(place, 'secret.txt'), SECRET);
    const repositories = {
      files: { type: 'files', upstream: origin.url },
      npm: { type: 'npm', upstream: `${origin.url}/registry` },
      uploads: { type: 'files', kind: 'hosted' },
    };
    const server = new EntrepotServer({ folder: own, port: await freePort(), repositories });
    try {
      if (!(await tally.check('bad input: the server starts', () => server.start()))) return;
      await tally.check(`${TARGETS.length} hostile paths are refused`, () => hostilePaths(server, origin));
      await heads(tally, server, origin);
      await tunnel(tally, server, origin);
      await uploads(tally, server);
      await tally.check('bad input: the server lives and serves', async () => {
        const { status, body } = await get(`${server.url}/files/healthy.bin`);
        assert.equal(`${status} ${body.toString('utf8')}`, '200 healthy');
        await server.stop();
      });
    } finally {
      await server.kill();
      await origin.stop();
    }
  });
}

/** @param {EntrepotServer} server @param {Origin} origin */
async function hostilePaths(server, origin) {
  /** @type {string[]} */
  const wrong = [];
  for (const target of TARGETS) {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const head = `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
      const { statuses, text } = await rawRequest(server.port, head);
      // A PUT or DELETE of an odd but harmless name in the hosted repository may be taken at its word.
      const harmless =
        target.startsWith('/uploads/') && (method === 'PUT' || method === 'DELETE') && !target.includes('..');
      const refused = REFUSED.has(statuses[0] ?? 0) || (harmless && (statuses[0] ?? 500) < 500);
      if (statuses.length !== 1 || !refused) wrong.push(`${method} ${target}: ${statuses.join(' ') || 'no answer'}`);
      if (text.includes(SECRET) || text.includes('root:')) wrong.push(`${method} ${target}: a file from outside`);
      const [answered = ''] = text.split('\r\n\r\n', 1);
      if (/^x-injected:/im.test(answered)) wrong.push(`${method} ${target}: a header was injected`);
    }
  }
  const climbing = [...origin.requests.keys()].filter((name) => /(^|\/)(\.|%2e){2}(\/|%2f|%5c|$)/i.test(name));
  assert.deepEqual(wrong, []);
  assert.deepEqual(climbing, [], 'no path that climbs was expected upstream');
}

/** @param {Tally} tally @param {EntrepotServer} server @param {Origin} origin */
async function heads(tally, server, origin) {
  const host = 'Host: 127.0.0.1\r\n';
  const close = 'Connection: close\r\n';
  const smuggled = 'GET /files/smuggled.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  const body = `0\r\n\r\n${smuggled}`;
  const many = Array.from({ length: 3000 }, (_, index) => `X-Many-${index}: 1\r\n`).join('');
  const get = `GET /files/healthy.bin HTTP/1.1\r\n`;
  const post = `POST /files/healthy.bin HTTP/1.1\r\n`;
  /** @type {[name: string, bytes: string, expected: readonly number[]][]} */
  const cases = [
    ['a path of 10 KB', `GET /files/${'a'.repeat(10_240)} HTTP/1.1\r\n${host}${close}\r\n`, [414]],
    ['a query of 10 KB', `GET /files/a?${'a'.repeat(10_240)} HTTP/1.1\r\n${host}${close}\r\n`, [414]],
    ['a header of 64 KB', `${get}${host}X-Large: ${'a'.repeat(65_536)}\r\n${close}\r\n`, [431]],
    ['3000 headers', `${get}${host}${many}${close}\r\n`, [431]],
    ['a bare CR in a header', `${get}${host}X-Odd: a\rX-Injected: b\r\n${close}\r\n`, [400]],
    ['a NUL in a header', `${get}${host}X-Odd: a\0b\r\n${close}\r\n`, [400]],
    ['a space before the colon', `${get}${host}Content-Length : 5\r\n${close}\r\nhello`, [400]],
    ['a length and chunks', `${post}${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${body}`, [400]],
    ['chunks and a length', `${post}${host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${body}`, [400]],
    ['two lengths', `${post}${host}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`, [400]],
    ['a length with a sign', `${post}${host}Content-Length: +4\r\n\r\nabcd`, [400]],
    ['a negative length', `${post}${host}Content-Length: -1\r\n\r\n`, [400]],
    ['a length in hex', `${post}${host}Content-Length: 0x4\r\n\r\nabcd`, [400]],
    ['a list of lengths', `${post}${host}Content-Length: 4, 5\r\n\r\nabcd`, [400]],
    ['an unknown transfer coding', `${post}${host}Transfer-Encoding: xchunked\r\n\r\n${body}`, [400, 405, 501]],
    ['a chunked coding that is not last', `${post}${host}Transfer-Encoding: chunked, identity\r\n\r\n${body}`, [400]],
    [
      'a chunk size that is none',
      `${post}${host}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n`,
      [400, 405],
    ],
    ['no Host', `GET /files/healthy.bin HTTP/1.1\r\n${close}\r\n`, [400]],
    ['two Hosts', `${get}${host}Host: evil.example.com\r\n${close}\r\n`, [400, 200]],
    ['a Host with markup', `GET /npm/nothing HTTP/1.1\r\nHost: "><script>\r\n${close}\r\n`, [400, 404]],
    ['an unknown method', `FROB /files/healthy.bin HTTP/1.1\r\n${host}${close}\r\n`, [400, 405]],
    ['TRACE', `TRACE /files/healthy.bin HTTP/1.1\r\n${host}${close}\r\n`, [400, 404, 405, 501]],
    ['another version of HTTP', `GET /files/healthy.bin HTTP/9.9\r\n${host}${close}\r\n`, [400, 505]],
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [400]],
    ['a target that is no path', `GET files/healthy.bin HTTP/1.1\r\n${host}${close}\r\n`, [400, 404]],
    [
      'another site as the target',
      `GET http://evil.example.com/smuggled.bin HTTP/1.1\r\n${host}${close}\r\n`,
      [400, 404],
    ],
    ['256 ranges', `${get}${host}Range: bytes=${'0-0,'.repeat(256)}1-1\r\n${close}\r\n`, [200, 206, 400, 416]],
    ['a range that is none', `${get}${host}Range: bytes=9-1,-,abc\r\n${close}\r\n`, [200, 400, 416]],
    ['a date that is none', `${get}${host}If-Modified-Since: yesterday\r\n${close}\r\n`, [200]],
    ['a tag that is none', `${get}${host}If-None-Match: W/"\r\n${close}\r\n`, [200, 400]],
  ];
  for (const [name, bytes, expected] of cases) {
    await tally.check(`bad input: ${name}`, async () => {
      const { statuses, text } = await rawRequest(server.port, bytes);
      const [status = 0] = statuses;
      assert.ok(statuses.length === 1, `one answer was expected, found ${statuses.join(' ') || 'none'}`);
      assert.ok(expected.includes(status), `one of ${expected.join(' ')} was expected, found ${status}`);
      assert.doesNotMatch(text, /<script>/);
      assert.equal(origin.count('GET /smuggled.bin'), 0, 'a smuggled request reached the upstream');
    });
  }
}

/** @param {Tally} tally @param {EntrepotServer} server @param {Origin} origin */
async function tunnel(tally, server, origin) {
  await tally.check('bad input: no tunnel to anywhere', async () => {
    const head = `CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
    const { statuses, text } = await rawRequest(server.port, `${head}GET /smuggled.bin HTTP/1.1\r\nHost: a\r\n\r\n`);
    // A connection that is closed without an answer is a refusal as well.
    for (const status of statuses) assert.ok([400, 404, 405, 501].includes(status), `found ${status}`);
    assert.doesNotMatch(text, /not here/);
    assert.equal(origin.count('GET /smuggled.bin'), 0);
  });
}

/** @param {Tally} tally @param {EntrepotServer} server */
async function uploads(tally, server) {
  await tally.check('bad input: an upload that breaks off leaves nothing', async () => {
    const head = 'PUT /uploads/half.bin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n';
    await rawRequest(server.port, head + 'a'.repeat(50_000), { hangUp: true });
    assert.equal((await get(`${server.url}/uploads/half.bin`)).status, 404);
    const again = await get(`${server.url}/uploads/half.bin`, { method: 'PUT', body: 'whole' });
    assert.equal(again.status, 201);
    assert.equal((await get(`${server.url}/uploads/half.bin`)).body.toString('utf8'), 'whole');
  });
  await tally.check('bad input: an upload to a proxy is refused', async () => {
    const { status, headers } = await get(`${server.url}/files/a.bin`, { method: 'PUT', body: 'x' });
    assert.equal(status, 405);
    assert.match(String(headers.allow), /GET/);
  });
}
