import { strict as assert } from 'node:assert';
import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { FAULTS, FaultyOrigin, rightBody } from '../servers/faulty-origin.mjs';

/** @import { Answer } from '@entrepot/fixtures/get' */
/** @import { Tally } from '../tally.mjs' */

/** The beginning of a gzip member (RFC 1952, section 2.3.1). */
const GZIP = Buffer.from([0x1f, 0x8b]);

/**
 * Everything that an upstream can do wrong: the client never gets a complete-looking wrong answer, nothing wrong is
 * kept, other requests go on, and as soon as the upstream is right again the same request is right as well.
 * @param {Tally} tally
 */
export async function upstreamFaults(tally) {
  await withScratch('faults', async (folder) => {
    const origin = new FaultyOrigin();
    await origin.start();
    // An upstream on loopback may lead to loopback; it must not lead into the network that the machine is in.
    const host = privateAddress();
    const elsewhere = new Origin((_, response) => response.end('a private place'), host);
    if (host !== undefined) await elsewhere.start();
    origin.elsewhere = host === undefined ? 'http://10.255.255.1' : elsewhere.url;
    const transport = { connectTimeout: '1s', headersTimeout: '1s', idleTimeout: '1s', totalTimeout: '3s' };
    const common = { transport, limits: { maxDocumentBytes: '4MiB', maxArtifactBytes: '8MiB' } };
    const pinned = { match: 'pinned/**', policy: 'immutable', checksum: { sidecar: '.sha256' } };
    const repositories = {
      files: { type: 'files', upstream: origin.url, rules: [pinned, { match: '**', policy: 'immutable' }], ...common },
      npm: { type: 'npm', upstream: `${origin.url}/registry`, ...common },
    };
    const server = new EntrepotServer({ folder, port: await freePort(), repositories });
    try {
      if (!(await tally.check('upstream faults: the server starts', () => server.start()))) return;
      for (const [fault, { doors, harmless = false }] of Object.entries(FAULTS)) {
        await tally.check(`upstream: ${fault} (${doors.join(', ')})`, async () => {
          const problems = await Promise.all(
            doors.map((door) =>
              tryFault({ server, origin, fault, door, harmless }).catch((error) => `${door}: ${error.message}`),
            ),
          );
          assert.deepEqual(
            problems.filter((problem) => problem !== undefined),
            [],
          );
        });
      }
      await tally.check('upstream faults: no private address was asked', () => assert.equal(elsewhere.count(), 0));
      await tally.check('upstream faults: the server stops with 0', () => server.stop());
    } finally {
      await server.kill();
      await origin.stop();
      await elsewhere.stop();
    }
  });
}

/** Documentation networks count as private ones: some machines are in one. */
const PRIVATE = /^(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01])|192\.0\.2|198\.51\.100|203\.0\.113)\./;

/** An address of this machine in a private network; `undefined` when it is in none. */
function privateAddress() {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return addresses.find(({ family, internal, address }) => family === 'IPv4' && !internal && PRIVATE.test(address))
    ?.address;
}

/**
 * @param {object} setting
 * @param {EntrepotServer} setting.server
 * @param {FaultyOrigin} setting.origin
 * @param {string} setting.fault
 * @param {import('../servers/faulty-origin.mjs').Door} setting.door
 * @param {boolean} setting.harmless
 */
async function tryFault({ server, origin, fault, door, harmless }) {
  const { path, upstreamPath } = placeOf(door, fault);
  const isRight = (/** @type {Answer} */ { status, headers, complete, body: received }) => {
    if (status !== 200 || !complete) return false;
    // A coding that is said is what a client undoes; where the label is false, it gets what it would get without us.
    const isPacked = headers['content-encoding'] === 'gzip' && received.subarray(0, 2).equals(GZIP);
    const body = isPacked ? gunzipSync(received) : received;
    const expected = rightBody(upstreamPath, origin.url);
    if (door !== 'document') return body.equals(expected);
    return dist(body).integrity === dist(expected).integrity;
  };

  const first = await get(server.url + path, { timeout: 15_000 }).catch((error) => brokenOff(error));
  const looksComplete = first.complete && first.status < 400;
  if (looksComplete && !(harmless && isRight(first))) {
    throw new Error(`looked complete: ${first.status}, ${first.body.length} bytes: ${first.body.subarray(0, 60)}`);
  }
  if (first.complete && first.status === 404) throw new Error('our own or the upstream’s failure became a 404');
  if (first.complete && first.status === 500) throw new Error('an upstream’s fault became a 500');

  const other = placeOf(door, `healthy-beside-${fault}`);
  const beside = await get(server.url + other.path);
  if (beside.status !== 200 || !beside.complete)
    throw new Error(`another request was answered with ${beside.status}: ${beside.body.subarray(0, 200)}`);

  origin.healed.add(upstreamPath);
  let again = await get(server.url + path);
  // "Retry-After" of the upstream may be kept to, here one second; and a body beyond its limit is remembered for five.
  const mayBeLater = () => again.status === 429 || again.status === 503 || again.body.includes('found a moment ago');
  for (let attempt = 0; attempt < 80 && mayBeLater(); attempt += 1) {
    await delay(100);
    again = await get(server.url + path);
  }
  if (!isRight(again))
    throw new Error(
      `healed, but answered with ${again.status}, ${again.body.length} bytes: ${again.body.subarray(0, 200)}`,
    );
  if (!isRight(await get(server.url + path))) throw new Error('the kept copy is wrong');
}

/** No answer at all. @param {Error} error @returns {Answer} */
function brokenOff(error) {
  if (error.name === 'TimeoutError') throw new Error('no end within 15 s');
  return { status: 0, headers: {}, body: Buffer.alloc(0), complete: false };
}

/** @param {string} door @param {string} fault */
function placeOf(door, fault) {
  if (door === 'file' || door === 'pinned')
    return { path: `/files/${door}/${fault}.bin`, upstreamPath: `/${door}/${fault}.bin` };
  const name = `${door}-${fault}`;
  if (door === 'document') return { path: `/npm/${name}`, upstreamPath: `/registry/${name}` };
  const tarball = `${name}/-/${name}-1.0.0.tgz`;
  return { path: `/npm/${tarball}`, upstreamPath: `/registry/${tarball}` };
}

/** @param {Buffer} body */
function dist(body) {
  return JSON.parse(body.toString('utf8')).versions['1.0.0'].dist;
}
